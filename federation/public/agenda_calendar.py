"""The agenda as a calendar that anybody may follow (RFC 5545)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, timedelta
from urllib.parse import urlsplit

from icalendar import Calendar, vText
from icalendar import Event as Entry

from federation.spaces.models import SpaceEvent

# RFC 5545, section 3.1: no control character but the tabulator in what people write.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")


def agenda_ics(name: str, rows: Sequence[SpaceEvent], hub_url: str) -> bytes:
    """Return the events; the same bytes for as long as none of them changes.

    Times are in UTC, which no change of clocks makes ambiguous.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Passerelle//hub//FR")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", vText(_line(name)))
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for row in rows:
        calendar.add_component(_entry(row, hub_url))
    return bytes(calendar.to_ical())


def _entry(row: SpaceEvent, hub_url: str) -> Entry:
    entry, event, space = Entry(), row.document, row.space
    # With the space and the hub, so that two operators' ids are never one event.
    entry.add("uid", f"{row.event_id}.{row.space_id}@{urlsplit(hub_url).hostname}")
    changed = space.published_at.astimezone(UTC).replace(microsecond=0)
    entry.add("dtstamp", changed)
    entry.add("last-modified", changed)
    entry.add("dtstart", row.starts_at.astimezone(UTC))
    entry.add("dtend", row.ends_at.astimezone(UTC))
    entry.add("summary", f"{_line(event['title'])} – {_line(space.name)}")
    if event["description"]:
        entry.add("description", _text(event["description"]))
    entry.add("location", _text(event["place"] or _address(row)))
    if not event["place"] and space.latitude is not None and space.longitude is not None:
        entry.add("geo", (space.latitude, space.longitude))
    entry.add("url", event["url"] or f"{hub_url}/spaces/{space.id}")
    entry.add("status", "CANCELLED" if event["cancelled"] else "CONFIRMED")
    return entry


def _address(row: SpaceEvent) -> str:
    address = row.space.document.get("address") or {}
    town = f"{address.get('postcode') or ''} {row.space.town}".strip()
    return ", ".join(filter(None, (row.space.name, address.get("street"), town)))


def _text(value: str) -> str:
    return _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n"))


def _line(value: str) -> str:
    return " ".join(_text(value).split())
