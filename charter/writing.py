"""Changing figures in the rules without disturbing what else their author wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping

# One figure, wherever it stands: its key, and its value up to a comment.
_LINE = re.compile(r"(?m)^(?P<key>\w+)(?P<eq>\s*=\s*)(?P<value>\"[^\"]*\"|\[[^\]]*\]|\d+)")


def with_figures(toml: str, figures: Mapping[str, str]) -> str:
    """Return the rules with other figures; ``figures`` maps ``table.key`` to what TOML writes."""
    parts = re.split(r"(?m)^(?=\[)", toml)
    made = []
    for part in parts:
        table = re.match(r"\[(\w+)\]", part)
        name = table[1] if table else ""

        def put(found: re.Match[str], name: str = name) -> str:
            value = figures.get(f"{name}.{found['key']}", found["value"])
            return f"{found['key']}{found['eq']}{value}"

        made.append(_LINE.sub(put, part))
    return "".join(made)
