"""Which events there are, and how they are published."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.events.models import Event
from shared.wire.events import MOST_EVENTS

PUBLISHED_AHEAD = timedelta(days=365)


def since(session: Session, space_id: str, moment: datetime) -> list[Event]:
    """Return the events of a space that end after a moment, the first to begin first."""
    query = select(Event).where(Event.space_id == space_id, Event.ends_at > moment)
    return list(session.scalars(query.order_by(Event.starts_at, Event.id)))


def published(session: Session, space_id: str, now: datetime, zone: str) -> list[dict[str, Any]]:
    """Return a space's events as its document has them: not over, within a year, so many at most.

    What was typed here goes before what was read elsewhere, where there is too much. Times have
    the offset that the space's zone has then.
    """
    query = (
        select(Event)
        .where(
            Event.space_id == space_id,
            Event.ends_at > now,
            Event.starts_at < now + PUBLISHED_AHEAD,
        )
        .order_by(Event.source_id.is_not(None), Event.starts_at, Event.id)
        .limit(MOST_EVENTS)
    )
    found = sorted(session.scalars(query), key=lambda event: (event.starts_at, event.id))
    return documents(found, zone)


def documents(events: Sequence[Event], zone: str) -> list[dict[str, Any]]:
    local = ZoneInfo(zone)
    return [
        {
            "id": event.id,
            "title": event.title,
            "description": event.description,
            "starts_at": event.starts_at.astimezone(local).isoformat(),
            "ends_at": event.ends_at.astimezone(local).isoformat(),
            "place": event.place,
            "url": event.url,
            "open_to": event.open_to,
            "cancelled": event.cancelled,
        }
        for event in events
    ]
