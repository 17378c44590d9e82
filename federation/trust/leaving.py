"""Leaving the network in order: announced with a last day, taken back until then, done after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.audit.service import JOBS, audit
from federation.charters import proposals
from federation.context import Hub
from federation.nodes import notifications, trust_changes
from federation.nodes.models import Node
from federation.spaces.models import Space
from shared.store.db import write
from shared.wire.problems import Problem

log = structlog.get_logger()
AHEAD = timedelta(days=2 * 366)
_ZONE = "Europe/Paris"
# Called in the transaction in which a node has left; rooms above add what follows from it.
ON_LEAVE: list[Callable[[Session, datetime, str], None]] = []


def ends_at(session: Session, node_id: str, last_day: date) -> datetime:
    """Return when a node's last day is over, at the last of its spaces."""
    query = select(Space).where(Space.node_id == node_id, Space.withdrawn_at.is_(None))
    zones = {str(space.document.get("timezone") or _ZONE) for space in session.scalars(query)}
    midnight = datetime.combine(last_day + timedelta(1), time())
    return max(midnight.replace(tzinfo=ZoneInfo(zone)) for zone in zones or {_ZONE})


def _staying(session: Session, node_id: str, *, suspended: bool) -> Node:
    """Return a node that has not left, its row locked; a suspended one if so. Raises Problem."""
    node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
    out = ("left",) if suspended else ("suspended", "left")
    if node is None or node.state in out:
        slug = "node-left" if node is not None and node.state == "left" else "node-suspended"
        raise Problem(slug)
    return node


def announce(
    session: Session,
    hub: Hub,
    node_id: str,
    last_day: date,
    reason: str,
    account_id: int | None = None,
) -> Node:
    """Note a node's last day, and tell the coordination; said again, nothing changes.

    It is the node that says so, or a coordinator who lets it go, also while it is suspended.
    Raises Problem, or ValidationError for a day that is over or too far ahead.
    """
    now = hub.clock.now()
    with write(session):
        node = _staying(session, node_id, suspended=account_id is not None)
        if last_day > now.date() + AHEAD:  # before any reckoning: the year 9999 has no day after it
            raise ValidationError({"last_day": ["This is more than two years ahead."]})
        if ends_at(session, node_id, last_day) <= now:
            raise ValidationError({"last_day": ["This day is over already."]})
        if (node.leaving_on, node.leaving_reason) != (last_day, reason):
            who, before = (
                _actor(node_id, account_id),
                node.leaving_on and node.leaving_on.isoformat(),
            )
            told = {"last_day": last_day.isoformat(), "reason": reason, "last_day_before": before}
            audit(session, now, who, "leaving", node_id, **told)
            node.leaving_on, node.leaving_reason, node.leaving_announced_at = last_day, reason, now
            trust_changes.note(session)
            _tell(session, hub, node, account_id)
    return node


def withdraw(session: Session, hub: Hub, node_id: str, account_id: int | None = None) -> None:
    """Take the notice back, until the last day is over. Raises Problem."""
    with write(session):
        node = _staying(session, node_id, suspended=account_id is not None)
        if node.leaving_on is not None:
            last_day = node.leaving_on.isoformat()
            node.leaving_on, node.leaving_reason, node.leaving_announced_at = (
                None,
                "",
                hub.clock.now(),
            )
            trust_changes.note(session)
            who = _actor(node_id, account_id)
            audit(session, hub.clock.now(), who, "leaving-withdrawn", node_id, last_day=last_day)
            _tell(session, hub, node, account_id)


def _actor(node_id: str, account_id: int | None) -> str:
    return f"node:{node_id}" if account_id is None else f"account:{account_id}"


def _tell(session: Session, hub: Hub, node: Node, account_id: int | None) -> None:
    """Queue a letter to each other coordinator, and to the node if it was not its own word."""
    key = f"leaving:{node.id}:{node.leaving_on}:{node.leaving_announced_at:%Y%m%dT%H%M%S%f}"
    template, url = "console/mail/leaving.txt", f"{hub.url}/coordination"
    facts = {"node": node, "url": url}
    notifications.write_to_coordinators(session, hub, key, template, besides=account_id, **facts)
    own = notifications.contacts(session, [node.id]).get(node.id)
    if account_id is not None and own:
        notifications.write(session, hub, f"{key}:node", own, template, **facts)


def leave_due(session: Session, now: datetime) -> list[str]:
    """Note that nodes have left whose last day is over, and end their passes; return which."""
    query = select(Node.id, Node.leaving_on).where(
        Node.leaving_on.is_not(None), Node.state != "left"
    )
    waiting = session.execute(query.order_by(Node.id)).all()
    over = [row.id for row in waiting if ends_at(session, row.id, row.leaving_on) <= now]
    return [node_id for node_id in over if _leave(session, now, node_id)]


def _leave(session: Session, now: datetime, node_id: str) -> bool:
    with write(session):
        node = session.get_one(Node, node_id, with_for_update=True, populate_existing=True)
        last_day = node.leaving_on
        if node.state == "left" or last_day is None or ends_at(session, node_id, last_day) > now:
            # another process was first, or the notice was taken back
            return False
        leave(session, now, node, JOBS)
    return True


def leave(session: Session, now: datetime, node: Node, actor: str, reason: str = "") -> None:
    """Let a node have left, in the caller's transaction, which holds its row.

    Its last day is the one that was announced, or today where that is not over yet.
    """
    if node.leaving_on is None or ends_at(session, node.id, node.leaving_on) > now:
        node.leaving_on, node.leaving_announced_at = now.astimezone(ZoneInfo(_ZONE)).date(), now
        node.leaving_reason = reason
    told = {"before": node.state, "after": "left", "last_day": node.leaving_on.isoformat()}
    audit(session, now, actor, "left", node.id, **told, **({"reason": reason} if reason else {}))
    node.state = "left"
    proposals.withdraw_of(session, now, node.id, actor, "left")
    trust_changes.note(session)
    for follow in ON_LEAVE:
        follow(session, now, node.id)
    log.info("node.left", node=node.id)
