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
def around(zone: ZoneInfo, instant: datetime) -> Around:
    """Return the days around an instant, in a zone."""
    day = instant.astimezone(zone).date()
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

    def is_open(self, now: datetime) -> bool | None:
        """Tell whether it is open now (UTC); None where no hours are known."""
        if not self.known:
            return None
        if not self._from <= now < self._until:
            self._from, self._until, self._open = self._at(now)
        return self._open

    def opens_at(self, instant: datetime) -> bool:
        """Tell whether it is known to be open at any instant (UTC)."""
        return self.known and self._at(instant)[2]

    def _at(self, instant: datetime) -> tuple[datetime, datetime, bool]:
        schedule, week = self.schedule, self._week
        days, others = around(week.zone, instant), schedule.exceptions
        if schedule.until is None and not (
            days[0] in others or days[1] in others or days[2] in others
        ):
            return week.state(instant, days)
        return state(week.zone, instant, days, [schedule.on(day) for day in days])
