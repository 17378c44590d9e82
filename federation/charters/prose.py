"""The charter's plain Markdown (paragraphs, lists, bold) and its rules, ready for a template."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from markupsafe import Markup, escape

_BOLD = re.compile(r"\*\*(.+?)\*\*")


def paragraphs(markdown: str) -> list[dict[str, Any]]:
    """Return blocks: ``{"kind": "paragraph", "text"}`` or ``{"kind": "list", "items"}``."""
    blocks: list[dict[str, Any]] = []
    for chunk in re.split(r"\n\s*\n", markdown.strip()):
        lines = [line.rstrip() for line in chunk.splitlines() if line.strip()]
        items = [_inline(line[2:]) for line in lines if line.startswith("- ")]
        words = " ".join(line for line in lines if not line.startswith("- "))
        if words:
            blocks.append({"kind": "paragraph", "text": _inline(words)})
        if items:
            blocks.append({"kind": "list", "items": items})
    return blocks


def _inline(text: str) -> Markup:
    return Markup(_BOLD.sub(r"<strong>\1</strong>", str(escape(text))))  # noqa: S704 - escaped above


def rule_of_article(toml: str, number: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the rules an article carries: kind, and its values without the article's number."""
    tables = tomllib.loads(toml)
    return [
        (kind, {name: value for name, value in table.items() if name != "article"})
        for kind, table in tables.items()
        if table.get("article") == number
    ]
