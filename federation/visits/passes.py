"""What homes say of their passes: whose they are, and whether they hold."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.visits.models import Member, Pass
from shared.db import begin_write


def register_pass(
    session: Session,
    now: datetime,
    node_id: str,
    pass_id: str,
    reference: str,
    member_since: date,
    status: str,
) -> None:
    """Take a home's word on a pass: whose it is, and whether it holds. Repeating it is harmless."""
    begin_write(session)
    query = select(Member).where(Member.node_id == node_id, Member.reference == reference)
    member = session.scalar(query.with_for_update())
    row = session.get(Pass, (node_id, pass_id))
    if member is None:
        # A door may have been shown the pass before its home could announce it.
        stand_in = session.get(Member, row.member_id) if row else None
        if stand_in is not None and stand_in.reference == f"pass:{pass_id}":
            member = stand_in
            member.reference = reference
        else:
            member = Member(node_id=node_id, reference=reference)
            session.add(member)
    member.member_since = member_since
    session.flush()
    if row is None:
        row = Pass(node_id=node_id, id=pass_id, member_id=member.id, changed_at=now)
        session.add(row)
    row.member_id, row.status, row.changed_at = member.id, status, now
    session.commit()
