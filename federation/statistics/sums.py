"""Half-days summed for the pictures, with whom each sum is made of. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Row

from federation.statistics.suppression import LEAST, NOTHING, Cell, few

Key = tuple[Any, ...]
Cells = Mapping[Key, Cell]


class Line(NamedTuple):
    """A half-day that counts, of one person; ``occurrence`` tells it from one taken back."""

    home: str
    host: str
    space: str
    visit: str
    member: int
    day: date
    half: str
    occurrence: int = 0


@dataclass(frozen=True, slots=True)
class Sums:
    """Half-days by (home, host), (week,) and (space, weekday 0 to 6, half); visits by (host,).

    Weeks are ISO's, written ``2026-W48``. A visit is counted where its half-days are: one that
    touched no half-day of its own (its person was there already) is none.
    """

    flows: Cells = field(default_factory=dict)
    weeks: Cells = field(default_factory=dict)
    slots: Cells = field(default_factory=dict)
    visits: Cells = field(default_factory=dict)


NAMES = ("flows", "weeks", "slots", "visits")


def week_of(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def add_up(lines: Iterable[Line | Row[*tuple[Any, ...]]]) -> Sums:
    """Sum a month's lines. A million take seconds: one pass, and nothing is made for each."""
    counts: dict[str, defaultdict[Key, int]] = {name: defaultdict(int) for name in NAMES}
    people: dict[str, defaultdict[Key, set[int]]] = {name: defaultdict(set) for name in NAMES}
    days: dict[date, tuple[Key, int]] = {}
    seen: set[str] = set()
    flows, weeks, slots, visits = (counts[name] for name in NAMES)
    in_flows, in_weeks, in_slots, in_visits = (people[name] for name in NAMES)
    for home, host, space, visit, member, day, half, _ in lines:
        if day not in days:
            days[day] = (week_of(day),), day.weekday()
        week, weekday = days[day]
        flow, slot = (home, host), (space, weekday, half)
        flows[flow] += 1
        weeks[week] += 1
        slots[slot] += 1
        for group in (in_flows[flow], in_weeks[week], in_slots[slot]):
            if len(group) < LEAST:
                group.add(member)
        if visit not in seen:
            seen.add(visit)
            visits[host,] += 1
            if len(in_visits[host,]) < LEAST:
                in_visits[host,].add(member)
    return Sums(
        **{
            name: {key: Cell(n, frozenset(people[name][key])) for key, n in counts[name].items()}
            for name in NAMES
        }
    )


def merge(months: Iterable[Sums]) -> Sums:
    """Add up months."""
    sums: dict[str, dict[Key, Cell]] = {name: {} for name in NAMES}
    for month in months:
        for name in NAMES:
            into = sums[name]
            for key, cell in getattr(month, name).items():
                into[key] = into[key] + cell if key in into else cell
    return Sums(**sums)


def by(cells: Cells, *places: int) -> dict[Key, Cell]:
    """Add up what has the same values at these places of the key."""
    found: defaultdict[Key, Cell] = defaultdict(lambda: NOTHING)
    for key, cell in cells.items():
        found[tuple(key[place] for place in places)] += cell
    return dict(found)


def to_json(sums: Sums) -> dict[str, Any]:
    return {
        name: [[*key, cell.value, list(cell.people)] for key, cell in getattr(sums, name).items()]
        for name in NAMES
    }


def from_json(body: Mapping[str, Any]) -> Sums:
    return Sums(**{name: dict(_cells(body[name])) for name in NAMES})


def _cells(rows: Iterable[list[Any]]) -> Iterator[tuple[Key, Cell]]:
    for *key, value, people in rows:
        yield tuple(key), Cell(value, few(people))
