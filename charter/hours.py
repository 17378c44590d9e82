"""When a space is open: a week, and the dates that differ from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

WEEKDAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
Interval = tuple[time, time]
Opening = tuple[datetime, datetime]


class HoursError(ValueError):
    """The schedule cannot be read; the message names the place."""


@dataclass(frozen=True, slots=True)
class OpeningDay:
    """A house's day as published: what a visit that begins at an instant belongs to.

    ``openings`` (aware) is None where the hours are not known or the house is open round the
    clock, and empty where it was closed. ``closes_at`` (UTC) is when a visit ends at the latest:
    with the day's last opening, at midnight for want of hours, at once where it was closed.
    """

    day: date
    openings: tuple[Opening, ...] | None
    closes_at: datetime


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
        return any(self.week) or any(self.exceptions.values())

    def on(self, day: date) -> tuple[Interval, ...]:
        if self.until is not None and day > self.until:
            return ()
        return self.exceptions.get(day, self.week[day.weekday()])

    def openings(self, day: date) -> tuple[Opening, ...]:
        """Return the openings (aware) that begin on a day; what touches or overlaps is one."""
        midnight = datetime.combine(day, time())
        return tuple(
            ((midnight + a).replace(tzinfo=self.zone), (midnight + b).replace(tzinfo=self.zone))
            for a, b in joined(self.on(day))
        )

    def _opening(self, instant: datetime) -> tuple[date, Opening, tuple[Opening, ...]] | None:
        """Return the opening that holds an instant, between its day and all of that day's."""
        instant = instant.astimezone(UTC)  # two times of one zone would be compared by their clocks
        local_day = instant.astimezone(self.zone).date()
        for day in (local_day - timedelta(1), local_day):
            openings = self.openings(day)
            for opens, closes in openings:
                if opens <= instant < closes:
                    return day, (opens, closes), openings
        return None

    def opening_at(self, instant: datetime) -> Opening | None:
        """Return the aware (opening, closing) that holds this instant, or None if closed."""
        found = self._opening(instant)
        return found[1] if found else None

    def day_of(self, instant: datetime) -> OpeningDay:
        """Return the house's day that a visit begun at an instant belongs to."""
        found = self._opening(instant)
        local_day = instant.astimezone(self.zone).date()
        if found is None and self.known:
            return OpeningDay(local_day, (), instant.astimezone(UTC))
        if found is None or _round_the_clock(found[1]):
            midnight = datetime.combine(local_day + timedelta(1), time(), self.zone)
            return OpeningDay(local_day, None, midnight.astimezone(UTC))
        day, _, openings = found
        return OpeningDay(day, openings, openings[-1][1].astimezone(UTC))

    def closing_after(self, instant: datetime) -> datetime:
        """Return when somebody who is here now is gone if nobody says so.

        With the day's last opening; at midnight where the house is closed or gives no hours.
        """
        closes_at = self.day_of(instant).closes_at.astimezone(self.zone)
        if closes_at > instant:
            return closes_at
        following = instant.astimezone(self.zone).date() + timedelta(1)
        return datetime.combine(following, time(), self.zone)

    def next_opening(self, instant: datetime, days: int = 31) -> datetime | None:
        """Return when the space opens next after this instant, within so many days."""
        instant = instant.astimezone(UTC)
        local_day = instant.astimezone(self.zone).date()
        for offset in range(days + 1):
            day = local_day + timedelta(offset)
            for opening, _ in self.openings(day):
                if opening > instant:
                    return opening
        return None


def joined(intervals: Iterable[Interval]) -> list[tuple[timedelta, timedelta]]:
    """Return a day's intervals as times since its midnight; what touches or overlaps is one.

    What ends on the next day ends after 24 hours or more.
    """
    found: list[tuple[timedelta, timedelta]] = []
    for start, end in sorted(intervals):
        opens, closes = (
            timedelta(hours=each.hour, minutes=each.minute, seconds=each.second)
            for each in (start, end)
        )
        closes += timedelta(closes <= opens)
        if found and opens <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], closes)
        else:
            found.append((opens, closes))
    return found


def _round_the_clock(opening: Opening) -> bool:
    """By the clock on the wall: a day on which it is put back is longer."""
    opens, closes = (each.replace(tzinfo=None) for each in opening)
    return closes - opens >= timedelta(1)


def local_time(text: str) -> time:
    """Read a time of day like ``09:00``, without a zone. Raises TypeError or ValueError."""
    moment = time.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("the zone is the schedule's")
    return moment


def _intervals(where: str, value: Any) -> tuple[Interval, ...]:
    try:
        pairs = [(local_time(start), local_time(end)) for start, end in value]
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
