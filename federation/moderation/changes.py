"""What changed in published documents since a moderator last looked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.moderation.difference import differing, lasting
from federation.moderation.models import Change
from shared.store.db import write
from shared.wire.documents import space_of

KEPT_FOR = timedelta(days=365)
KEPT_OF_ONE = 20


def note(
    session: Session,
    now: datetime,
    source: str,
    name: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    version: int,
) -> None:
    """Note that a document became another, in the caller's transaction; None is no document.

    It joins what nobody has looked at yet. What a day's passing changes is not worth a look.
    """
    today = now.date()
    was, is_now = differing(lasting(before or {}, today), lasting(after or {}, today))
    if not was and not is_now:
        return
    unseen = select(Change).where(
        Change.source == source, Change.name == name, Change.seen_at.is_(None)
    )
    # Locked: whoever marks it as seen at this moment has seen this too, or it is a row of its own.
    row = session.scalar(unseen.with_for_update().execution_options(populate_existing=True))
    if row is None:
        row = Change(source=source, name=name, space_id=space_of(name), first_at=now, times=0)
        row.before, row.after = {}, {}
        session.add(row)
    touched = was.keys() | is_now.keys()
    first = {field: value for field, value in was.items() if field not in row.after}
    # A field that this row knows keeps what it was when somebody last looked.
    row.before = {**{f: v for f, v in first.items() if f not in row.before}, **row.before}
    row.after = {f: v for f, v in row.after.items() if f not in touched} | is_now
    row.version, row.at, row.times = version, now, row.times + 1


def unseen(session: Session, limit: int, space_id: str | None = None) -> list[Change]:
    """Return what nobody has looked at yet, the latest first."""
    query = select(Change).where(Change.seen_at.is_(None))
    if space_id is not None:
        query = query.where(Change.space_id == space_id)
    return list(session.scalars(query.order_by(Change.at.desc(), Change.id).limit(limit)))


def of_space(session: Session, space_id: str, limit: int) -> list[Change]:
    query = select(Change).where(Change.space_id == space_id)
    return list(session.scalars(query.order_by(Change.at.desc(), Change.id.desc()).limit(limit)))


def count_unseen(session: Session) -> int:
    return session.scalar(select(func.count()).where(Change.seen_at.is_(None))) or 0


def mark_seen(session: Session, now: datetime, actor: str, shown: Iterable[tuple[int, int]]) -> int:
    """Note that changes were looked at, each named by id and ``times``; return how many were.

    One that has changed again since it was shown stays to be looked at.
    """
    wanted = tuple_(Change.id, Change.times).in_(list(shown))
    return _mark(session, now, actor, wanted)


def mark_all_seen(session: Session, now: datetime, actor: str, until: datetime) -> int:
    """Note that all that changed up to a moment was looked at; return how many changes it was."""
    return _mark(session, now, actor, Change.at <= until)


def _mark(session: Session, now: datetime, actor: str, wanted: Any) -> int:
    with write(session):
        marked = session.execute(
            update(Change)
            .where(Change.seen_at.is_(None), wanted)
            .values(seen_at=now, seen_by=actor)
            .returning(Change.source, Change.name, Change.version),
            execution_options={"synchronize_session": False},
        ).all()
        for row in marked:
            detail = {"before": "unseen", "after": "seen", "version": row.version}
            audit(session, now, actor, "change-seen", f"{row.source}:{row.name}"[:160], **detail)
    return len(marked)


def purge_expired(session: Session, now: datetime) -> None:
    """Drop what was looked at a year ago, and all but the latest of a document's changes."""
    with write(session):
        rank = func.row_number().over(
            partition_by=(Change.source, Change.name), order_by=Change.id.desc()
        )
        ranked = select(Change.id, rank.label("rank")).where(Change.seen_at.is_not(None)).subquery()
        many = select(ranked.c.id).where(ranked.c.rank > KEPT_OF_ONE)
        for old in (Change.seen_at < now - KEPT_FOR, Change.id.in_(many)):
            session.execute(
                delete(Change).where(old), execution_options={"synchronize_session": False}
            )
