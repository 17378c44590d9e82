"""A pass may be shown at a door before its home could say whose it is: somebody stands in for them.

Once the home says whose pass it is, the visits and half-days are the member's. Half-days that the
member has already are reversed by lines of their own: they count once.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from federation.charters import service as charters
from federation.visits import ledger
from federation.visits.models import HalfDayLine, Member, Visit
from shared.store.db import table_of


def merge(session: Session, now: datetime, stand_in: Member, member: Member) -> None:
    """Give a stand-in's visits and half-days to the member, both locked by the caller."""
    line = table_of(HalfDayLine).c
    last = session.scalar(select(func.max(line.occurrence)).where(line.member_id == member.id))
    # Whose a line is stands in no account: what it counts, where and when, is untouched.
    session.execute(
        update(table_of(HalfDayLine))
        .where(line.member_id == stand_in.id)
        .values(member_id=member.id, occurrence=line.occurrence + (last or 0) + 1)
    )
    query = select(Visit).where(Visit.member_id == stand_in.id).order_by(Visit.started_at)
    visits = session.scalars(query).all()
    for visit in visits:
        found = ledger.person(session, member.id, visit.started_at)
        found.visits |= {each.id: each for each in visits}
        found.settle(charters.split(session), now, visit)
    for visit in visits:
        visit.member_id, visit.changed_at = member.id, now
    session.flush()
