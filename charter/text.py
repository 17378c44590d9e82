"""The charter's prose: numbered articles under ``## N. Title`` headings."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADING = re.compile(r"^## ([0-9]+)\. (.+)$")
_DIGITS = 6  # of an article's number: one of thousands of digits is no number to Python


@dataclass(frozen=True, slots=True)
class Article:
    number: int
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Text:
    title: str
    preamble: str
    articles: tuple[Article, ...]


class TextError(ValueError):
    """The prose is not a title followed by articles numbered 1, 2, 3…"""


def parse_text(markdown: str) -> Text:
    """Split Markdown prose into its title, preamble and articles. Raises TextError."""
    lines = markdown.strip().splitlines()
    if not lines or not lines[0].startswith("# "):
        raise TextError("the first line must be a title: # …")
    preamble: list[str] = []
    articles: list[tuple[int, str, list[str]]] = []
    for line in lines[1:]:
        heading = _HEADING.match(line)
        if heading:
            number = int(heading[1]) if len(heading[1]) <= _DIGITS else 0
            articles.append((number, heading[2].strip(), []))
        else:
            (articles[-1][2] if articles else preamble).append(line)
    if [number for number, _, _ in articles] != list(range(1, len(articles) + 1)):
        raise TextError("articles must be numbered 1, 2, 3… without a gap")
    return Text(
        title=lines[0][2:].strip(),
        preamble="\n".join(preamble).strip(),
        articles=tuple(
            Article(number, title, "\n".join(body).strip()) for number, title, body in articles
        ),
    )
