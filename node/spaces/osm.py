"""Opening hours as OpenStreetMap writes them: ``Mo-Fr 09:00-19:00; PH off``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from opening_hours import OpeningHours, ParserError, State

from charter.hours import WEEKDAYS
from node.spaces.hours import public_holidays

Spans = list[list[str]]
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS_READ = 366
_MOST = 500
_MOST_PERIODS = 59  # the form has as many rows, and one for a new one


class OsmError(ValueError):
    """The text cannot be read; the message is the place, as ``line:column``."""


def write(row: Any) -> str:
    """Return a space's hours; empty when they are not known."""
    if not any(row.week.values()):
        return ""
    rules = list(_week(row.week))
    if row.closed_on_holidays:
        rules.append("PH off")
    rules += [
        f"{_period(entry)} {_spans(entry['hours'])}"
        for entry in row.special_days
        if entry["hours"] is not None
    ]
    return "; ".join(rules)


def _week(week: Mapping[str, Spans]) -> Iterator[str]:
    days = ((name.capitalize(), week.get(name, [])) for name in WEEKDAYS)
    for spans, group in groupby(days, key=lambda each: each[1]):
        names = [name for name, _ in group]
        if spans:
            several = names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}"
            yield f"{several} {_spans(spans)}"


def _spans(spans: Sequence[Sequence[str]]) -> str:
    return ",".join(f"{start}-{end}" for start, end in spans) or "off"


def _period(entry: Mapping[str, Any]) -> str:
    first, last = (date.fromisoformat(entry[name]) for name in ("from", "to"))

    def written(day: date) -> str:
        year = "" if entry["yearly"] else f"{day.year} "
        return f"{year}{_MONTHS[day.month - 1]} {day.day:02}"

    return written(first) if first == last else f"{written(first)}-{written(last)}"


def read(text: str, today: date) -> dict[str, Any]:
    """Return ``week``, ``closed_on_holidays`` and ``special_days`` of the year from today on.

    Raises OsmError. What no space here can say (sunrise, weeks of the month) becomes the dates
    that follow from it.
    """
    if len(text) > _MOST:
        raise OsmError(f"1:{_MOST}")
    try:
        # The library keeps the public holidays of a country; the week is read without them.
        plain = OpeningHours(text)
        with_holidays = OpeningHours(text, country="FR")
    except ParserError as error:
        raise OsmError(str(error).partition("--> ")[2].split()[0] or "1:1") from None
    days = [today + timedelta(n) for n in range(_DAYS_READ)]
    spans = {day: _open_on(plain, day) for day in days}
    week = {
        name: usual
        for n, name in enumerate(WEEKDAYS)
        if (usual := _most_common([spans[day] for day in days if day.weekday() == n]))
    }
    # Of several years: each of them falls on a day that is open.
    festive = public_holidays("", tuple(range(today.year, today.year + 7)))
    differ = [day for day in days if spans[day] != week.get(WEEKDAYS[day.weekday()], [])]
    return {
        "week": week,
        "closed_on_holidays": any(
            _open_on(plain, day) and not _open_on(with_holidays, day) for day in festive
        ),
        "special_days": list(_grouped([(day, spans[day]) for day in differ]))[:_MOST_PERIODS],
    }


def first_difference(text: str, found: Mapping[str, Any], today: date) -> date | None:
    """Return the first day of two years on which what was read is not what the text says."""
    said = OpeningHours(text, country="FR")
    days = [today + timedelta(n) for n in range(2 * _DAYS_READ)]
    closed = set(public_holidays("", (today.year, today.year + 1, today.year + 2)))
    special = {
        date.fromisoformat(entry["from"]) + timedelta(n): entry["hours"]
        for entry in found["special_days"]
        for n in range(
            (date.fromisoformat(entry["to"]) - date.fromisoformat(entry["from"])).days + 1
        )
    }
    for day in days:
        festive = found["closed_on_holidays"] and day in closed
        usual = [] if festive else found["week"].get(WEEKDAYS[day.weekday()], [])
        if _open_on(said, day) != special.get(day, usual):
            return day
    return None


def _open_on(hours: OpeningHours, day: date) -> Spans:
    """Return the spans that begin on a day; one may end on the next, from 00:00 to 00:00 is all."""
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - the library's are local
    end = start + timedelta(days=1)
    found = []
    for a, b, state, *_ in hours.intervals(start, end + timedelta(days=1)):
        if state != State.OPEN or a >= end:
            continue
        if a == start and b < end and hours.is_open(start - timedelta(minutes=1)):
            continue  # the end of the night before
        last = min(b, end) if b - a >= timedelta(days=1) else b
        found.append([f"{a:%H:%M}", f"{last:%H:%M}"])
    return found


def _most_common(found: list[Spans]) -> Spans:
    return max(found, key=found.count)


def _grouped(days: Sequence[tuple[date, Spans]]) -> Iterator[dict[str, Any]]:
    """Yield periods of days in a row that have the same hours."""
    for _, group in groupby(enumerate(days), key=lambda e: (e[1][0].toordinal() - e[0], e[1][1])):
        dates = [day for _, (day, _) in group]
        yield {
            "from": dates[0].isoformat(),
            "to": dates[-1].isoformat(),
            "yearly": False,
            "hours": dict(days)[dates[0]],
            "capacity": None,
            "label": "",
        }
