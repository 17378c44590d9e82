"""Two versions of a published document, as somebody reads what changed. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from charter.compare import Runs, compare_words

# The same hours once more, as OpenStreetMap writes them.
_DERIVED = ("opening_hours",)
_BY_DATE = ("exceptions", "occasions", "capacities")
# What tells one item of a list from another, the first that it has.
_NAMED_BY = ("id", "label", "name", "value", "url", "title")
MOST_LINES = 120


@dataclass(frozen=True, slots=True)
class Line:
    """One fact that differs: ``path`` leads to it. A text that was there before and after has
    ``runs`` of words; what was not there is None.
    """

    path: tuple[str, ...]
    before: Any
    after: Any
    runs: Runs = ()


def lasting(body: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return a document without what a day's passing alone takes out of it, and what is derived."""
    found = {name: value for name, value in body.items() if name not in _DERIVED}
    for name in _BY_DATE:
        if isinstance(found.get(name), Mapping):
            found[name] = {d: v for d, v in found[name].items() if d >= today.isoformat()}
    if "events" in found:
        found["events"] = [e for e in found["events"] if _ends(e) >= today]
    conditions = found.get("conditions")
    if isinstance(conditions, Mapping) and conditions.get("closed"):
        kept = [day for day in conditions["closed"] if day >= today.isoformat()]
        found["conditions"] = {**conditions, "closed": kept}
    return found


def _ends(event: Mapping[str, Any]) -> date:
    return datetime.fromisoformat(event["ends_at"]).date()


def differing(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that differ, as they were and as they are; empty is as good as absent."""
    names = [
        name
        for name in {**before, **after}
        if before.get(name) != after.get(name)
        and not (_says_nothing(before.get(name)) and _says_nothing(after.get(name)))
    ]
    return (
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names if name in after},
    )


def _says_nothing(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})


def lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Line]:
    """Return the facts that differ, in the document's order; of very many, the first ones."""
    old, new = (dict(_facts(document, ())) for document in (before, after))
    found: list[Line] = []
    for path in {**old, **new}:
        was, now = old.get(path), new.get(path)
        nothing = _says_nothing(was) and _says_nothing(now)
        if was == now or nothing or len(found) == MOST_LINES:
            continue
        runs = compare_words(was, now) if isinstance(was, str) and isinstance(now, str) else ()
        found.append(Line(path, was, now, runs))
    return found


def _facts(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each single fact under the path that leads to it; what is empty says nothing."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _facts(inner, (*path, str(name)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if all(isinstance(item, Mapping) for item in value):
            for n, item in enumerate(value, 1):
                name = next((str(item[key]) for key in _NAMED_BY if item.get(key)), str(n))
                yield from _facts(item, (*path, name))
        else:
            yield path, ", ".join(_text(item) for item in value)
    elif value is not None and value != "":
        yield path, value


def _text(item: Any) -> str:
    """Return an item of a list in a line: a pair of times is an interval."""
    if isinstance(item, list | tuple):
        return "–".join(map(str, item))
    return str(item)
