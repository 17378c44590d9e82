"""The dates on which a space differs from its week: public holidays, special days, imported ones.

Pure, over a space's columns. A special day is ``{"from", "to", "yearly", "hours", "capacity",
"label"}``: ISO dates (the year does not count where ``yearly``), pairs of HH:MM (none: closed;
null: as usual), a number of people or null.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import groupby
from typing import Any

import holidays

from charter.conditions import read_conditions
from charter.hours import Schedule, read_schedule

# What the hours of a space follow from.
COLUMNS = (
    "timezone",
    "week",
    "special_days",
    "imported",
    "closed_on_holidays",
    "holidays_region",
    "until",
)
# The parts of France that have public holidays of their own, by the library's codes.
REGIONS = ("57", "6AE", "971", "972", "973", "974", "976", "BL", "MF", "NC", "PF", "PM", "TF", "WF")
DAYS_SHOWN = 14


@cache
def public_holidays(region: str, years: tuple[int, ...], language: str = "fr") -> dict[date, str]:
    """Return the public holidays of a part of France, with their names in French or English.

    Working them out takes long: once in a process for the same years. Not to be changed.
    """
    spoken = "fr" if language == "fr" else "en_US"
    found = holidays.country_holidays("FR", subdiv=region or None, years=years, language=spoken)
    return dict(sorted(found.items()))


def exceptions(row: Any, today: date, *, imported: bool = True) -> dict[str, list[Any]]:
    """Return this year's and next year's dates that differ, as published: a date's pairs of HH:MM.

    New Year's Eve is among them on 1 January: its night may go on. What an admin wrote goes before
    what a source has brought, and both before the public holidays.
    """
    found: dict[str, list[Any]] = {}
    if row.closed_on_holidays and any(row.week.values()):
        days = public_holidays(row.holidays_region, (today.year, today.year + 1))
        found = {day.isoformat(): [] for day in days}
    if imported:
        found |= (row.imported or {}).get("days", {})
    special = (
        (day.isoformat(), entry["hours"])
        for day, entry in special_dates(row.special_days, today)
        if entry["hours"] is not None
    )
    return {**found, **dict(special)}


def capacities(row: Any, today: date) -> dict[str, int]:
    """Return the dates on which a space holds another number of people, with that number."""
    return {
        day.isoformat(): entry["capacity"]
        for day, entry in special_dates(row.special_days, today)
        if entry["capacity"] is not None
    }


def labels(row: Any, today: date) -> dict[str, str]:
    """Return what the special days are called, by date."""
    return {
        day.isoformat(): entry["label"]
        for day, entry in special_dates(row.special_days, today)
        if entry["label"]
    }


def coming_holidays(region: str, today: date, language: str) -> list[tuple[date, str]]:
    """Return the public holidays of the twelve months from today on."""
    found = public_holidays(region, (today.year, today.year + 1), language)
    return [(day, name) for day, name in found.items() if today <= day < today + timedelta(365)]


def days_ahead(row: Any, today: date, language: str = "fr") -> list[dict[str, Any]]:
    """Return the next days as they are published: hours, people, visitors, and why they differ."""
    plan, conditions = schedule(row, today), read_conditions(_declared(row))
    people, named = capacities(row, today), labels(row, today)
    festive = public_holidays(row.holidays_region, (today.year, today.year + 1), language)
    days = []
    for day in (today + timedelta(n) for n in range(DAYS_SHOWN)):
        spans, most = plan.on(day), people.get(day.isoformat(), row.capacity)
        places = conditions.guests_on(day)
        days.append(
            {
                "day": day,
                "hours": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in plan.openings(day)],
                "capacity": most,
                "guests": _at_most(places, most) if spans else None,
                "no_visitors": conditions.closed_on(day) is not None,
                "why": named.get(day.isoformat()) or festive.get(day) or "",
                "differs": day in plan.exceptions,
            }
        )
    return days


def _at_most(places: tuple[int, int], most: int | None) -> tuple[int, int]:
    return places if most is None else (min(places[0], most), min(places[1], most))


def _declared(row: Any) -> dict[str, Any]:
    return {"guest_cap": row.guest_cap, "conditions": row.conditions}


def special_dates(
    entries: Sequence[Mapping[str, Any]], today: date
) -> Iterator[tuple[date, Mapping[str, Any]]]:
    """Yield each date of this year and the next, and of the night before, that an entry holds.

    Later entries go before.
    """
    for entry in entries:
        first, last = (date.fromisoformat(entry[name]) for name in ("from", "to"))
        for start, end in _periods(first, last, today.year) if entry["yearly"] else [(first, last)]:
            day = max(start, date(today.year - 1, 12, 31))
            while day <= min(end, date(today.year + 1, 12, 31)):
                yield day, entry
                day += timedelta(1)


def _periods(first: date, last: date, year: int) -> Iterator[tuple[date, date]]:
    """Yield a yearly period as it falls in a year, the year before it and the year after."""
    length = last.year - first.year
    for start in (year - 1, year, year + 1):
        yield _in_year(first, start), _in_year(last, start + length)


def _in_year(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February
        return date(year, 2, 28)


def special_day(day: str, hours: list[Any], label: str = "") -> dict[str, Any]:
    """Return the special day of one ISO date."""
    usual = {"yearly": False, "capacity": None}
    return {"from": day, "to": day, "hours": hours, "label": label, **usual}


def periods(days: Sequence[tuple[date, list[Any]]]) -> Iterator[dict[str, Any]]:
    """Yield dates, given in order with their hours, as special days: alike in a row are one."""
    for _, group in groupby(enumerate(days), key=lambda e: (e[1][0].toordinal() - e[0], e[1][1])):
        dates = [day for _, (day, _) in group]
        hours = dict(days)[dates[0]]
        yield {**special_day(dates[0].isoformat(), hours), "to": dates[-1].isoformat()}


def schedule(row: Any, today: date, *, imported: bool = True) -> Schedule:
    """Return a space's hours; without what its sources have brought if ``imported`` is false."""
    return read_schedule(
        {
            "timezone": row.timezone,
            "week": row.week,
            "exceptions": exceptions(row, today, imported=imported),
            "until": row.until,
        }
    )
