"""A space's events as a calendar that anybody may follow."""

from __future__ import annotations

from collections.abc import Sequence

from node.events.models import Event
from node.spaces.models import Space
from shared.wire.icalendar import Entry, calendar_bytes


def events_ics(space: Space, events: Sequence[Event], node_url: str) -> bytes:
    """Return the events. A random id is the UID: a node that moves to another address keeps it."""
    entries = (_entry(space, event, node_url) for event in events)
    return calendar_bytes(space.name, "node", entries, zone=space.timezone)


def _entry(space: Space, event: Event, node_url: str) -> Entry:
    position = None
    if space.latitude is not None and space.longitude is not None:
        position = space.latitude, space.longitude
    return Entry(
        uid=event.id,
        stamp=event.updated_at,
        revision=event.revision,
        starts_at=event.starts_at,
        ends_at=event.ends_at,
        summary=event.title,
        description=event.description,
        location=event.place or _address(space),
        position=None if event.place else position,
        url=event.url or f"{node_url}/spaces/{space.id}",
        cancelled=event.cancelled,
    )


def _address(space: Space) -> str:
    town = f"{space.postcode or ''} {space.town}".strip()
    return ", ".join(filter(None, (space.name, space.street, town)))
