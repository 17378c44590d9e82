"""When the entries of a calendar take place: one after the other, each time with what it says."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from icalendar.prop import vDuration

from node.adapters.ical_text import CalendarText, Entry, read_moment, zone_of
from node.adapters.interface import Source
from node.adapters.recurrence import Budget, limit, recurring

# Days looked at to work out all that recurs: a thousand weekly meetings.
MOST_DAYS = 500_000
MOST_OCCURRENCES = 20_000
_HIDDEN = ("PRIVATE", "CONFIDENTIAL")


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Aware times of the entry's own zone, or dates for all-day entries; the end is not of it."""

    key: str
    entry: Entry
    starts: datetime
    ends: datetime
    all_day: bool
    cancelled: bool


@dataclass(frozen=True, slots=True)
class _First:
    """The first time of an entry: naive, of ``zone``."""

    start: datetime
    days: int  # nominal
    exact: timedelta
    all_day: bool
    zone: ZoneInfo


def occurrences(
    calendar: CalendarText, source: Source, since: datetime
) -> tuple[list[Occurrence], list[str]]:
    """Return what takes place between ``since`` and ``source.until``, and what is wrong.

    Entries that are marked private are not looked at. Raises Unreadable.
    """
    zone = calendar.zone or source.hours.zone
    by_uid: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in calendar.entries:
        if entry.text("CLASS").upper() not in _HIDDEN:
            by_uid[entry.text("UID") or f"entry {entry.number}"].append(entry)
    window, days = (since, source.until), Budget(MOST_DAYS)
    many, found, faults = Budget(MOST_OCCURRENCES), list[Occurrence](), list[str]()
    for uid, entries in by_uid.items():
        try:
            for one in _of_one(uid, entries, zone, window, days):
                many.spend()
                found.append(one)
        except (ValueError, OverflowError, TypeError):
            first = entries[0]
            named = first.text("SUMMARY").strip()[:60] or uid[:60]
            faults.append(f"Entry {first.number} ({named}): its times cannot be understood.")
    return sorted(found, key=lambda one: one.starts), faults


def _of_one(
    uid: str,
    entries: Sequence[Entry],
    zone: ZoneInfo,
    window: tuple[datetime, datetime],
    budget: Budget,
) -> Iterator[Occurrence]:
    """Yield the times of the entries that have one UID: a series, and what differs from it."""
    whole = [entry for entry in entries if entry.first("RECURRENCE-ID") is None]
    others: dict[datetime, Entry] = {}
    for entry in entries:
        marked = entry.first("RECURRENCE-ID")
        if marked is not None:
            others[_instant(marked.value, zone_of_entry(entry, "RECURRENCE-ID", zone))] = entry
    if whole:
        series = max(whole, key=lambda entry: (_sequence(entry), entry.number))
        first = _first(series, zone)
        recurs = series.first("RRULE") is not None or series.first("RDATE") is not None
        for start in _starts(series, first, zone, window, budget):
            instant = start.replace(tzinfo=first.zone).astimezone(UTC)
            if instant not in others:
                yield from _within(window, uid, series, first, start, instant if recurs else None)
    for instant, entry in others.items():
        first = _first(entry, zone)
        yield from _within(window, uid, entry, first, first.start, instant)


def zone_of_entry(entry: Entry, name: str, otherwise: ZoneInfo) -> ZoneInfo:
    found = entry.first(name)
    if found is None:
        return otherwise
    return zone_of(found, is_utc=found.value.endswith("Z"), otherwise=otherwise)


def _within(
    window: tuple[datetime, datetime],
    uid: str,
    entry: Entry,
    first: _First,
    start: datetime,
    original: datetime | None,
) -> Iterator[Occurrence]:
    """Yield one time of an entry, if it is in the window. A clock skips what it does not show."""
    begins = start.replace(tzinfo=first.zone)
    nominal = (start + timedelta(first.days)).replace(tzinfo=first.zone)
    ends = (nominal.astimezone(UTC) + first.exact).astimezone(first.zone)
    since, until = window
    if ends.astimezone(UTC) > since and begins.astimezone(UTC) < until:
        which = f"{uid}\n{original.isoformat() if original else ''}"
        key = hashlib.sha256(which.encode(errors="replace")).hexdigest()[:32]
        cancelled = entry.text("STATUS").upper() == "CANCELLED"
        yield Occurrence(key, entry, begins, ends, first.all_day, cancelled)


def _starts(
    entry: Entry,
    first: _First,
    zone: ZoneInfo,
    window: tuple[datetime, datetime],
    budget: Budget,
) -> Iterator[datetime]:
    """Yield the naive beginnings of a series, in no order, none twice."""
    since, until = (moment.astimezone(first.zone).replace(tzinfo=None) for moment in window)
    earliest = since - timedelta(first.days + 1) - first.exact
    left_out = {_naive(text, first) for text in _listed(entry, "EXDATE", zone)}
    days_out = {out for out in left_out if isinstance(out, date) and not isinstance(out, datetime)}
    given: set[datetime] = set()
    for start in _from_rule(entry, first, earliest, until, budget):
        given.add(start)
    for text in _listed(entry, "RDATE", zone):
        other = _naive(text, first)
        given.add(
            other
            if isinstance(other, datetime)
            else datetime.combine(other, first.start.time() if not first.all_day else time())
        )
    for start in given:
        if start not in left_out and start.date() not in days_out:
            yield start


def _from_rule(
    entry: Entry, first: _First, earliest: datetime, until: datetime, budget: Budget
) -> Iterator[datetime]:
    rule = entry.text("RRULE")
    if not rule:
        yield first.start
        return
    last, ended = until, limit(rule)
    if ended:
        moment, is_utc = read_moment(ended)
        if not isinstance(moment, datetime):
            moment = datetime.combine(moment, time.max)
        elif is_utc:
            moment = moment.replace(tzinfo=UTC).astimezone(first.zone).replace(tzinfo=None)
        last = min(until, moment)
    if last < earliest:  # over for long: not worked out
        return
    for start in recurring(rule, first.start, last, budget, earliest):
        if start >= earliest:
            yield start


def _listed(entry: Entry, name: str, zone: ZoneInfo) -> list[tuple[str, ZoneInfo]]:
    """Return the times of a list, each with its zone; of a period, its beginning."""
    return [
        (value.partition("/")[0], zone_of(found, is_utc=value.endswith("Z"), otherwise=zone))
        for found in entry.properties.get(name, [])
        for value in found.value.split(",")
        if value.strip()
    ]


def _naive(text: tuple[str, ZoneInfo], first: _First) -> datetime | date:
    """Return a time of a list by the clock of the series; a date stays one, unless all are."""
    moment, _ = read_moment(text[0])
    if not isinstance(moment, datetime):
        return datetime.combine(moment, time()) if first.all_day else moment
    return moment.replace(tzinfo=text[1]).astimezone(first.zone).replace(tzinfo=None)


def _instant(value: str, zone: ZoneInfo) -> datetime:
    moment, _ = read_moment(value)
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return moment.replace(tzinfo=zone).astimezone(UTC)


def _sequence(entry: Entry) -> int:
    text = entry.text("SEQUENCE")
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _first(entry: Entry, zone: ZoneInfo) -> _First:
    """Return when an entry takes place first. Raises ValueError."""
    found = entry.first("DTSTART")
    if found is None:
        raise ValueError("DTSTART")
    start, _ = read_moment(found.value)
    own = zone_of_entry(entry, "DTSTART", zone)
    if not isinstance(start, datetime):
        days = max(1, _all_days(entry, start))
        return _First(datetime.combine(start, time()), days, timedelta(), True, zone)
    days, exact = _length(entry, start, own, zone)
    return _First(start, days, exact, False, own)


def _all_days(entry: Entry, start: date) -> int:
    end = entry.first("DTEND")
    if end is not None:
        last, _ = read_moment(end.value)
        return ((last.date() if isinstance(last, datetime) else last) - start).days
    duration = entry.first("DURATION")
    return vDuration.from_ical(duration.value).days if duration else 1


def _length(entry: Entry, start: datetime, own: ZoneInfo, zone: ZoneInfo) -> tuple[int, timedelta]:
    """Return nominal days and exact time (section 3.8.5.3); an hour where nothing is said."""
    end, duration = entry.first("DTEND"), entry.first("DURATION")
    if end is not None:
        ends = _instant(end.value, zone_of_entry(entry, "DTEND", zone))
        exact = ends - start.replace(tzinfo=own).astimezone(UTC)
        if exact < timedelta():
            raise ValueError("DTEND")
        return 0, exact or timedelta(hours=1)
    if duration is not None:
        found = vDuration.from_ical(duration.value)
        if found > timedelta():
            return found.days, timedelta(seconds=found.seconds)
    return 0, timedelta(hours=1)
