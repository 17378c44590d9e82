"""Where one of our members has been: at partner spaces, as the account has it, and here."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.desk.models import Visit
from node.members.models import Member
from node.passes.models import Pass
from shared.http import PeerError
from shared.problems import Problem

LATEST = 100


def history(session: Session, node: Node, member: Member) -> list[dict[str, Any]]:
    """Return the latest visits, the last first: space, times, state, and how she was admitted.

    Raises Problem when the hub cannot be asked.
    """
    query = {"side": "home", "member": member.reference, "limit": LATEST}
    own = select(Visit).join(Pass, Pass.id == Visit.pass_id)
    own = own.where(Pass.member_id == member.id, Visit.local, Visit.state != "held")
    here = [
        _here(visit)
        for visit in session.scalars(own.order_by(Visit.started_at.desc()).limit(LATEST))
    ]
    session.rollback()
    try:
        answer = node.hub.call("GET", f"/api/v1/visits?{urlencode(query)}")
    except PeerError:
        raise Problem("hub-unreachable") from None
    if answer.status != 200:
        raise Problem("hub-unreachable")
    abroad = [_abroad(item) for item in answer.json()["items"]]
    return sorted([*abroad, *here], key=lambda visit: visit["started_at"], reverse=True)[:LATEST]


def _here(visit: Visit) -> dict[str, Any]:
    return {
        "space": visit.space_id,
        "started_at": visit.started_at,
        "ended_at": visit.ended_at,
        "state": visit.state,
        "article": None,
        "online": True,
    }


def _abroad(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "space": item["space"],
        "started_at": datetime.fromisoformat(item["started_at"]),
        "ended_at": datetime.fromisoformat(item["ended_at"]) if item["ended_at"] else None,
        "state": item["state"],
        "article": 3 if item["online"] else 9,
        "online": item["online"],
    }
