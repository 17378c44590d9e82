"""What the hub is to be told: queued with what caused it, delivered by the jobs process.

What a request itself has queued is told before it is answered, if the hub takes it in time; what
waited before is in front of nobody.

Messages about one subject (a visit, a pass, the publication) go in their order, and wait for
nobody else's. One that fails again and again, while the hub takes requests, is ``stuck``: it is
tried each hour, shown, and in nobody's way. ``dead`` is what the hub itself has refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from flask import g, has_request_context
from sqlalchemy import (
    ColumnClause,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, aliased

from node.context import Node
from node.hub.models import Outbox
from node.hub_client import ClocksDiffer, Refused
from shared.base import deadline
from shared.net.http import Answer, PeerError
from shared.store.db import release, table_of, write
from shared.store.outbox import DEAD, DONE, GIVEN_UP, PENDING, STUCK, next_attempt

log = structlog.get_logger()

FAILURES = 5
STUCK_AGAIN = timedelta(hours=1)
# What was answered is forgotten with the reports of visits, for both hold a name.
KEPT = timedelta(days=36)
# What the hub may answer to a message that it will take another time, and when that is.
# Whoever waits for an answer waits that long for the hub to be told.
SOON_SECONDS = 1.5
LATER, LATER_AGAIN = (408, 425, 429), timedelta(seconds=10)

Deliver = Callable[[Session, Node, Mapping[str, Any]], Answer]
# topic → how it is sent; each returns the hub's answer, or raises PeerError when what came does not
# say that the message was taken or refused. Rooms add their own.
DELIVERIES: dict[str, Deliver] = {}
# topic → what is done here with the hub's answer, in the transaction that settles the message.
ON_ANSWER: dict[str, Callable[[Session, Node, Mapping[str, Any], Answer], None]] = {}

# Written out: an index that holds what waits alone is not used for a parameter.
_WAITS: ColumnClause[str] = literal_column(f"('{PENDING}', '{STUCK}')")
_QUEUED = select(Outbox.id).where(Outbox.key == bindparam("of_key"))
_QUEUE = insert(table_of(Outbox))
_earlier = aliased(Outbox)
_FIRST = (
    select(Outbox.id, Outbox.topic, Outbox.payload, Outbox.attempts, Outbox.state)
    .where(
        Outbox.state.op("IN")(_WAITS),
        ~exists().where(
            _earlier.subject == Outbox.subject,
            _earlier.id < Outbox.id,
            _earlier.state.op("IN")(_WAITS),
        ),
    )
    .order_by(Outbox.id)
    .limit(1)
)
_DUE = _FIRST.where(Outbox.next_attempt_at <= bindparam("now", type_=Outbox.created_at.type))
_OF_SUBJECT = _FIRST.where(Outbox.subject == bindparam("of_subject"))


def queue(
    session: Session,
    now: datetime,
    topic: str,
    key: str,
    payload: dict[str, Any],
    subject: str,
    *,
    instead: bool = False,
    soon: bool = True,
) -> None:
    """Add a message to the caller's transaction; the same key is queued once.

    ``instead`` is for one that says all that those before it on its subject would have said;
    without ``soon`` it waits for the jobs: the hub has just said nothing.
    """
    if soon and has_request_context():
        g.setdefault("to_tell", {})[subject] = None
    connection = session.connection()
    if connection.execute(_QUEUED, {"of_key": key}).first() is not None:
        return
    if instead:
        session.execute(
            delete(Outbox).where(Outbox.subject == subject, Outbox.state.op("IN")(_WAITS))
        )
    row = {"topic": topic, "key": key, "subject": subject, "payload": payload}
    times = {"created_at": now, "next_attempt_at": now}
    connection.execute(_QUEUE, {**row, "state": PENDING, "attempts": 0, **times})


def queue_again(
    session: Session, now: datetime, topic: str, key: str, payload: dict[str, Any], subject: str
) -> bool:
    """Queue a message behind those on its subject although it was told before, or is stuck.

    One that waits there already is enough.
    """
    row = session.scalar(select(Outbox).where(Outbox.key == key).with_for_update())
    if row is not None:
        last = select(func.max(Outbox.id)).where(Outbox.subject == subject)
        if row.state == PENDING and session.scalar(last) == row.id:
            return False
        session.delete(row)
        session.flush()
    queue(session, now, topic, key, payload, subject)
    return True


def is_queued(session: Session, subject: str) -> bool:
    """Tell whether a message on a subject waits to be delivered."""
    query = select(Outbox.id).where(Outbox.subject == subject, Outbox.state == PENDING)
    return session.scalar(query.limit(1)) is not None


def revive(session: Session, now: datetime, fault: str) -> None:
    """Let messages wait again that were refused for a reason that holds no longer."""
    with write(session):
        session.execute(
            update(Outbox)
            .where(Outbox.state == DEAD, Outbox.error.contains(f"/problems/{fault}"))
            .values(state=PENDING, attempts=0, next_attempt_at=now, done_at=None)
        )


def send_again(session: Session, now: datetime, row_id: int) -> bool:
    """Try a message that is stuck, or was refused, at once; says whether there is one."""
    with write(session):
        row = session.get(Outbox, row_id, with_for_update=True)
        found = row is not None and row.state in (STUCK, DEAD)
        if row is not None and found:
            row.state, row.attempts, row.next_attempt_at, row.done_at = PENDING, 0, now, None
    return found


def give_up(session: Session, now: datetime, row_id: int, by: int) -> bool:
    """Never send a message that is stuck; an admin says so, and it is logged."""
    with write(session):
        row = session.get(Outbox, row_id, with_for_update=True)
        found = row is not None and row.state == STUCK
        if row is not None and found:
            row.state, row.done_at = GIVEN_UP, now
            log.warning("outbox.given-up", topic=row.topic, key=row.key, by=by, error=row.error)
    return found


def purge_expired(session: Session, now: datetime) -> None:
    """Drop what was settled some weeks ago."""
    with write(session):
        session.execute(delete(Outbox).where(Outbox.done_at < now - KEPT))


def waiting(session: Session) -> dict[str, int]:
    """Return how many messages wait, are stuck, and were refused by the hub for good."""
    states = (PENDING, STUCK, DEAD)
    query = select(Outbox.state, func.count()).where(Outbox.state.in_(states))
    counts = {row[0]: row[1] for row in session.execute(query.group_by(Outbox.state))}
    return {state: counts.get(state, 0) for state in states}


# Delivering


def flush(session: Session, node: Node, limit: int = 100) -> int:
    """Deliver what is due; stops when nothing gets through. Returns how many the hub settled."""
    settled = 0
    for _ in range(limit):
        row = None
        if not node.hub.away:
            row = session.connection().execute(_DUE, {"now": node.clock.real()}).first()
        done = _deliver(session, node, row) if row is not None else None
        if done is None:
            break
        settled += done
    release(session)
    return settled


def deliver_of(session: Session, node: Node, subject: str) -> None:
    """Deliver what waits on one subject, for somebody at the door whom it is about."""
    while True:
        row = session.connection().execute(_OF_SUBJECT, {"of_subject": subject}).first()
        if row is None or not _deliver(session, node, row):
            release(session)
            return


def tell_soon(session: Session, node: Node) -> None:
    """Deliver what this request has queued, for somebody who waits for the answer."""
    subjects = g.pop("to_tell", ())
    if subjects:
        release(session)  # of a request that failed
    try:
        with deadline.within(SOON_SECONDS):
            for subject in subjects:
                if not node.hub.away and deadline.left(SOON_SECONDS):
                    deliver_of(session, node, subject)
    except SQLAlchemyError:  # it is queued: the jobs deliver it
        release(session)


def _deliver(session: Session, node: Node, row: Any) -> bool | None:
    """Deliver one message; says whether the hub settled it, None when it takes nothing now.

    Whatever goes wrong with it is its own fault while the hub is ready, and stops no other.
    """
    payload = dict(row.payload)
    release(session)
    try:
        answer = DELIVERIES[row.topic](session, node, payload)
        if answer.status in LATER or _suspended(answer):
            _note(session, row.id, f"status {answer.status}", node.clock.real() + LATER_AGAIN)
            return None
        _settle(session, node, row, payload, answer)
    except SQLAlchemyError:
        raise
    except (Refused, ClocksDiffer) as error:
        _note(session, row.id, str(error))
        return None
    except Exception as error:
        if not isinstance(error, PeerError):
            log.exception("outbox.fault", topic=row.topic)
        release(session)
        if not node.hub.is_ready():
            _note(session, row.id, str(error))
            return None
        _fail(session, node.clock.real(), row, str(error) or type(error).__name__)
        return False
    return True


def _suspended(answer: Answer) -> bool:
    """Tell whether the hub takes nothing from us now: what is queued waits for better days."""
    return answer.status in (401, 403) and any(
        slug in answer.body for slug in (b"/problems/node-suspended", b"/problems/unauthenticated")
    )


def _note(session: Session, row_id: int, why: str, again: datetime | None = None) -> None:
    with write(session):
        changed: dict[str, Any] = {"error": why[:300]} | (
            {"next_attempt_at": again} if again else {}
        )
        session.execute(update(Outbox).where(Outbox.id == row_id).values(**changed))


def _fail(session: Session, now: datetime, row: Any, why: str) -> None:
    """Count a failure of a message; after some it steps aside."""
    attempts, state = row.attempts + 1, row.state
    if state == PENDING and attempts >= FAILURES:
        state = STUCK
        log.error("outbox.stuck", topic=row.topic, error=why[:300])
    again = now + STUCK_AGAIN if state == STUCK else next_attempt(now, attempts)
    changed = {"attempts": attempts, "state": state, "next_attempt_at": again, "error": why[:300]}
    with write(session):
        session.execute(
            update(Outbox).where(Outbox.id == row.id, Outbox.done_at.is_(None)).values(changed)
        )


def _settle(
    session: Session, node: Node, sent: Any, payload: Mapping[str, Any], answer: Answer
) -> None:
    with write(session):
        row = session.get(Outbox, sent.id, with_for_update=True)
        if row is not None and row.state not in (PENDING, STUCK):
            return
        if sent.topic in ON_ANSWER:
            ON_ANSWER[sent.topic](session, node, payload, answer)
        taken = answer.status < 300
        if row is not None:  # else another says all that it said
            row.state, row.done_at = DONE if taken else DEAD, node.clock.real()
            row.attempts += 1
            row.error = None if taken else answer.body.decode(errors="replace")[:300]
        if not taken:
            log.error("outbox.dead", topic=sent.topic, status=answer.status)


def taken_as(answer: Answer, visit_id: str) -> Answer:
    """Return an answer about a visit. Raises PeerError when it takes another, or nothing."""
    if answer.status < 300:
        document = answer.json() if answer.body else None
        if not isinstance(document, dict) or document.get("id") != visit_id:
            raise PeerError("not-json")
    return answer
