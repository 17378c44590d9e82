"""Whether a node and this hub still remember the same.

A node renews its mark about every minute, and tells it with the last that it knows to be here.
When another was heard last, one of the two has forgotten something: it was restored from a backup,
and both compare what they know. When that goes on and on, the same node runs twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.nodes.models import Node, NodeMark
from shared.store.db import write
from shared.wire.checkpoints import turn_of

# A backup is restored once; a copy goes on disagreeing, several times a minute.
COPIES_AFTER, WITHIN = 3, timedelta(hours=1)
# So long after the last disagreement, a copy is thought to have ended.
QUIET = timedelta(minutes=10)
SHOWN_FOR = timedelta(days=3)
SAID = ("version", "outbox_pending", "outbox_dead", "skew")


def hear(
    session: Session,
    now: datetime,
    node_id: str,
    mark: str,
    last: str | None,
    said: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Take a node's mark; return what was ``heard`` last, when, and whether it runs twice.

    ``said`` is what it says of itself with a new mark: ``version``, ``outbox_pending``,
    ``outbox_dead`` and ``skew``, in seconds, each None where it does not say.
    """
    row = session.get(NodeMark, node_id)
    if row is not None and row.mark == mark:
        return _answer(row, row.mark, row.heard_at, now)
    with write(session):
        row = session.get(NodeMark, node_id, with_for_update=True)
        heard, heard_at = (row.mark, row.heard_at) if row else (None, None)
        if row is None:
            row = NodeMark(node_id=node_id, jumps=0)
            session.add(row)
        if heard not in (mark, last):
            _note_jump(session, now, row, heard, last)
        row.mark, row.heard_at = mark, now
        for name in SAID:
            setattr(row, name, (said or {}).get(name))
    return _answer(row, heard, heard_at, now)


def _note_jump(
    session: Session, now: datetime, row: NodeMark, heard: str | None, last: str | None
) -> None:
    if row.jumps_since is None or now - row.jumps_since > WITHIN:
        row.jumps, row.jumps_since = 0, now
    row.jumps, row.jumped_at = row.jumps + 1, now
    row.behind = "hub" if turn_of(heard) < turn_of(last) else "node"
    if row.jumps <= COPIES_AFTER:  # a copy would fill the log
        audit(session, now, f"node:{row.node_id}", "mark-differs", row.node_id, behind=row.behind)


def _answer(
    row: NodeMark, heard: str | None, heard_at: datetime | None, now: datetime
) -> dict[str, Any]:
    return {"heard": heard, "heard_at": heard_at, "copies": runs_twice(row, now)}


def runs_twice(row: NodeMark, now: datetime) -> bool:
    """Tell whether two copies of a node are told apart by what each of them remembers."""
    return row.jumps >= COPIES_AFTER and row.jumped_at is not None and now - row.jumped_at <= QUIET


def concerns(session: Session, now: datetime) -> list[dict[str, Any]]:
    """Return what a coordinator should know: ``copies``, ``hub`` or ``node`` for each node."""
    query = (
        select(NodeMark, Node)
        .join(Node, Node.id == NodeMark.node_id)
        .where(NodeMark.jumped_at >= now - SHOWN_FOR)
    )
    return [
        {
            "node": node.id,
            "name": node.name,
            "url": node.url,
            "kind": "copies" if runs_twice(row, now) else row.behind,
            "at": row.jumped_at,
        }
        for row, node in session.execute(query.order_by(NodeMark.node_id))
    ]
