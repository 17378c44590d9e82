"""Whose an address is: a node's now, or until lately."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.nodes import trust_changes
from federation.nodes.models import FormerUrl, Node, UrlChange
from shared.wire.problems import Problem

# So long nobody else gets an address that a node has left: papers and phones still name it.
KEPT = timedelta(days=400)


def check_free(session: Session, now: datetime, url: str, node_id: str = "") -> None:
    """Raise Problem("url-taken") where an address is another node's, or was until lately."""
    former = session.get(FormerUrl, url)
    kept = former is not None and former.node_id != node_id and now - former.left_at < KEPT
    if kept or session.scalar(select(Node.id).where(Node.url == url, Node.id != node_id)):
        raise Problem("url-taken")


def former_urls(session: Session, now: datetime) -> dict[str, list[str]]:
    """Return by node the addresses that it has left, as long as they are kept for it."""
    found: dict[str, list[str]] = {}
    query = select(FormerUrl).where(FormerUrl.left_at > now - KEPT).order_by(FormerUrl.url)
    for row in session.scalars(query):
        found.setdefault(row.node_id, []).append(row.url)
    return found


def former(session: Session, node_id: str) -> list[FormerUrl]:
    """Return the addresses that a node has left, the first one first."""
    query = select(FormerUrl).where(FormerUrl.node_id == node_id)
    return list(session.scalars(query.order_by(FormerUrl.left_at)))


def pending(session: Session, node_id: str) -> UrlChange | None:
    """Return the address that a node asks for, if it asks for one."""
    return session.get(UrlChange, node_id)


def change(session: Session, now: datetime, node: Node, url: str) -> None:
    """Let a node be at another address, in the caller's transaction, which holds its row.

    The one that it leaves stays its own for a while.
    """
    pending = session.get(UrlChange, node.id)
    if pending is not None:
        session.delete(pending)
    if node.url == url:
        return
    own = session.get(FormerUrl, url)  # back to where it was before
    if own is not None and own.node_id == node.id:
        session.delete(own)
    session.merge(FormerUrl(url=node.url, node_id=node.id, left_at=now))
    node.url = url
    node.harvest_failures, node.harvest_due_at = 0, None
    trust_changes.note(session)
