"""The hours that spaces published, with the instants between which they held.

A visit that is told late is judged by what was published then, not by what its host says now.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from charter.hours import Schedule, read_schedule
from federation.spaces.models import SpaceHours
from shared.store.db import write

KEPT = timedelta(days=36)
_FIELDS = ("timezone", "week", "exceptions", "until")


def note(session: Session, space_id: str, space: Mapping[str, Any] | None, now: datetime) -> None:
    """Note the hours of a space's document, or that it is no longer published, as of now.

    In the caller's transaction.
    """
    found = (
        {name: space[name] for name in _FIELDS if space.get(name) is not None} if space else None
    )
    held = session.scalar(
        select(SpaceHours).where(SpaceHours.space_id == space_id, SpaceHours.until.is_(None))
    )
    if held is not None and held.document == found:
        return
    if held is not None:
        held.until = now
        session.flush()
    if found is not None:
        session.add(SpaceHours(space_id=space_id, since=now, document=found))


@lru_cache(1024)
def schedule(document: str) -> Schedule:
    """Read hours from their JSON: many visits ask for the same."""
    return read_schedule(orjson.loads(document))


def purge_expired(session: Session, now: datetime) -> None:
    """Forget hours that no report is judged by any more."""
    with write(session):
        session.execute(delete(SpaceHours).where(SpaceHours.until < now - KEPT))
