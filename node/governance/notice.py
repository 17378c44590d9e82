"""What the charter waits for from this operator: a vote, or a signature."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from node.context import Node
from node.governance.reminders import read
from node.sync import service as sync
from shared.http import PeerError


@dataclass(frozen=True, slots=True)
class Awaited:
    """``kind``: vote or sign; ``until`` is aware."""

    kind: str
    version: str
    until: datetime


def awaited(session: Session, node: Node) -> Awaited | None:
    """Return what this operator has yet to do, or None; also when the hub cannot be asked soon."""
    row = sync.enrolment(session)
    if row is None or node.hub.away:
        return None
    try:
        items = _told(node, "/api/v1/charters")["items"]
        under_way = [item for item in items if item["state"] in ("open", "adopted")]
        of = read(_told(node, f"/api/v1/charters/{under_way[0]['version']}")) if under_way else None
    except (PeerError, KeyError, TypeError):
        return None
    if of is None:
        return None
    if of.state == "adopted" and of.effective_at and of.signed(row.node_id) is False:
        return Awaited("sign", of.version, of.effective_at)
    may_vote = not sync.unsigned(session, node) and not of.voted(row.node_id)
    if of.state == "open" and of.closes_at and node.clock.now() < of.closes_at and may_vote:
        return Awaited("vote", of.version, of.closes_at)
    return None


def _told(node: Node, path: str) -> Any:
    """Ask the hub, for a page that does not wait long. Raises PeerError."""
    answer = node.hub.call("GET", path)
    if answer.status != 200:
        raise PeerError("status", str(answer.status))
    return answer.json()
