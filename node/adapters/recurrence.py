"""On which days something recurs (RFC 5545, section 3.3.10), in bounded time.

Every period between the first day and the end is looked at once. Libraries that search for the
next match go on to the year 9999 where there is none.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from node.adapters.interface import Unreadable

WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_DAY_RULES = ("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY")
_KNOWN = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYSETPOS", *_DAY_RULES}


class Budget:
    """How many days and entries may be looked at in all, for one source."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, count: int = 1) -> None:
        """Raises Unreadable when there is nothing left."""
        self._left -= count
        if self._left < 0:
            raise Unreadable("Its entries recur too often to be worked out.")


@dataclass(frozen=True, slots=True)
class _Rule:
    freq: str
    interval: int
    count: int | None
    week_start: int
    numbers: dict[str, list[int]]
    days: list[tuple[int, int]]  # weekday, and which of them; 0: each


def recurring(
    rule: str, start: datetime, until: datetime, budget: Budget, since: datetime | None = None
) -> Iterator[datetime]:
    """Yield when something recurs, by the clock on the wall, the first time included.

    All times are naive, of one zone; the rule's own UNTIL is for the caller. What is before
    ``since`` may be left out. Raises ValueError for a rule that cannot be understood, Unreadable.
    """
    parsed = _parse(rule, start)
    matches = _filter(parsed)
    yield start
    given = 1
    # Whoever counts has to begin at the beginning.
    skip = since.date() if since is not None and parsed.count is None else start.date()
    for days in _periods(parsed, (start.date(), skip, until.date()), budget):
        found = [day for day in days if matches(day)]
        for day in _at_positions(found, parsed.numbers.get("BYSETPOS", [])):
            if day <= start.date():
                continue
            moment = datetime.combine(day, start.time())
            if moment > until or (parsed.count is not None and given >= parsed.count):
                return
            given += 1
            yield moment


def limit(rule: str) -> str | None:
    """Return the text of a rule's UNTIL."""
    return _parts(rule).get("UNTIL")


def _parts(rule: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in rule.upper().split(";") if part)
    return {name: value for name, _, value in pairs}


def _parse(rule: str, start: datetime) -> _Rule:
    parts = _parts(rule)
    if parts.keys() - _KNOWN or parts.get("FREQ") not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise ValueError(rule)
    numbers = {
        name: [int(each) for each in value.split(",")]
        for name, value in parts.items()
        if name.startswith("BY") and name != "BYDAY"
    }
    days = []
    for each in filter(None, parts.get("BYDAY", "").split(",")):
        match = _DAY.fullmatch(each)
        if not match or (match[1] and (parts["FREQ"] in ("DAILY", "WEEKLY"))):
            raise ValueError(rule)
        days.append((WEEKDAYS.index(match[2]), int(match[1] or 0)))
    interval = int(parts.get("INTERVAL", "1"))
    count = int(parts["COUNT"]) if "COUNT" in parts else None
    if not 1 <= interval <= 10_000 or (count is not None and count < 1):
        raise ValueError(rule)
    if not any(name in parts for name in _DAY_RULES):
        _by_default(parts["FREQ"], start, numbers, days)
    week_start = WEEKDAYS.index(parts.get("WKST", "MO"))
    if "BYWEEKNO" in parts and (week_start or parts["FREQ"] != "YEARLY"):
        raise ValueError(rule)
    return _Rule(parts["FREQ"], interval, count, week_start, numbers, days)


def _by_default(
    freq: str, start: datetime, numbers: dict[str, list[int]], days: list[tuple[int, int]]
) -> None:
    """What a rule does not say is as it was the first time."""
    if freq == "YEARLY":
        numbers.setdefault("BYMONTH", [start.month])
    if freq in ("YEARLY", "MONTHLY"):
        numbers["BYMONTHDAY"] = [start.day]
    if freq == "WEEKLY":
        days.append((start.weekday(), 0))


def _periods(rule: _Rule, span: tuple[date, date, date], budget: Budget) -> Iterator[list[date]]:
    """Yield the days of each period that the rule looks at, from the one that holds ``skip``."""
    first, skip, last = span
    if rule.freq in ("DAILY", "WEEKLY"):
        weekly = rule.freq == "WEEKLY"
        day = first - timedelta((first.weekday() - rule.week_start) % 7 if weekly else 0)
        length = 7 if weekly else 1
        step = timedelta(length * rule.interval)
        day += max(0, (skip - day) // step) * step
        while day <= last:
            budget.spend(length)
            yield [day + timedelta(n) for n in range(length)]
            day += step
        return
    months = 12 if rule.freq == "YEARLY" else 1
    number, wanted = _month(first, months), _month(skip, months)
    number += max(0, (wanted - number) // (months * rule.interval)) * months * rule.interval
    while (begin := date(number // 12, number % 12 + 1, 1)) <= last:
        length = sum(
            calendar.monthrange(each // 12, each % 12 + 1)[1]
            for each in range(number, number + months)
        )
        budget.spend(length)
        yield [begin + timedelta(n) for n in range(length)]
        number += months * rule.interval


def _month(day: date, months: int) -> int:
    """Return the month in which a day's period begins, counted from the year 0."""
    return day.year * 12 + (0 if months == 12 else day.month - 1)


def _filter(rule: _Rule) -> Callable[[date], bool]:
    """Return what tells whether a day is one of the rule's."""
    by_month = "BYMONTH" in rule.numbers
    within_month = rule.freq == "MONTHLY" or by_month

    def is_meant(day: date) -> bool:
        return any(
            day.weekday() == weekday and (not nth or nth in _places(day, within_month=within_month))
            for weekday, nth in rule.days
        )

    checks: list[Callable[[date], bool]] = []
    for name, numbers_of in _NUMBERS.items():
        if name in rule.numbers:
            wanted = frozenset(rule.numbers[name])
            checks.append(lambda day, w=wanted, of=numbers_of: not w.isdisjoint(of(day)))  # type: ignore[misc]
    if rule.days:
        checks.append(is_meant)
    return lambda day: all(check(day) for check in checks)


def _month_days(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


def _year_days(day: date) -> int:
    return 366 if calendar.isleap(day.year) else 365


def _year_day(day: date) -> int:
    return day.timetuple().tm_yday


def _week_numbers(day: date) -> tuple[int, ...]:
    """A week is of the year that most of it lies in; it is counted from either end."""
    year, week, _ = day.isocalendar()
    if year != day.year:  # a week of another year is not looked for in this one
        return ()
    weeks = date(year, 12, 28).isocalendar()[1]
    return week, week - weeks - 1


_NUMBERS: dict[str, Callable[[date], tuple[int, ...]]] = {
    "BYMONTH": lambda day: (day.month,),
    "BYMONTHDAY": lambda day: (day.day, day.day - _month_days(day) - 1),
    "BYYEARDAY": lambda day: (_year_day(day), _year_day(day) - _year_days(day) - 1),
    "BYWEEKNO": _week_numbers,
}


def _places(day: date, *, within_month: bool) -> tuple[int, int]:
    """Return the how-manieth of its weekday a day is, from the beginning and from the end."""
    place = day.day if within_month else _year_day(day)
    length = _month_days(day) if within_month else _year_days(day)
    return (place - 1) // 7 + 1, -((length - place) // 7 + 1)


def _at_positions(days: list[date], positions: list[int]) -> list[date]:
    if not positions:
        return days
    places = {n - 1 if n > 0 else len(days) + n for n in positions}
    return [day for n, day in enumerate(days) if n in places]
