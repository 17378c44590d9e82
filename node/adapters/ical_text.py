"""iCalendar as text (RFC 5545): taken apart without trust, entry by entry.

Zones are known by their names. A calendar's own definitions of zones are not read: they may recur
every second, and are of no use where names are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from icalendar.parser import Contentline
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from node.adapters.interface import Unreadable

MOST_ENTRIES = 5_000
_LONGEST_VALUE = 100_000
_WANTED = {"UID", "DTSTART", "DTEND", "DURATION", "RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"}
_WANTED |= {"SEQUENCE", "STATUS", "SUMMARY", "DESCRIPTION", "LOCATION", "URL", "CLASS"}
_NAME = re.compile(r"[A-Za-z0-9-]+")
_FOLD = re.compile(r"\r?\n[ \t]")
_MOMENT = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Property:
    params: Mapping[str, str]
    value: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A VEVENT; ``number`` is its place in the file, from 1."""

    number: int
    properties: dict[str, list[Property]] = field(default_factory=dict)

    def first(self, name: str) -> Property | None:
        found = self.properties.get(name)
        return found[0] if found else None

    def text(self, name: str) -> str:
        found = self.first(name)
        return _unescape(found.value) if found else ""


@dataclass(frozen=True, slots=True)
class CalendarText:
    """``zone`` is the one that the calendar names for times without any; else None."""

    zone: ZoneInfo | None
    entries: list[Entry]


def decode(content: bytes) -> str:
    """Return a calendar's text: UTF-8, even if some of it is broken, else Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    text = content.decode("utf-8-sig", errors="replace")
    broken = text.count("\ufffd")
    if broken and broken >= sum(1 for c in text if c > "\x7f" and c != "\ufffd"):
        return content.decode("cp1252", errors="replace")
    return text


def read_calendar(content: bytes) -> CalendarText:
    """Take a calendar apart. Raises Unreadable."""
    text = decode(content).strip()
    head = text[:200].upper()
    if not head.startswith("BEGIN:VCALENDAR"):
        if head.lstrip().startswith("<"):
            raise Unreadable("A web page came in place of a calendar.")
        raise Unreadable("What came is not a calendar (iCalendar, .ics).")
    if not text.upper().endswith("END:VCALENDAR"):
        raise Unreadable("The calendar is cut off: its end is missing.")
    if text.upper().count("BEGIN:VEVENT") > MOST_ENTRIES:
        raise Unreadable("The calendar has more than 5,000 entries: choose a smaller one.")
    return _take_apart(_FOLD.sub("", text).splitlines())


def _take_apart(lines: list[str]) -> CalendarText:
    zone: ZoneInfo | None = None
    entries: list[Entry] = []
    open_parts: list[str] = []
    for line in lines:
        match = _NAME.match(line)
        name = match[0].upper() if match else ""
        if name == "BEGIN":
            open_parts.append(line[6:].strip().upper())
            if open_parts == ["VCALENDAR", "VEVENT"]:
                entries.append(Entry(len(entries) + 1))
        elif name == "END":
            if open_parts and open_parts[-1] == line[4:].strip().upper():
                open_parts.pop()
        elif name == "X-WR-TIMEZONE" and open_parts == ["VCALENDAR"]:
            zone = find_zone(line.partition(":")[2].strip())
        elif name in _WANTED and open_parts == ["VCALENDAR", "VEVENT"]:
            found = _property(line)
            if found is not None:
                entries[-1].properties.setdefault(name, []).append(found)
    return CalendarText(zone, entries)


def _property(line: str) -> Property | None:
    try:
        _, params, value = Contentline(line[:_LONGEST_VALUE]).parts()
    except ValueError:
        return None
    return Property({str(k).upper(): str(v) for k, v in params.items()}, str(value))


def _unescape(value: str) -> str:
    return re.sub(r"\\([\\;,nN])", lambda m: "\n" if m[1] in "nN" else m[1], value)


def find_zone(name: str) -> ZoneInfo | None:
    """Return a zone by its name, as several tools write it; None if it is not known."""
    name = WINDOWS_TO_OLSON.get(name, name).strip('"')
    # Some tools put their own address before it: /example.org/20260101/Europe/Paris
    parts = name.strip("/").split("/")
    for tail in dict.fromkeys(("/".join(parts), "/".join(parts[-3:]), "/".join(parts[-2:]))):
        try:
            return ZoneInfo(tail)
        except (ValueError, OSError, KeyError):
            continue
    return None


def read_moment(value: str) -> tuple[date | datetime, bool]:
    """Read ``20261203`` or ``20261203T083000Z``: a date or a naive time, and whether it is UTC.

    Raises ValueError.
    """
    match = _MOMENT.fullmatch(value.strip())
    if not match:
        raise ValueError(value)
    year, month, day = (int(part) for part in match.group(1, 2, 3))
    if match[4] is None:
        return date(year, month, day), False
    hour, minute, second = (int(part) for part in match.group(4, 5, 6))
    return datetime(year, month, day, hour, minute, min(second, 59)), bool(match[7])  # noqa: DTZ001


def zone_of(found: Property, *, is_utc: bool, otherwise: ZoneInfo) -> ZoneInfo:
    """Return the zone that a property's time is of."""
    if is_utc:
        return ZoneInfo("UTC")
    return find_zone(found.params.get("TZID", "")) or otherwise
