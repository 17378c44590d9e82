"""The events of published spaces as the agenda finds them: by day, word and town."""

from __future__ import annotations

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from federation.spaces.models import Space, SpaceEvent
from federation.text_search import plain
from shared.base.schemas import DEFAULT_ZONE
from shared.wire.events import span

# An event that ends at midnight is not of the day that begins then.
_MOMENT = timedelta(microseconds=1)


def as_words(text: str) -> str:
    """Return a text as it is searched; what follows an apostrophe is a word of its own."""
    return plain(text.replace("’", " "))


def store(session: Session, space: Space) -> None:
    """Make the agenda's rows of a space what its document says, in the caller's transaction."""
    session.flush()  # the space itself comes first
    session.execute(delete(SpaceEvent).where(SpaceEvent.space_id == space.id))
    zone = ZoneInfo(space.document.get("timezone") or DEFAULT_ZONE)
    rows = {}
    for event in space.document.get("events", ()):
        starts_at, ends_at = span(event)
        words = (event["title"], event["description"], event["place"], space.name, space.town)
        rows[event["id"]] = {
            "space_id": space.id,
            "event_id": event["id"],
            "starts_at": starts_at.astimezone(UTC),
            "ends_at": ends_at.astimezone(UTC),
            "first_day": starts_at.astimezone(zone).date(),
            "last_day": (ends_at - _MOMENT).astimezone(zone).date(),
            "words": f" {as_words(' '.join(words))}",
            "town": f" {as_words(space.town)}",
            "document": event,
        }
    if rows:
        session.execute(insert(SpaceEvent), list(rows.values()))
