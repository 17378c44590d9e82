"""What a space has from its sources, and what a reading would change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.adapters.apply import event_id
from node.adapters.models import SpaceSource
from node.adapters.validation import Taken
from node.events.models import Event


@dataclass(frozen=True, slots=True)
class Differences:
    """Of coming events: how many are new, how many would change, how many would be withdrawn."""

    new: int
    changed: int
    withdrawn: int


def names(session: Session, space_id: str) -> dict[int, str]:
    """Return what the admin calls each source of a space."""
    query = select(SpaceSource.id, SpaceSource.name).where(SpaceSource.space_id == space_id)
    return {row.id: row.name for row in session.execute(query)}


def counts(session: Session, space_id: str, now: datetime) -> dict[int | None, int]:
    """Return how many coming events are of each source."""
    query = (
        select(Event.source_id, func.count())
        .where(Event.space_id == space_id, Event.source_id.is_not(None), Event.ends_at > now)
        .group_by(Event.source_id)
    )
    return {row[0]: row[1] for row in session.execute(query)}


def differences(session: Session, row: SpaceSource, taken: Taken, now: datetime) -> Differences:
    query = select(Event).where(Event.source_id == row.id, Event.ends_at > now)
    held = {event.id: event for event in session.scalars(query)}
    wanted = {event_id(row.id, key): values for key, values in taken.events.items()}
    return Differences(
        new=len(wanted.keys() - held.keys()),
        changed=sum(
            any(getattr(held[name], field) != value for field, value in wanted[name].items())
            for name in held.keys() & wanted.keys()
        ),
        withdrawn=len(held.keys() - wanted.keys()),
    )
