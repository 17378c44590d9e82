"""Half-days: the unit in which hospitality is counted (article on opening hours)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

MORNING, AFTERNOON = "am", "pm"


class HalfDay(NamedTuple):
    """A morning (``am``: up to the split) or an afternoon (``pm``) of a local date.

    A tuple, because a simulation makes, compares and looks up hundreds of thousands.
    """

    day: date
    half: str

    @property
    def month(self) -> str:
        return f"{self.day:%Y-%m}"


def half_day_at(instant: datetime, zone: ZoneInfo, split: time) -> HalfDay:
    """Return the half-day that an aware instant falls in, in the space's zone."""
    local = instant.astimezone(zone)
    return HalfDay(local.date(), MORNING if local.time() < split else AFTERNOON)


def half_days(start: datetime, end: datetime, zone: ZoneInfo, split: time) -> list[HalfDay]:
    """Return every half-day that the interval [start, end) touches, in order, at least one.

    An end before the start counts as the start. Both instants are aware. A visit that ends
    exactly at the split, or at midnight, does not touch what begins there.
    """
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    first = half_day_at(start, zone, split)
    last = half_day_at(max(start, end - timedelta(microseconds=1)), zone, split)
    touched = [first]
    while touched[-1] < last:
        day, half = touched[-1].day, touched[-1].half
        following = (
            HalfDay(day, AFTERNOON) if half == MORNING else HalfDay(day + timedelta(1), MORNING)
        )
        touched.append(following)
    return touched
