"""Keeping what a source has, in place of what it had; nothing that was typed is touched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from node.adapters.models import SpaceSource
from node.adapters.validation import Taken
from node.events.models import Event
from node.spaces import service as spaces
from node.spaces.hours import periods
from node.spaces.models import Price

# Calendars that follow ours still learn how the last weeks' events ended.
KEPT = timedelta(days=30)


def store(session: Session, row: SpaceSource, taken: Taken, now: datetime) -> bool:
    """Write what was read, within the caller's transaction; return whether anything changed.

    What is not there any more is withdrawn. What is over stays for a while: it took place.
    """
    changed = _keep_events(session, row, taken.events, now)
    today = spaces.today(spaces.space(session, row.space_id), now)
    since = (today - KEPT).isoformat()
    past = {day: hours for day, hours in row.days.items() if since <= day < today.isoformat()}
    days = {**past, **taken.days}
    if days != row.days or taken.prices != row.prices:
        row.days, row.prices = days, taken.prices
        changed = True
    return changed


def _keep_events(
    session: Session, row: SpaceSource, events: Mapping[str, dict[str, Any]], now: datetime
) -> bool:
    held = {
        event.id: event for event in session.scalars(select(Event).where(Event.source_id == row.id))
    }
    wanted = {
        event_id(row.id, key): {**values, "open_to": row.open_to} for key, values in events.items()
    }
    changed = False
    for name, values in wanted.items():
        event = held.get(name)
        if event is None:
            session.add(
                Event(id=name, space_id=row.space_id, source_id=row.id, updated_at=now, **values)
            )
            changed = True
        elif any(getattr(event, field) != value for field, value in values.items()):
            for field, value in values.items():
                setattr(event, field, value)
            event.revision += 1
            event.updated_at = now
            changed = True
    for name in held.keys() - wanted.keys():
        if held[name].ends_at > now:
            session.delete(held[name])
            changed = True
        elif held[name].ends_at < now - KEPT:
            session.delete(held[name])
    return changed


def event_id(source_id: int, key: str) -> str:
    """Return the number that an event keeps, also when it is withdrawn and comes back."""
    return hashlib.sha256(f"{source_id}:{key}".encode(errors="replace")).hexdigest()[:32]


def merge(session: Session, space_id: str) -> bool:
    """Bring what a space has from its sources up to date; return whether that changed.

    A date of which two sources speak is the one's that was added first.
    """
    space = spaces.space(session, space_id)
    days: dict[str, Any] = {}
    prices: list[Any] = []
    query = select(SpaceSource).where(SpaceSource.space_id == space_id).order_by(SpaceSource.id)
    for row in session.scalars(query):
        days = {**row.days, **days}
        prices += row.prices
    merged = {"days": dict(sorted(days.items())), "prices": prices} if days or prices else {}
    if merged == (space.imported or {}):
        return False
    space.imported = merged
    return True


def drop(session: Session, row: SpaceSource, now: datetime) -> None:
    """Withdraw what a source brought, within the caller's transaction. What is over stays."""
    coming = (Event.source_id == row.id, Event.ends_at > now)
    session.execute(delete(Event).where(*coming))
    session.delete(row)


def adopt(session: Session, row: SpaceSource) -> None:
    """Leave what a source brought to the sheet, as if it had been typed."""
    space = spaces.space(session, row.space_id)
    for event in session.scalars(select(Event).where(Event.source_id == row.id)):
        event.source_id = None
    # Before what was typed, which goes before it; days in a row that are alike are one entry.
    days = [(date.fromisoformat(day), hours) for day, hours in sorted(row.days.items())]
    kept = list(periods(days))
    space.special_days = [*kept, *space.special_days]
    space.prices += [
        Price(place=len(space.prices) + n, **price) for n, price in enumerate(row.prices)
    ]
    session.delete(row)
