"""A proposal before it is put to the vote: what the hub would find wrong, and what it changes.

Nothing of it is kept: its mark, which goes to the page and comes back, says what was looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from flask_babel import gettext

from charter import Charter, RulesError, TextError, read_charter
from charter.model import LANGUAGES, fingerprint
from charter.text import parse_text
from shared.wire import comparison
from shared.wire.error_messages import translate

Faults = dict[str, list[str]]


def examine(version: str, sources: Mapping[str, str]) -> tuple[Charter | None, Faults]:
    """Return what is proposed as a charter, or what is wrong with it, by the form's fields."""
    found: Faults = defaultdict(list)
    for language in LANGUAGES:
        try:
            parse_text(sources[f"{language}.md"])
        except TextError as error:
            found[f"text_{language}"].append(translate(str(error)))
    try:
        charter = read_charter(version, sources)
    except RulesError as error:
        return None, found | placed(error.faults)
    except TextError:
        return None, found
    return charter, {}


def placed(faults: Iterable[str]) -> Faults:
    """Sort faults, as ``RulesError`` has them, by field; ``""`` has those that no field made."""
    found: Faults = defaultdict(list)
    for fault in faults:
        where, colon, _ = fault.partition(": ")
        said = translate(fault)
        if fault.startswith("article ") and fault.endswith(".md"):
            found[f"text_{fault[-5:-3]}"].append(said)
        elif colon and "." in where:
            name = "text_fr" if where == "values.article" else where.replace(".", "__")
            found[name].append(said.partition(":")[2].strip())
        else:
            found[""].append(said)
    return found


def unchanged(sources: Mapping[str, str], current: Mapping[str, Any]) -> Faults:
    if dict(sources) != current["sources"]:
        return {}
    return {
        "": [gettext("This is the charter in force, word for word: change a figure or a word.")]
    }


def mark(current: Mapping[str, Any], sources: Mapping[str, str], argument: str) -> str:
    """Return the SHA-256 of what is proposed and of what it was compared with."""
    return fingerprint(current["sha256"], {**sources, "argument": argument})


def effect(current: Mapping[str, Any], proposed: Charter) -> dict[str, Any]:
    """Return what the page shows: the difference to the charter in force, and the warnings."""
    base = read_charter(current["version"], current["sources"])
    return {
        "diff": comparison.compare(base, proposed),
        "warnings": comparison.warnings(proposed),
    }


def warnings(version: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the warnings of a version that the hub tells; None if this node cannot read it."""
    try:
        return comparison.warnings(read_charter(version["version"], version["sources"]))
    except (RulesError, TextError):
        return None
