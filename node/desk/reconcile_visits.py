"""Our log of visits against the hub's, day by day: each takes from the other what it has lost."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, literal_column, select, update
from sqlalchemy.orm import Session

from charter import Facts
from node.context import Node
from node.desk import corrections
from node.desk.hub_messages import (
    TOPIC_ANSWER,
    TOPIC_VISIT,
    hub_has,
    take_over,
)
from node.hub import outbox
from node.hub import service as sync
from node.hub.models import Outbox
from node.spaces.space_row import as_document, find_space, local_day, schedule_of
from node.visits.models import Correction, Visit
from node.visits.presence import TOPIC_CHECK_OUT, TOPIC_VOID, subject_of
from shared.net.http import PeerError
from shared.store.db import release, write
from shared.wire.reports import digests_by_day, tell_again
from shared.wire.spaces import host_facts

log = structlog.get_logger()

# A backup is hardly older than that, and reports are kept for no longer.
WINDOW = timedelta(days=35)


def compare(session: Session, node: Node) -> dict[str, int]:
    """Compare the last weeks with the hub; return how many visits were ``taken`` and ``told``.

    What can be told no more, because neither report nor receipt is kept, is counted as ``lost``.
    Repeating it is harmless. Raises PeerError.
    """
    now = node.clock.now()
    since = (now - WINDOW).astimezone(UTC).date()
    ours = _days(session, since)
    release(session)
    answer = node.hub.call("GET", f"/api/v1/visits/days?since={since}", timeout=10)
    if answer.status != 200:
        raise PeerError("status", str(answer.status))
    theirs = {date.fromisoformat(item["day"]): item["sha256"] for item in answer.json()["items"]}
    found = {"taken": 0, "told": 0, "lost": 0}
    for day in sorted(ours.keys() | theirs.keys()):
        if ours.get(day) != theirs.get(day):
            told = hub_has(node, day=day.isoformat())
            found["taken"] += take_over(session, node, told)
            by_id = {item["id"]: item for item in told}
            for visit_id in _ids(session, day):
                done = _tell(session, node, visit_id, by_id.get(visit_id))
                if done:
                    found[done] += 1
    return found


def _days(session: Session, since: date) -> dict[date, str]:
    """Return the digest of each day (UTC) that has visits of guests."""
    query = (
        select(
            Visit.id,
            Visit.state,
            Visit.started_at,
            Correction.visit_id.label("asked"),
            Correction.answered_at,
        )
        .outerjoin(Correction, Correction.visit_id == Visit.id)
        .where(*_told_of(since))
    )
    return digests_by_day(session.execute(query))


def _told_of(since: date) -> tuple[Any, ...]:
    """Select what is in the account, or is to be: what waits in the outbox is not told twice."""
    start = datetime.combine(since, time(), UTC)
    return (
        Visit.local.is_(False),
        Visit.state != "held",
        Visit.started_at >= start,
    )


def _ids(session: Session, day: date) -> list[str]:
    until = datetime.combine(day, time(), UTC) + timedelta(days=1)
    query = select(Visit.id).where(*_told_of(day), Visit.started_at < until)
    found = list(session.scalars(query.order_by(Visit.started_at, Visit.id)))
    release(session)
    return found


def _tell(
    session: Session, node: Node, visit_id: str, told: Mapping[str, Any] | None
) -> str | None:
    """Queue again what the hub lacks of a visit: all of it, how it ended, or what was answered."""
    with write(session):
        visit = session.get_one(Visit, visit_id, with_for_update=True)
        now, queued = node.clock.real(), False
        state = told["state"] if told else None
        if told is None and not visit.report and not visit.receipt:
            log.error("visit.lost", visit=visit_id)
            return "lost"
        if told is None:
            payload = {"id": visit_id, "report": _report(session, node, visit)}
            queued = _queue(session, now, TOPIC_VISIT, visit_id, payload)
            _forget(session, f"{TOPIC_CHECK_OUT}:{visit_id}")  # its end is told with it
        elif visit.state == "closed" and state == "open":
            body = {"at": visit.ended_at.isoformat() if visit.ended_at else now.isoformat()}
            queued = _change(session, now, TOPIC_CHECK_OUT, visit_id, body)
        if visit.state == "void" and state != "void":
            at = (visit.ended_at or visit.started_at).isoformat()
            queued |= _change(
                session, now, TOPIC_VOID, visit_id, {"at": at, "reason": "told again"}
            )
        asked = session.get(Correction, visit_id)
        heard = (told or {}).get("correction") or {}
        if asked is not None and asked.answered_at and not heard.get("answered_at"):
            queued |= _queue(session, now, TOPIC_ANSWER, visit_id, corrections.message(asked)[1])
    return "told" if queued else None


def _report(session: Session, node: Node, visit: Visit) -> str:
    """Return what the hub is told of a visit that it has not: with its receipt, if it gave one."""
    ended = None if visit.state == "open" else visit.ended_at
    return tell_again(
        node.ring,
        node.hub.url,
        visit.report or _facts(session, node, visit),
        visit.started_at,
        ended,
        visit.decision or None,
        visit.receipt or None,
    )


def _facts(session: Session, node: Node, visit: Visit) -> Facts:
    """Return what a space says of itself now: what it said then was in a report that is gone."""
    row, now = find_space(session, visit.space_id), node.clock.now()
    schedule = schedule_of(row, now)
    said = host_facts(as_document(row, local_day(row, now)), schedule, now)
    host = sync.node_id(session)
    return Facts(host=host, online=visit.online, **said)


def _change(
    session: Session, now: datetime, topic: str, visit_id: str, body: dict[str, Any]
) -> bool:
    """Queue a change again, in the words in which it was told if they are still known."""
    key = f"{topic}:{visit_id}"
    row = session.scalar(select(Outbox).where(Outbox.key == key))
    payload = dict(row.payload) if row else {"id": visit_id, "body": body}
    return _queue(session, now, topic, visit_id, payload)


def _queue(
    session: Session, now: datetime, topic: str, visit_id: str, payload: dict[str, Any]
) -> bool:
    key, subject = f"{topic}:{visit_id}", subject_of(visit_id)
    return outbox.queue_again(session, now, topic, key, payload, subject)


def _forget(session: Session, key: str) -> None:
    session.execute(delete(Outbox).where(Outbox.key == key))


def forget_reports(session: Session, now: datetime) -> None:
    """Drop reports that are too old to be told again: they hold a name.

    The empty text is written out: an index that leaves it out is not used for a parameter.
    """
    with write(session):
        session.execute(
            update(Visit)
            .where(
                Visit.started_at < now - WINDOW - timedelta(days=1),
                Visit.report != literal_column("''"),
            )
            .values(report="")
        )
