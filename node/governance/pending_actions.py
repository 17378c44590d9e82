"""What the charter waits for from this operator: votes and signatures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from node.context import Node
from node.governance.reminders import Version, read
from node.governance.service import AT_ONCE, UNDER_WAY
from node.hub import service as sync
from shared.net.http import PeerError


@dataclass(frozen=True, slots=True)
class Awaited:
    """``kind``: vote or sign; ``until`` is aware."""

    kind: str
    version: str
    until: datetime


def awaited(session: Session, node: Node) -> list[Awaited]:
    """Return what this operator has yet to do; nothing when the hub cannot be asked soon.

    Of very many versions under way, those that were proposed last.
    """
    if sync.enrolment(session) is None or node.hub.away:
        return []
    try:
        items = _told(node, f"{UNDER_WAY}&limit={AT_ONCE}")["items"]
        found = [read(_told(node, f"/api/v1/charters/{item['version']}")) for item in items]
    except (PeerError, KeyError, TypeError):
        return []
    now = node.clock.now()
    return [due for of in found if of is not None and (due := _of(of, now)) is not None]


def _of(of: Version, now: datetime) -> Awaited | None:
    if of.state == "adopted" and of.effective_at and of.signed is False:
        return Awaited("sign", of.version, of.effective_at)
    may_vote = of.elector and of.voted is False
    if of.state == "open" and of.closes_at and now < of.closes_at and may_vote:
        return Awaited("vote", of.version, of.closes_at)
    return None


def _told(node: Node, path: str) -> Any:
    """Ask the hub, for a page that does not wait long. Raises PeerError."""
    answer = node.hub.call("GET", path)
    if answer.status != 200:
        raise PeerError("status", str(answer.status))
    return answer.json()
