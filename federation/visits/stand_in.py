"""A pass may be shown at a door before its home could say whose it is: somebody stands in for her.

Once the home says whose pass it is, her visits and half-days are hers. Half-days that she has
already at the same place are reversed by lines of their own: they count once.
"""

from __future__ import annotations

from datetime import date, datetime
from itertools import pairwise

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from federation.governance import service as governance
from federation.visits import ledger
from federation.visits.models import HalfDayLine, Member, Visit


def merge(session: Session, now: datetime, stand_in: Member, member: Member) -> None:
    """Give a stand-in's visits and half-days to the member, both locked by the caller."""
    _end_earlier(session, now, (stand_in.id, member.id))
    session.flush()
    hers, theirs = _lines(session, member.id), _lines(session, stand_in.id)
    for key, lines in theirs.items():
        if sum(line.quantity for line in lines) <= 0:
            continue
        known = hers.get(key, [])
        if sum(line.quantity for line in known) > 0:
            undone = {line.occurrence for line in lines if line.quantity < 0}
            for line in lines:
                if line.quantity > 0 and line.occurrence not in undone:
                    visit = session.get_one(Visit, line.visit_id)
                    visit.changed_at = now
                    ledger.reverse_line(session, visit, line)
        else:
            # Whose a line is stands in no account: what it counts, where and when, is untouched.
            last = max((line.occurrence for line in known), default=-1)
            for line in lines:
                line.member_id, line.occurrence = member.id, line.occurrence + last + 1
    visits = update(Visit).where(Visit.member_id == stand_in.id)
    session.execute(visits.values(member_id=member.id, changed_at=now))
    session.flush()


Key = tuple[str, date, str]


def _lines(session: Session, member_id: int) -> dict[Key, list[HalfDayLine]]:
    """Return a member's lines by space and half-day."""
    found: dict[Key, list[HalfDayLine]] = {}
    query = select(HalfDayLine).where(HalfDayLine.member_id == member_id)
    for line in session.scalars(query.order_by(HalfDayLine.id)):
        found.setdefault((line.space_id, line.day, line.half), []).append(line)
    return found


def _end_earlier(session: Session, now: datetime, ids: tuple[int, int]) -> None:
    """A person is in one place: of two visits that are open, the earlier one ends."""
    query = select(Visit).where(Visit.member_id.in_(ids), Visit.state == "open")
    here = session.scalars(query.order_by(Visit.started_at)).all()
    for earlier, later in pairwise(here):
        left = min(later.started_at, ledger.closing(earlier))
        ledger.close(session, governance.in_force(session), earlier, left, now)
