"""Codes that were good here: each is remembered for some weeks, and is good for nothing else.

The hub hears of a code with the visit that it makes. One that makes none (somebody is here already,
a member is at home) is told by its hash alone, so that it opens no other door either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import outbox
from node.visits.models import Showing, Visit
from node.visits.scan import Scan
from shared.net.http import Answer, PeerError
from shared.store.db import release, table_of, write

TOPIC = "showing"
KEPT = timedelta(days=35)
MOST_TOLD = 100

_GOOD_FOR = select(Showing.visit_id).where(Showing.showing == bindparam("shown"))
_ADD = insert(table_of(Showing))


def remember(session: Session, node: Node, scan: Scan, visit_id: str, *, tell: bool) -> None:
    """Note, in the caller's transaction, for which visit a code was good.

    ``tell`` is for one of which the hub hears with no visit. Whom the desk found by name showed
    nothing. Raises IntegrityError when the code was good for another at the same moment.
    """
    if scan.evidence.pass_id is None:
        return
    shown = scan.evidence.proof
    connection = session.connection()
    if connection.execute(_GOOD_FOR, {"shown": shown}).scalar() == visit_id:
        return
    row = {"showing": shown, "visit_id": visit_id, "at": scan.now, "waits": tell}
    connection.execute(_ADD, row)
    if tell:
        key = f"{TOPIC}:{shown}"
        payload, now = {"showing": shown}, node.clock.real()
        outbox.queue(session, now, TOPIC, key, payload, key, soon=False)


def add(session: Session, showing: str, visit_id: str, at: datetime) -> None:
    """Note, in the caller's transaction, what the hub's receipt says of a code."""
    if session.get(Showing, showing) is None:
        session.add(Showing(showing=showing, visit_id=visit_id, at=at, waits=False))


def purge_expired(session: Session, now: datetime) -> None:
    """Drop those that are too old to be shown again to anybody."""
    with write(session):
        session.execute(delete(Showing).where(Showing.at < now - KEPT))


_WAITING = (
    select(Showing.showing, Visit.space_id, Showing.at)
    .join(Visit, Visit.id == Showing.visit_id)
    .where(Showing.waits)
    .order_by(Showing.at)
    .limit(MOST_TOLD)
)


def _deliver(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
    """Tell the hub of all that wait, whichever message it was: the others find nothing to do.

    One of them that the hub cannot take is no fault of this one, which is then told alone.
    """
    rows = session.execute(_WAITING).all()
    release(session)
    alone = [row for row in rows if row.showing == payload.get("showing")]
    if len(alone) == len(rows):
        return _tell(session, node, rows)
    try:
        answer = _tell(session, node, rows)
    except PeerError:
        answer = None
    return answer if answer and answer.status < 400 else _tell(session, node, alone)


def _tell(session: Session, node: Node, rows: Sequence[Any]) -> Answer:
    if not rows:
        return Answer(204, {}, b"")
    told = [{"showing": shown, "space": space, "at": at.isoformat()} for shown, space, at in rows]
    answer = node.hub.call("POST", "/api/v1/showings", json={"showings": told})
    if answer.status < 300:
        if answer.status != 204:
            raise PeerError("not-json")
        with write(session):
            session.execute(
                update(Showing)
                .where(Showing.showing.in_([row[0] for row in rows]))
                .values(waits=False)
            )
    return answer


outbox.DELIVERIES[TOPIC] = _deliver
