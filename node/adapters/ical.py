"""A calendar's address (iCalendar): the space's events, its closings, or its exceptional hours."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta

from flask_babel import lazy_gettext

from charter.hours import Schedule
from node.adapters.ical_text import read_calendar
from node.adapters.interface import Fetch, Found, FoundDay, FoundEvent, Source, Unreadable
from node.adapters.occurrences import Occurrence, occurrences

_TAG = re.compile(r"<(/?)(br|p|div|li|ul|ol|b|i|u|strong|em|span|a|h[1-6])\b[^<>]{0,500}>", re.I)
_BREAKS = ("br", "p", "div", "li")
_DAY = timedelta(days=1)
_MOST_TIMES = 2_000

_ADDRESS = lazy_gettext("The address of a calendar, ending in .ics as a rule.")


class Events:
    """Each entry is an event."""

    title = lazy_gettext("Calendar: events")
    hint = _ADDRESS

    def read(self, source: Source, fetch: Fetch) -> Found:
        calendar = read_calendar(fetch(source.url))
        found, faults = occurrences(calendar, source, source.now)
        return Found(events=[_event(one, source) for one in found], faults=faults)


class Closings:
    """An entry of a whole day: closed. One with hours: closed during them."""

    title = lazy_gettext("Calendar: closings")
    hint = _ADDRESS

    def read(self, source: Source, fetch: Fetch) -> Found:
        found, faults = _taking_place(source, fetch)
        return Found(days=closed_days(found, source.hours), faults=faults)


class Hours:
    """Entries with hours are the hours of their day, in place of the week's."""

    title = lazy_gettext("Calendar: exceptional hours")
    hint = _ADDRESS

    def read(self, source: Source, fetch: Fetch) -> Found:
        found, faults = _taking_place(source, fetch)
        return Found(days=open_days(found, source.hours), faults=faults)


def _taking_place(source: Source, fetch: Fetch) -> tuple[list[Occurrence], list[str]]:
    calendar, zone = read_calendar(fetch(source.url)), source.hours.zone
    today = datetime.combine(source.now.astimezone(zone).date(), time(), zone)
    found, faults = occurrences(calendar, source, today)
    if len(found) > _MOST_TIMES:
        raise Unreadable("The calendar has more than 2,000 closings in a year.")
    return [
        replace(
            one,
            starts=max(one.starts, today.replace(tzinfo=one.starts.tzinfo)),
            ends=min(one.ends, source.until),
        )
        for one in found
        if not one.cancelled
    ], faults


def _event(one: Occurrence, source: Source) -> FoundEvent:
    entry, place = one.entry, plain(one.entry.text("LOCATION"))
    # Its own address says nothing that its page does not.
    known = {source.name.casefold(), source.street.casefold()} - {""}
    here = any(name in place.casefold() for name in known)
    address = entry.first("URL")
    return FoundEvent(
        key=one.key,
        title=plain(entry.text("SUMMARY")),
        starts_at=one.starts,
        ends_at=one.ends,
        description=plain(entry.text("DESCRIPTION")),
        place="" if here else " ".join(place.split()),
        url=address.value.strip() if address else "",
        cancelled=one.cancelled,
    )


def plain(text: str) -> str:
    """Return a text without the tags that some calendars put into descriptions."""
    without = _TAG.sub(lambda tag: "\n" if tag[2].lower() in _BREAKS else "", text)
    return re.sub(r"\n{3,}", "\n\n", html.unescape(without) if without != text else text).strip()


def _days_of(one: Occurrence) -> Iterator[date]:
    """Yield the dates that an all-day entry is of; they are the same in every zone."""
    day = one.starts.date()
    while day < one.ends.date():
        yield day
        day += _DAY


def closed_days(found: Sequence[Occurrence], hours: Schedule) -> list[FoundDay]:
    """Return the days on which a space is closed, or open for a part of its hours."""
    whole = {day for one in found if one.all_day for day in _days_of(one)}
    days = {day: FoundDay(day) for day in whole}
    spans = [
        (one.starts.astimezone(hours.zone), one.ends.astimezone(hours.zone))
        for one in found
        if not one.all_day
    ]
    # Hours past midnight are of the day before.
    touching: dict[date, list[tuple[datetime, datetime]]] = {}
    for start, end in spans:
        for day in _touched(start, end):
            touching.setdefault(day, []).append((start, end))
    for day in touching.keys() - whole:
        usual = hours.on(day)
        left = [piece for span in usual for piece in _without(day, span, touching[day], hours)]
        if tuple(left) != tuple(usual):
            days[day] = FoundDay(day, tuple(left))
    return [days[day] for day in sorted(days)]


def _touched(start: datetime, end: datetime) -> Iterator[date]:
    day = start.date() - _DAY
    while day <= end.date():
        yield day
        day += _DAY


def _without(
    day: date, span: tuple[time, time], spans: Sequence[tuple[datetime, datetime]], hours: Schedule
) -> list[tuple[time, time]]:
    """Return what is left of a day's hours; what would open again after midnight is dropped."""
    opens, closes = span
    last = day if closes > opens else day + _DAY
    pieces = [
        (datetime.combine(day, opens, hours.zone), datetime.combine(last, closes, hours.zone))
    ]
    for start, end in spans:
        rest = []
        for a, b in pieces:
            if start >= b or end <= a:
                rest.append((a, b))
                continue
            rest += [(a, start)] if start > a else []
            rest += [(end, b)] if end < b else []
        pieces = rest
    return [(_minute(a), _minute(b)) for a, b in pieces if a.date() == day]


def _minute(moment: datetime) -> time:
    return time(moment.hour, moment.minute)


def open_days(found: Sequence[Occurrence], hours: Schedule) -> list[FoundDay]:
    """Return the days whose hours are those of the entries; whole days are closed days."""
    days: dict[date, set[tuple[time, time]]] = {}
    for one in found:
        if one.all_day:
            for day in _days_of(one):
                days.setdefault(day, set())
        elif one.ends - one.starts < _DAY:
            start, end = one.starts.astimezone(hours.zone), one.ends.astimezone(hours.zone)
            days.setdefault(start.date(), set()).add((_minute(start), _minute(end)))
    return [FoundDay(day, tuple(sorted(days[day]))) for day in sorted(days)]
