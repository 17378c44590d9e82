"""The agenda as a calendar that anybody may follow."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from federation.spaces.models import SpaceEvent
from shared.wire.icalendar import Entry, calendar_bytes


def agenda_ics(name: str, rows: Sequence[SpaceEvent], hub_url: str) -> bytes:
    return calendar_bytes(name, "hub", (_entry(row, hub_url) for row in rows))


def _entry(row: SpaceEvent, hub_url: str) -> Entry:
    event, space = row.document, row.space
    position = None
    if space.latitude is not None and space.longitude is not None:
        position = space.latitude, space.longitude
    return Entry(
        # With the space and the hub, so that two operators' ids are never one event.
        uid=f"{row.event_id}.{row.space_id}@{urlsplit(hub_url).hostname}",
        stamp=space.published_at,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        summary=f"{event['title']} – {space.name}",
        description=event["description"],
        location=event["place"] or _address(row),
        position=None if event["place"] else position,
        url=event["url"] or f"{hub_url}/spaces/{space.id}",
        cancelled=event["cancelled"],
    )


def _address(row: SpaceEvent) -> str:
    address = row.space.document.get("address") or {}
    town = f"{address.get('postcode') or ''} {row.space.town}".strip()
    return ", ".join(filter(None, (row.space.name, address.get("street"), town)))
