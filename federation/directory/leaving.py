"""Leaving the network in order: announced with a last day, taken back until then, done after it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from marshmallow import ValidationError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from federation.context import Hub
from federation.directory import letters
from federation.directory.models import Node, Space
from federation.directory.service import audit
from federation.visits.models import Pass
from shared.db import begin_write
from shared.problems import Problem

log = structlog.get_logger()
AHEAD = timedelta(days=2 * 366)
_ZONE = "Europe/Paris"


def ends_at(session: Session, node_id: str, last_day: date) -> datetime:
    """Return when a node's last day is over, at the last of its spaces."""
    query = select(Space).where(Space.node_id == node_id, Space.withdrawn_at.is_(None))
    zones = {str(space.document.get("timezone") or _ZONE) for space in session.scalars(query)}
    midnight = datetime.combine(last_day + timedelta(1), time())
    return max(midnight.replace(tzinfo=ZoneInfo(zone)) for zone in zones or {_ZONE})


def _staying(session: Session, node_id: str) -> Node:
    """Return a node that takes part, its row locked. Raises Problem."""
    node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
    if node is None or node.state in ("suspended", "left"):
        slug = "node-left" if node is not None and node.state == "left" else "node-suspended"
        session.rollback()
        raise Problem(slug)
    return node


def announce(session: Session, hub: Hub, node_id: str, last_day: date, reason: str) -> Node:
    """Note a node's last day, and tell the coordination; said again, nothing changes.

    Raises Problem, or ValidationError for a day that is over or too far ahead.
    """
    now = hub.clock.now()
    begin_write(session)
    node = _staying(session, node_id)
    if last_day > now.date() + AHEAD:  # before any reckoning: the year 9999 has no day after it
        session.rollback()
        raise ValidationError({"last_day": ["This is more than two years ahead."]})
    if ends_at(session, node_id, last_day) <= now:
        session.rollback()
        raise ValidationError({"last_day": ["This day is over already."]})
    if (node.leaving_on, node.leaving_reason) != (last_day, reason):
        node.leaving_on, node.leaving_reason, node.leaving_announced_at = last_day, reason, now
        who = f"node:{node_id}"
        audit(session, now, who, "leaving", node_id, last_day=last_day.isoformat(), reason=reason)
        _tell_coordination(session, hub, node)
    session.commit()
    return node


def withdraw(session: Session, hub: Hub, node_id: str) -> None:
    """Take the notice back, until the last day is over. Raises Problem."""
    begin_write(session)
    node = _staying(session, node_id)
    if node.leaving_on is not None:
        last_day = node.leaving_on.isoformat()
        node.leaving_on, node.leaving_reason, node.leaving_announced_at = None, "", hub.clock.now()
        who = f"node:{node_id}"
        audit(session, hub.clock.now(), who, "leaving-withdrawn", node_id, last_day=last_day)
        _tell_coordination(session, hub, node)
    session.commit()


def _tell_coordination(session: Session, hub: Hub, node: Node) -> None:
    """Queue a letter to each coordinator, in the caller's transaction."""
    key = f"leaving:{node.id}:{node.leaving_on}:{node.leaving_announced_at:%Y%m%dT%H%M%S%f}"
    template, url = "console/mail/leaving.txt", f"{hub.url}/coordination"
    letters.write_to_coordinators(session, hub, key, template, node=node, url=url)


def leave_due(session: Session, now: datetime) -> list[str]:
    """Note that nodes have left whose last day is over, and end their passes; return which."""
    query = select(Node.id, Node.leaving_on).where(
        Node.leaving_on.is_not(None), Node.state != "left"
    )
    waiting = session.execute(query.order_by(Node.id)).all()
    over = [row.id for row in waiting if ends_at(session, row.id, row.leaving_on) <= now]
    return [node_id for node_id in over if _leave(session, now, node_id)]


def _leave(session: Session, now: datetime, node_id: str) -> bool:
    begin_write(session)
    node = session.get_one(Node, node_id, with_for_update=True, populate_existing=True)
    last_day = node.leaving_on
    if node.state == "left" or last_day is None or ends_at(session, node_id, last_day) > now:
        session.rollback()  # another process was first, or the notice was taken back
        return False
    audit(session, now, "jobs", "left", node_id, before=node.state, last_day=last_day.isoformat())
    node.state = "left"
    ended = update(Pass).where(Pass.node_id == node_id, Pass.status != "revoked")
    session.execute(ended.values(status="revoked", changed_at=now))
    session.commit()
    log.info("node.left", node=node_id)
    return True
