"""What homes say of their passes: whose they are, and whether they hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from federation.visits.models import Member, Pass
from federation.visits.stand_in import merge
from shared.db import begin_write

PAGE = 500
# A pass whose end was not told is in use for a year at most.
IN_USE = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Word:
    """A home's word on a pass; ``changes`` is None where the home does not count them."""

    member: str
    member_since: date
    status: str
    changes: int | None = None
    number: int | None = None
    expires_at: datetime | None = None


def register_pass(session: Session, now: datetime, node_id: str, pass_id: str, word: Word) -> None:
    """Take a home's word on a pass. Repeating it is harmless.

    Of words told in another order, or out of a backup, the last one holds; revoked is for good.
    """
    begin_write(session)
    query = select(Member).where(Member.node_id == node_id, Member.reference == word.member)
    member = session.scalar(query.with_for_update())
    row = session.get(Pass, (node_id, pass_id))
    # A door may have been shown the pass before its home could announce it.
    stand_in = session.get(Member, row.member_id, with_for_update=True) if row else None
    if stand_in is None or stand_in.reference != f"pass:{pass_id}":
        stand_in = None
    if member is None and stand_in is not None:
        member, stand_in = stand_in, None
        member.reference = word.member
    elif member is None:
        member = Member(node_id=node_id, reference=word.member)
        session.add(member)
    member.member_since = word.member_since
    session.flush()
    if row is None:
        row = Pass(
            node_id=node_id, id=pass_id, member_id=member.id, status=word.status, changed_at=now
        )
        session.add(row)
    elif stand_in is not None:
        merge(session, now, stand_in, member)
    row.member_id = member.id
    _take(row, word, now)
    session.commit()


def _take(row: Pass, word: Word, now: datetime) -> None:
    row.number = row.number if word.number is None else word.number
    row.expires_at = word.expires_at or row.expires_at
    if word.changes is not None and word.changes < (row.changes or 0):
        return
    row.changes = word.changes or 0
    if row.status != "revoked":
        row.status, row.changed_at = word.status, now


def known(session: Session, now: datetime, node_id: str, after: str) -> list[dict[str, Any]]:
    """Return what was told of a home's passes that are not over, by id; one more than a page."""
    query = (
        select(Pass, Member)
        .join(Member, Member.id == Pass.member_id)
        .where(
            Pass.node_id == node_id,
            Pass.id > after,
            or_(
                Pass.expires_at > now,
                Pass.expires_at.is_(None) & (Pass.changed_at > now - IN_USE),
            ),
        )
        .order_by(Pass.id)
        .limit(PAGE + 1)
    )
    return [
        {
            "id": row.id,
            "member": member.reference,
            "member_since": member.member_since,
            "status": row.status,
            "changes": row.changes,
            "number": row.number,
            "expires_at": row.expires_at,
        }
        for row, member in session.execute(query)
    ]
