"""Whose an address is: a node's now, or until lately."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.directory.models import FormerUrl, Node
from shared.problems import Problem

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
