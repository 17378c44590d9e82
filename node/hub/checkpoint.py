"""Telling the hub what we remember, so that the one of us who forgot something is noticed.

The mark is renewed about every minute. When the hub has heard another than this database remembers,
one of us was restored from a backup, or this node runs twice: what both know is then compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub.models import HubCheckpoint
from node.hub.outbox import waiting
from shared.base.version import VERSION
from shared.store.db import release, write
from shared.wire.checkpoints import new_mark, turn_of

log = structlog.get_logger()

RENEW_AFTER = timedelta(minutes=1)
# Compared so often although nothing seems amiss.
COMPARE_AFTER = timedelta(days=1)


def memory(session: Session) -> HubCheckpoint | None:
    return session.get(HubCheckpoint, 1)


def exchange(session: Session, node: Node) -> bool:
    """Tell the hub our mark; return whether it is time to compare all. Raises PeerError.

    A hub that does not know of marks yet is compared with once a day.
    """
    now = node.clock.now()
    mark, last, remembered = _renew(session, now)
    told = {"mark": mark, "last": last, **_said(session, node)}
    release(session)
    answer = node.hub.call("POST", "/api/v1/nodes/me/mark", json=told, timeout=5)
    if answer.status == 200:
        _note(session, now, answer.json(), mark, last, remembered)
    row = memory(session)
    due = row is None or row.compared_at is None or now - row.compared_at > COMPARE_AFTER
    release(session)
    return due


def _said(session: Session, node: Node) -> dict[str, Any]:
    """Return what the coordination may want to know of this node; nothing of anybody in it."""
    counts = waiting(session)
    return {
        "version": VERSION,
        "outbox_pending": counts["pending"],
        "outbox_dead": counts["dead"] + counts["stuck"],
        "clock": node.clock.real().isoformat(),
    }


def _renew(session: Session, now: datetime) -> tuple[str, str | None, datetime]:
    """Return the mark to tell, the last the hub has, and up to when this database remembers.

    There is a new one every minute, once the hub has the last.
    """
    if memory(session) is None:
        with write(session):
            if memory(session) is None:
                first = {"mark": new_mark(), "renewed_at": now, "to_ask": [], "copies": False}
                session.add(HubCheckpoint(id=1, **first))
    row = session.get_one(HubCheckpoint, 1)
    if not row.told or now - row.renewed_at < RENEW_AFTER:
        return *_marks(row), row.renewed_at
    with locked(session) as row:
        remembered = row.renewed_at
        if row.told and now - remembered >= RENEW_AFTER:
            row.before, row.mark = row.mark, new_mark(row.mark)
            row.renewed_at, row.told = now, False
        return *_marks(row), remembered


def _marks(row: HubCheckpoint) -> tuple[str, str | None]:
    return row.mark, row.mark if row.told else row.before


@contextmanager
def locked(session: Session) -> Iterator[HubCheckpoint]:
    """Write to the row, which there is since the first exchange."""
    with write(session):
        yield session.scalars(select(HubCheckpoint).with_for_update()).one()


def _note(
    session: Session,
    now: datetime,
    told: Mapping[str, Any],
    mark: str,
    last: str | None,
    remembered: datetime,
) -> None:
    """Note that the hub has the mark; and, where it had heard another, who is behind since when."""
    agrees, heard = told["heard"] in (mark, last), told["heard"]
    row = memory(session)
    if row is not None and row.told and agrees and row.copies == told["copies"]:
        return
    with locked(session) as row:
        row.copies = told["copies"]
        if agrees:
            row.told = row.told or row.mark == mark
        else:
            row.behind = "hub" if turn_of(heard) < turn_of(last) else "node"
            heard_at = datetime.fromisoformat(told["heard_at"]) if told["heard_at"] else None
            row.since = heard_at if row.behind == "hub" else remembered
            row.compared_at = None
            row.before, row.mark = mark, new_mark(heard, mark)
            row.renewed_at, row.told = now, False
            log.warning("memory.differs", behind=row.behind)


def compared(session: Session, now: datetime, found: Mapping[str, Any] | None) -> None:
    """Note that everything was compared; with what was found if somebody had forgotten it."""
    with locked(session) as row:
        row.compared_at = now
        if found is not None:
            row.found = {"at": now.isoformat(), **found}


def dismiss(session: Session) -> None:
    """Note that an admin has read what was found."""
    with locked(session) as row:
        row.behind, row.since, row.found = None, None, None
