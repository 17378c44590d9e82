"""Telling the hub what we remember, so that the one of us who forgot something is noticed.

The mark is renewed about every minute. When the hub heard last neither it nor the one before, one
of us was restored from a backup, or this node runs twice: what both know is then compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.sync.models import Memory
from shared.db import begin_write
from shared.marks import new_mark, turn_of

log = structlog.get_logger()

RENEW_AFTER = timedelta(minutes=1)
# Compared so often although nothing seems amiss.
COMPARE_AFTER = timedelta(days=1)


def memory(session: Session) -> Memory | None:
    return session.get(Memory, 1)


def exchange(session: Session, node: Node) -> bool:
    """Tell the hub our mark; return whether it is time to compare all. Raises PeerError.

    A hub that does not know of marks yet is compared with once a day.
    """
    now = node.clock.now()
    row = memory(session) or _begin(session, now)
    mark, before, renewed_at = row.mark, row.before, row.renewed_at
    session.rollback()
    answer = node.hub.call(
        "POST", "/api/v1/nodes/me/mark", json={"mark": mark, "before": before}, timeout=5
    )
    if answer.status == 200:
        told = answer.json()
        if told["heard"] not in (mark, before):
            _note(session, told, mark, before, renewed_at)
        _renew(session, now, mark, told)
    row = memory(session)
    due = row is None or row.compared_at is None or now - row.compared_at > COMPARE_AFTER
    session.rollback()
    return due


def _begin(session: Session, now: datetime) -> Memory:
    begin_write(session)
    row = memory(session)
    if row is None:
        row = Memory(id=1, mark=new_mark(), renewed_at=now, to_ask=[])
        session.add(row)
    session.commit()
    return row


def locked(session: Session) -> Memory:
    """Start writing; return the row, which there is since the first exchange."""
    begin_write(session)
    return session.scalars(select(Memory).with_for_update()).one()


def _note(
    session: Session,
    told: Mapping[str, Any],
    mark: str,
    before: str | None,
    renewed_at: datetime,
) -> None:
    """Note who is behind, and up to when that one remembers."""
    row = locked(session)
    behind = "hub" if turn_of(told["heard"]) < turn_of(before) else "node"
    heard_at = datetime.fromisoformat(told["heard_at"]) if told["heard_at"] else None
    since = heard_at if behind == "hub" else renewed_at
    row.behind, row.since, row.compared_at = behind, since, None
    row.mark, row.before = new_mark(told["heard"], mark), mark
    session.commit()
    log.warning("memory.differs", behind=behind)


def _renew(session: Session, now: datetime, mark: str, told: Mapping[str, Any]) -> None:
    """Go on to the next mark once the hub has this one."""
    row = memory(session)
    if row is None or (row.copies == told["copies"] and now - row.renewed_at < RENEW_AFTER):
        session.rollback()
        return
    row = locked(session)
    row.copies = told["copies"]
    if row.mark == mark and now - row.renewed_at >= RENEW_AFTER:
        row.mark, row.before, row.renewed_at = new_mark(mark), mark, now
    session.commit()


def compared(session: Session, now: datetime, found: Mapping[str, Any] | None) -> None:
    """Note that everything was compared; with what was found if somebody had forgotten it."""
    row = locked(session)
    row.compared_at = now
    if found is not None:
        row.found = {"at": now.isoformat(), **found}
    session.commit()


def dismiss(session: Session) -> None:
    """Note that an admin has read what was found."""
    row = locked(session)
    row.behind, row.since, row.found = None, None, None
    session.commit()
