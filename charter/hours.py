"""When a space is open: a week, and the dates that differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

WEEKDAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
Interval = tuple[time, time]


class HoursError(ValueError):
    """The schedule cannot be read; the message names the place."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Local opening intervals by weekday (Monday first); ``exceptions`` replaces whole dates.

    An end that is not after its start means the next day (a bar open past midnight). After the
    day ``until`` a temporary site is open no more.
    """

    zone: ZoneInfo
    week: tuple[tuple[Interval, ...], ...]
    exceptions: Mapping[date, tuple[Interval, ...]]
    until: date | None = None

    @property
    def known(self) -> bool:
        """Tell whether any hours were given at all."""
        return any(self.week)

    def on(self, day: date) -> tuple[Interval, ...]:
        if self.until is not None and day > self.until:
            return ()
        return self.exceptions.get(day, self.week[day.weekday()])

    def opening_at(self, instant: datetime) -> tuple[datetime, datetime] | None:
        """Return the aware (opening, closing) that holds this instant, or None if closed."""
        instant = instant.astimezone(UTC)  # two times of one zone would be compared by their clocks
        local_day = instant.astimezone(self.zone).date()
        for day in (local_day - timedelta(1), local_day):
            for start, end in self.on(day):
                opening = datetime.combine(day, start, self.zone)
                closing = datetime.combine(
                    day if end > start else day + timedelta(1), end, self.zone
                )
                if opening <= instant < closing:
                    return opening, closing
        return None

    def closing_after(self, instant: datetime) -> datetime:
        """Return when a visit begun now ends if nobody ends it: at closing, or at midnight."""
        opening = self.opening_at(instant)
        if opening:
            return opening[1]
        following = instant.astimezone(self.zone).date() + timedelta(1)
        return datetime.combine(following, time(), self.zone)

    def next_opening(self, instant: datetime, days: int = 31) -> datetime | None:
        """Return when the space opens next after this instant, within so many days."""
        instant = instant.astimezone(UTC)
        local_day = instant.astimezone(self.zone).date()
        for offset in range(days + 1):
            day = local_day + timedelta(offset)
            for start, _ in self.on(day):
                opening = datetime.combine(day, start, self.zone)
                if opening > instant:
                    return opening
        return None


def _local_time(text: str) -> time:
    moment = time.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("the zone is the schedule's")
    return moment


def _intervals(where: str, value: Any) -> tuple[Interval, ...]:
    try:
        pairs = [(_local_time(start), _local_time(end)) for start, end in value]
    except (TypeError, ValueError):
        raise HoursError(f'{where}: pairs of times like ["09:00", "19:00"] are expected') from None
    return tuple(sorted(pairs))


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = document.get(name) or {}
    if not isinstance(table, Mapping):
        raise HoursError(f"{name}: a table is expected")
    return table


def read_schedule(document: Mapping[str, Any]) -> Schedule:
    """Read ``{"timezone", "week": {"mo": [["09:00", "19:00"]], …}, "exceptions": {date: […]}}``.

    A weekday that is absent is closed; ``until`` is a date, if it is there. Raises HoursError.
    """
    try:
        zone = ZoneInfo(document["timezone"])
    except (KeyError, TypeError, ValueError, OSError):
        raise HoursError("timezone: a name like Europe/Paris is expected") from None
    week, dates = (_table(document, name) for name in ("week", "exceptions"))
    unknown = sorted(set(week) - set(WEEKDAYS))
    if unknown:
        raise HoursError(f"week: unknown day {unknown[0]}")
    exceptions = {}
    for day, value in dates.items():
        try:
            parsed = date.fromisoformat(day)
        except (TypeError, ValueError):
            raise HoursError("exceptions: a date like 2026-12-24 is expected") from None
        exceptions[parsed] = _intervals(f"exceptions.{day}", value)
    return Schedule(
        zone=zone,
        week=tuple(_intervals(f"week.{name}", week.get(name, ())) for name in WEEKDAYS),
        exceptions=exceptions,
        until=_until(document.get("until")),
    )


def _until(value: Any) -> date | None:
    if value is None:
        return None
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise HoursError("until: a date like 2026-12-24 is expected") from None
