"""Announcing events, changing them, and calling them off; each is published at once."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from sqlalchemy.orm import Session

from node.context import Node
from node.events.models import Event
from node.spaces import service as spaces
from shared.store.db import write
from shared.wire.problems import Problem


def find(session: Session, space_id: str, event_id: str) -> Event:
    """Return one event of a space. Raises Problem("not-found")."""
    row = session.get(Event, event_id)
    if row is None or row.space_id != space_id:
        raise Problem("not-found")
    return row


def typed(session: Session, space_id: str, event_id: str) -> Event:
    """Return an event that was typed here. Raises Problem, for one that a source brought too."""
    row = find(session, space_id, event_id)
    if row.source_id is not None:
        raise Problem("conflict", "this event is read from a source: change it there")
    return row


def add(session: Session, node: Node, space_id: str, values: Mapping[str, Any]) -> str:
    """Announce an event and queue the publication. Returns its id. Raises Problem."""
    with write(session):
        spaces.space(session, space_id)
        row = Event(id=token_hex(16), space_id=space_id, updated_at=node.clock.now(), **values)
        session.add(row)
        event_id = row.id
        spaces.queue_publication(session, node)
    return event_id


def change(
    session: Session, node: Node, space_id: str, event_id: str, values: Mapping[str, Any]
) -> None:
    """Change an event, or call it off, and queue the publication. Raises Problem.

    Each change is a new ``revision``: calendars take an event again when its SEQUENCE has grown.
    """
    with write(session):
        row = typed(session, space_id, event_id)
        for name, value in values.items():
            setattr(row, name, value)
        row.revision += 1
        row.updated_at = node.clock.now()
        spaces.queue_publication(session, node)
