"""A space's hours, asked often: whether it is open is kept until that changes. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from charter.hours import Interval, Schedule

_EVER = datetime(1, 1, 1, tzinfo=UTC)
Intervals = tuple[Interval, ...]


@lru_cache(maxsize=4096)
def _openings(
    zone: ZoneInfo, day: date, around: tuple[Intervals, Intervals, Intervals]
) -> tuple[tuple[datetime, datetime], ...]:
    """Return the openings (UTC) that begin the day before, on the day, and the day after."""
    found = []
    for offset, intervals in enumerate(around, -1):
        begins = day + timedelta(offset)
        for start, end in intervals:
            ends = begins if end > start else begins + timedelta(1)
            opening = datetime.combine(begins, start, zone).astimezone(UTC)
            found.append((opening, datetime.combine(ends, end, zone).astimezone(UTC)))
    return tuple(sorted(found))


@lru_cache(maxsize=256)
def _local_day(zone: ZoneInfo, minute: datetime) -> tuple[date, date, date, datetime]:
    """Return yesterday, today and tomorrow there, and when today is over (UTC)."""
    day = minute.astimezone(zone).date()
    over = datetime.combine(day + timedelta(1), time(), zone).astimezone(UTC)
    return day - timedelta(1), day, day + timedelta(1), over


class Hours:
    """A schedule that remembers its last answer."""

    __slots__ = ("__weakref__", "_from", "_open", "_until", "schedule")

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._from = self._until = _EVER
        self._open = False

    def is_open(self, instant: datetime) -> bool | None:
        """Tell whether it is open at an instant (UTC); None where no hours are known."""
        schedule = self.schedule
        if not schedule.known:
            return None
        if self._from <= instant < self._until:
            return self._open
        minute = instant.replace(second=0, microsecond=0)
        before, day, after, over = _local_day(schedule.zone, minute)
        around = schedule.on(before), schedule.on(day), schedule.on(after)
        until, is_open = over, False
        for opening, closing in _openings(schedule.zone, day, around):
            if opening <= instant < closing:
                until, is_open = closing, True
                break
            if instant < opening < until:
                until = opening
        self._from, self._until, self._open = instant, until, is_open
        return is_open
