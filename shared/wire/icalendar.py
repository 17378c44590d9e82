"""Calendars that anybody may follow (RFC 5545)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event, vText

# RFC 5545, section 3.1: no control character but the tabulator in what people write.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What takes place; ``ends_at`` is None while it goes on, ``cancelled`` where nobody says it.

    Without a METHOD, the stamp says when it was last changed (section 3.8.7.2).
    """

    uid: str
    stamp: datetime
    starts_at: datetime
    ends_at: datetime | None
    summary: str
    location: str
    description: str = ""
    position: tuple[float, float] | None = None
    url: str = ""
    revision: int | None = None
    cancelled: bool | None = None


def calendar_bytes(
    name: str, service: str, entries: Iterable[Entry], *, zone: str = "", followed: bool = True
) -> bytes:
    """Return the same bytes for as long as none of the entries changes.

    Times are in UTC, which no change of clocks makes ambiguous; ``zone`` is where to show them.
    ``followed``: programs fetch it again each hour.
    """
    calendar = Calendar()
    calendar.add("prodid", f"-//Passerelle//{service}//FR")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", vText(_line(name)))
    if zone:
        calendar.add("x-wr-timezone", zone)
    if followed:
        calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for entry in entries:
        calendar.add_component(_component(entry))
    return bytes(calendar.to_ical())


def _component(entry: Entry) -> Event:
    found = Event()
    found.add("uid", entry.uid)
    found.add("dtstamp", entry.stamp.astimezone(UTC))
    if entry.cancelled is not None:
        found.add("last-modified", entry.stamp.astimezone(UTC))
        found.add("status", "CANCELLED" if entry.cancelled else "CONFIRMED")
    if entry.revision is not None:
        found.add("sequence", entry.revision)
    found.add("dtstart", entry.starts_at.astimezone(UTC))
    if entry.ends_at is not None:
        found.add("dtend", entry.ends_at.astimezone(UTC))
    found.add("summary", _line(entry.summary))
    if entry.description:
        found.add("description", _text(entry.description))
    found.add("location", _text(entry.location))
    if entry.position is not None:
        found.add("geo", entry.position)
    if entry.url:
        found.add("url", entry.url)
    return found


def _text(value: str) -> str:
    return _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n"))


def _line(value: str) -> str:
    return " ".join(_text(value).split())
