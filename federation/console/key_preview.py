"""What withdrawing a node's key would change, as it is shown before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from federation.nodes.keys import usable
from federation.nodes.models import Node
from federation.visits.models import Pass


@dataclass(frozen=True, slots=True)
class Effect:
    """What withdrawing a key would change: at most so many valid passes, of so many members.

    ``last``: no other key is good, so that the node is out until it has registered another.
    """

    passes: int
    members: int
    last: bool


def effect_of(session: Session, now: datetime, node_id: str, kid: str) -> Effect:
    """Return what withdrawing a key would change. Which of its passes are by it no hub knows."""
    holds = or_(Pass.expires_at.is_(None), Pass.expires_at > now)
    query = select(func.count(), func.count(Pass.member_id.distinct())).where(
        Pass.node_id == node_id, Pass.status == "valid", holds
    )
    passes, members = session.execute(query).one()
    others = [key for key in usable(session.get_one(Node, node_id)) if key.kid != kid]
    return Effect(passes, members, not others)
