"""Half-days: the unit in which hospitality is counted (article on opening hours)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import NamedTuple
from zoneinfo import ZoneInfo

from charter.hours import Opening

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
