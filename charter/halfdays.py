"""Half-days: the unit in which hospitality is counted (article on opening hours)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from charter.hours import Opening, Schedule

MORNING, AFTERNOON = "am", "pm"


class HalfDay(NamedTuple):
    """A morning (``am``: up to the split) or an afternoon (``pm``) of a house's day.

    A tuple, because a simulation makes, compares and looks up hundreds of thousands.
    """

    day: date
    half: str

    @property
    def month(self) -> str:
        return f"{self.day:%Y-%m}"


def half_day_at(instant: datetime, day: date, zone: ZoneInfo, split: time) -> HalfDay:
    """Return the half-day that an aware instant of a house's day falls in.

    What goes on past midnight is still the afternoon of the day on which the house opened.
    """
    local = instant.astimezone(zone)
    morning = local.date() == day and local.time() < split
    return HalfDay(day, MORNING if morning else AFTERNOON)


def half_days(
    start: datetime,
    end: datetime | None,
    day: date,
    openings: tuple[Opening, ...] | None,
    zone: ZoneInfo,
    split: time,
) -> tuple[HalfDay, ...]:
    """Return the half-days of its day that a visit [start, end) touches, at least the first.

    ``openings`` are those published for the day (aware), None where the hours are not known: what
    lies in a break touches nothing of its own. A visit that goes on (``end`` None) touches the
    half-day it began in; one that ends exactly at the split does not touch the afternoon.
    """
    first = half_day_at(start, day, zone, split)
    if end is None or first.half == AFTERNOON:
        return (first,)
    noon, end = datetime.combine(day, split, zone).astimezone(UTC), end.astimezone(UTC)
    parts = ((noon, end),) if openings is None else openings
    stays_on = any(
        max(opens.astimezone(UTC), noon) < min(closes.astimezone(UTC), end)
        for opens, closes in parts
    )
    return (first, HalfDay(day, AFTERNOON)) if stays_on else (first,)


def touched(
    schedule: Schedule, start: datetime, end: datetime, split: time
) -> dict[HalfDay, datetime]:
    """Return the half-days of [start, end) on which a house is open, with the first moment of each.

    What goes on past midnight is of the day on which the house opened. A day without hours, where
    none are known, is whole.
    """
    start, end, zone = start.astimezone(UTC), end.astimezone(UTC), schedule.zone
    found: dict[HalfDay, datetime] = {}
    first_day, last = (each.astimezone(zone).date() for each in (start, end))
    for n in range(-1, (last - first_day).days + 1):  # the night before may go on
        day = first_day + timedelta(n)
        noon = datetime.combine(day, split, zone).astimezone(UTC)
        for opening in _open_on(schedule, day):
            a, b = (each.astimezone(UTC) for each in opening)
            for half, first, until in ((MORNING, a, min(b, noon)), (AFTERNOON, max(a, noon), b)):
                if max(first, start) < min(until, end):
                    found.setdefault(HalfDay(day, half), max(first, start))
    return found


def _open_on(schedule: Schedule, day: date) -> tuple[Opening, ...]:
    openings = schedule.openings(day)
    if schedule.known or (schedule.until is not None and day > schedule.until):
        return openings
    midnight = datetime.combine(day, time(), schedule.zone)
    return ((midnight, datetime.combine(day + timedelta(1), time(), schedule.zone)),)
