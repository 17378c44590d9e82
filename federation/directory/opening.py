"""A space's hours, asked often: whether it is open is kept until that changes. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from charter.hours import Interval, Schedule

_EVER = datetime(1, 1, 1, tzinfo=UTC)
Intervals = tuple[Interval, ...]


class Around(tuple[date, date, date]):
    """Yesterday, today and tomorrow somewhere; ``over`` is when today is (UTC)."""

    over: datetime


@lru_cache(maxsize=256)
def around(zone: ZoneInfo, minute: datetime) -> Around:
    """Return the days around a minute, in a zone."""
    day = minute.astimezone(zone).date()
    found = Around((day - timedelta(1), day, day + timedelta(1)))
    found.over = datetime.combine(found[2], time(), zone).astimezone(UTC)
    return found


class Week:
    """What many schedules share: whether it is open, on days that are as they are each week."""

    __slots__ = ("__weakref__", "_from", "_open", "_until", "days", "zone")

    def __init__(self, zone: ZoneInfo, days: tuple[Intervals, ...]) -> None:
        self.zone, self.days = zone, days
        self._from = self._until = _EVER
        self._open = False

    def state(self, instant: datetime, days: Around) -> tuple[datetime, datetime, bool]:
        """Return from when until when it is open or closed, and which; ``days`` are usual ones."""
        if not self._from <= instant < self._until:
            intervals = [self.days[day.weekday()] for day in days]
            self._from, self._until, self._open = state(self.zone, instant, days, intervals)
        return self._from, self._until, self._open


def state(
    zone: ZoneInfo, instant: datetime, days: Around, intervals: list[Intervals]
) -> tuple[datetime, datetime, bool]:
    """Return from when until when it is open or closed, and which.

    ``intervals`` are those that begin on each of the days around; beyond today nothing is said.
    """
    until = days.over
    for day, of_day in zip(days, intervals, strict=True):
        for start, end in of_day:
            ends = day if end > start else day + timedelta(1)
            opening = datetime.combine(day, start, zone).astimezone(UTC)
            closing = datetime.combine(ends, end, zone).astimezone(UTC)
            if opening <= instant < closing:
                return instant, closing, True
            if instant < opening < until:
                until = opening
    return instant, until, False


class Hours:
    """A schedule that remembers its last answer."""

    __slots__ = ("__weakref__", "_from", "_open", "_until", "_week", "known", "schedule")

    def __init__(self, schedule: Schedule, week: Week) -> None:
        self.schedule, self.known = schedule, schedule.known
        self._week = week
        self._from = self._until = _EVER
        self._open = False

    def is_open(self, instant: datetime) -> bool | None:
        """Tell whether it is open at an instant (UTC); None where no hours are known."""
        if not self.known:
            return None
        if not self._from <= instant < self._until:
            days = around(self._week.zone, instant.replace(second=0, microsecond=0))
            if self.schedule.until is None and self.schedule.exceptions.keys().isdisjoint(days):
                found = self._week.state(instant, days)
            else:
                intervals = [self.schedule.on(day) for day in days]
                found = state(self._week.zone, instant, days, intervals)
            self._from, self._until, self._open = found
        return self._open
