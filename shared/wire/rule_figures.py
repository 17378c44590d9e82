"""Changing figures in the rules without disturbing what else their author wrote."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

import tomlkit
from tomlkit.exceptions import TOMLKitError

from charter.rules import RulesError, read_toml


def with_figures(toml: str, figures: Mapping[str, str]) -> str:
    """Return the rules with other figures; ``figures`` maps ``table.key`` to what TOML writes.

    Python's own reader has the last word: these figures must be the only difference. Raises
    RulesError naming every figure that is not there, or whose text cannot be changed.
    """
    wanted, faults = read_toml(toml), []
    try:
        document = tomlkit.parse(toml)
    except TOMLKitError as error:
        raise RulesError([f"not TOML: {error}"]) from None
    for name, written in figures.items():
        kind, _, key = name.partition(".")
        table, value = wanted.get(kind), read_toml(f"x = {written}")["x"]
        if not isinstance(table, dict) or key not in table:
            faults.append(f"{name}: it is not written in a way that can be changed here")
        elif table[key] != value:
            table[key] = value
            shown = document[kind]
            assert isinstance(shown, MutableMapping)  # noqa: S101 - as Python's reader said
            shown[key] = tomlkit.value(written)
    changed = tomlkit.dumps(document)
    if not faults and read_toml(changed) != wanted:
        faults = [f"{name}: it cannot be changed here" for name in figures]
    if faults:
        raise RulesError(faults)
    return changed
