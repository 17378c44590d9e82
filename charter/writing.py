"""Changing figures in the rules without disturbing what else their author wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from charter.rules import RulesError, read_toml

# One figure on a line of its own: its key, and its value up to a comment.
_LINE = re.compile(
    r"(?m)^(?P<key>\w+)(?P<eq>[ \t]*=[ \t]*)"
    r"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|\[[^\]]*\]|[0-9][0-9_]*)(?=[ \t]*(?:#|$))"
)


def with_figures(toml: str, figures: Mapping[str, str]) -> str:
    """Return the rules with other figures; ``figures`` maps ``table.key`` to what TOML writes.

    After each change the text is read again: this figure must be the only difference. Raises
    RulesError naming every figure that is not there, or that is not written as ``key = value`` on
    a line below ``[table]``, so that it cannot be changed safely.
    """
    faults = []
    for name, written in figures.items():
        changed = _with_figure(toml, name, written)
        if changed is None:
            faults.append(f"{name}: it is not written in a way that can be changed here")
        else:
            toml = changed
    if faults:
        raise RulesError(faults)
    return toml


def _with_figure(toml: str, name: str, written: str) -> str | None:
    """Return the rules with one other figure, or None where that cannot be done safely."""
    kind, _, key = name.partition(".")
    tables, value = read_toml(toml), read_toml(f"x = {written}")["x"]
    table = tables.get(kind)
    if not isinstance(table, dict) or key not in table:
        return None
    if table[key] == value:
        return toml
    changed = _rewritten(toml, kind, key, written)
    return changed if _read(changed) == {**tables, kind: {**table, key: value}} else None


def _read(toml: str) -> dict[str, Any] | None:
    try:
        return read_toml(toml)
    except RulesError:
        return None


def _rewritten(toml: str, kind: str, key: str, written: str) -> str:
    def put(found: re.Match[str]) -> str:
        value = written if found["key"] == key else found["value"]
        return f"{found['key']}{found['eq']}{value}"

    parts = re.split(r"(?m)^(?=\[)", toml)
    heading = f"[{kind}]"
    return "".join(_LINE.sub(put, part) if part.startswith(heading) else part for part in parts)
