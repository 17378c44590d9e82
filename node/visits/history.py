"""Where one of our members has been: at partner spaces, as the account has it, and here."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.members.models import Member
from node.spaces import service as spaces
from node.visits.models import Visit
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem

LATEST = 100
_VISIT_ID = re.compile("[0-9a-f]{26}")


def history(session: Session, node: Node, member: Member) -> list[dict[str, Any]]:
    """Return the latest visits, the last first: space, times, state, and what admitted the member.

    Raises Problem when the hub cannot be asked.
    """
    query = {"side": "home", "member": member.reference, "limit": LATEST}
    own = select(Visit).where(Visit.member_id == member.id, Visit.state != "held")
    zones = {row.id: row.timezone for row in spaces.spaces(session)}
    here = [
        {**_here(visit), "timezone": zones.get(visit.space_id)}
        for visit in session.scalars(own.order_by(Visit.started_at.desc()).limit(LATEST))
    ]
    release(session)
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
        "id": visit.id,
        "space": visit.space_id,
        "started_at": visit.started_at,
        "ended_at": visit.ended_at,
        "state": visit.state,
        "article": None,
        "charter": None,
        "half_days": None,
        "held": None,
        "online": True,
        "correction": None,
    }


def _abroad(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": item["id"],
        "space": item["space"],
        "started_at": datetime.fromisoformat(item["started_at"]),
        "ended_at": datetime.fromisoformat(item["ended_at"]) if item["ended_at"] else None,
        "timezone": item.get("timezone"),
        "state": item["state"],
        "article": 3 if item["online"] else 9,
        "charter": item["charter"],
        "half_days": item["half_days"],
        "held": item["held"] if item["state"] != "void" else None,
        "online": item["online"],
        "correction": item["correction"],
    }


def visit_of(session: Session, node: Node, member: Member, visit_id: str) -> dict[str, Any]:
    """Return one of the member's latest visits. Raises Problem."""
    for visit in history(session, node, member):
        if visit["id"] == visit_id:
            return visit
    raise Problem("not-found")


def ask_correction(node: Node, member: Member, visit_id: str, reason: str) -> None:
    """Ask the host to put a visit right, by way of the hub. Raises Problem."""
    if not _VISIT_ID.fullmatch(visit_id):
        raise Problem("not-found")
    body = {"member": member.reference, "reason": reason}
    try:
        answer = node.hub.call("POST", f"/api/v1/visits/{visit_id}/correction", json=body)
    except PeerError:
        raise Problem("hub-unreachable") from None
    slug = str(answer.json().get("type", "")).rpartition("/")[2]
    if slug == "conflict":
        raise Problem("conflict", "this visit has a request already")
    if slug in ("not-found", "visit-closed"):
        raise Problem(slug)
    if answer.status != 200:
        raise Problem("hub-unreachable")
