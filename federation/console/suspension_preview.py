"""What suspending a node would change, and what it would not; said before it is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from federation.charters.models import CharterVersion
from federation.spaces.models import Space
from federation.statements import documents
from federation.visits.models import Pass, Visit


@dataclass(frozen=True, slots=True)
class Effect:
    """``members`` have a valid pass; ``hosted`` and ``abroad`` are visits that are open now.

    ``votes`` are the versions whose vote counts it in its electorate; ``proposal`` is its own.
    """

    spaces: list[str]
    members: int
    hosted: int
    abroad: int
    balance: int
    votes: list[str]
    proposal: str | None


def of_suspending(session: Session, now: datetime, node_id: str) -> Effect:
    month = documents.sheet(session, f"{now:%Y-%m}")  # first: what was read before is let go
    spaces = select(Space.name).where(Space.node_id == node_id, Space.withdrawn_at.is_(None))
    valid = or_(Pass.expires_at.is_(None), Pass.expires_at > now)
    members = select(func.count(Pass.member_id.distinct())).where(
        Pass.node_id == node_id, Pass.status == "valid", valid
    )
    opened = select(func.count()).select_from(Visit).where(Visit.state == "open")
    open_votes = session.scalars(
        select(CharterVersion).where(CharterVersion.state == "open").order_by(CharterVersion.number)
    ).all()
    return Effect(
        list(session.scalars(spaces.order_by(Space.name))),
        session.scalar(members) or 0,
        session.scalar(opened.where(Visit.host_id == node_id)) or 0,
        session.scalar(opened.where(Visit.home_id == node_id)) or 0,
        month.head["balances"].get(node_id, 0),
        [row.version for row in open_votes if node_id in (row.electorate or ())],
        next((row.version for row in open_votes if row.proposed_by == node_id), None),
    )
