"""A space's events as a calendar that anybody may follow (RFC 5545)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, timedelta

from icalendar import Calendar, vText
from icalendar import Event as Entry

from node.events.models import Event
from node.spaces.models import Space

# RFC 5545, section 3.1: no control character but the tabulator in what people write.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u2029]")


def events_ics(space: Space, events: Sequence[Event], node_url: str) -> bytes:
    """Return the events; the same bytes for as long as nothing was changed.

    Times are in UTC, which no change of clocks makes ambiguous; X-WR-TIMEZONE says in which zone
    to show them. The random id is the UID: a node that moves to another address keeps it.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//Passerelle//node//FR")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", vText(" ".join(_text(space.name).split())))
    calendar.add("x-wr-timezone", space.timezone)
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    for event in events:
        calendar.add_component(_entry(space, event, node_url))
    return bytes(calendar.to_ical())


def _entry(space: Space, event: Event, node_url: str) -> Entry:
    entry = Entry()
    entry.add("uid", event.id)
    # Without a METHOD it says when the event was last changed (section 3.8.7.2).
    entry.add("dtstamp", event.updated_at.astimezone(UTC).replace(microsecond=0))
    entry.add("last-modified", event.updated_at.astimezone(UTC).replace(microsecond=0))
    entry.add("sequence", event.revision)
    entry.add("dtstart", event.starts_at.astimezone(UTC))
    entry.add("dtend", event.ends_at.astimezone(UTC))
    entry.add("summary", _text(event.title))
    if event.description:
        entry.add("description", _text(event.description))
    entry.add("location", _text(event.place or _address(space)))
    if not event.place and space.latitude is not None and space.longitude is not None:
        entry.add("geo", (space.latitude, space.longitude))
    entry.add("url", event.url or f"{node_url}/spaces/{space.id}")
    entry.add("status", "CANCELLED" if event.cancelled else "CONFIRMED")
    return entry


def _address(space: Space) -> str:
    town = f"{space.postcode or ''} {space.town}".strip()
    return ", ".join(filter(None, (space.name, space.street, town)))


def _text(value: str) -> str:
    return _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n"))
