"""What day the demonstration plays on: one on which the founding host is open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from charter.hours import Schedule

STORY_TIME = time(10, 0)


def clock_setting(schedule: Schedule, now: datetime, wanted: date | None) -> str | None:
    """Return the clock that hub and nodes are started with, or None for the real one.

    A wanted day is played from ten in the morning. Otherwise the real time is kept while
    the space is open; else the nearest day of this month on which it is, the past first.
    """
    if wanted is None:
        if schedule.opening_at(now) is not None:
            return None
        wanted = next(
            (
                day
                for day in _nearest(now.astimezone(schedule.zone).date())
                if schedule.opening_at(datetime.combine(day, STORY_TIME, schedule.zone))
            ),
            now.date(),
        )
    return clock_from(datetime.combine(wanted, STORY_TIME, schedule.zone))


def clock_from(start: datetime) -> str:
    """Return a setting by which it is ``start`` now, for every process that reads it."""
    return f"{start.isoformat()}@{datetime.now(UTC).timestamp():.0f}"


def _nearest(today: date) -> Iterator[date]:
    for distance in range(31):
        for day in (today - timedelta(distance), today + timedelta(distance)):
            if (day.year, day.month) == (today.year, today.month):
                yield day
