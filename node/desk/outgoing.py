"""What the desk tells the hub, and takes over from it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from node.context import Node
from node.desk.models import Correction, Visit
from node.spaces import hours
from node.spaces.models import Space
from node.sync import service as sync
from shared.db import begin_write
from shared.http import Answer, PeerError

TOPIC_VISIT, TOPIC_CHECK_OUT, TOPIC_VOID = "visit", "check-out", "void"
TOPIC_ANSWER = "correction/answer"


def reconcile(session: Session, node: Node) -> int:
    """Take over from the hub what changed in our visits: ended elsewhere, or never noted here.

    Looks back two minutes further than the last change seen, so that none is missed.
    Raises PeerError.
    """
    row = sync.enrolment(session)
    if row is None:
        return 0
    since = (row.visits_seen_at or row.enrolled_at) - timedelta(minutes=2)
    cursor, told = "", []
    while True:
        query = {"changed_since": since.isoformat(), "limit": 200, "cursor": cursor}
        answer = node.hub.call("GET", "/api/v1/visits?" + _query(query), timeout=5)
        if answer.status != 200:
            raise PeerError("status", str(answer.status))
        page = answer.json()
        told += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    changed = 0
    for item in reversed(told):
        changed += _take_over(session, node, item)
    if told:
        begin_write(session)
        row = sync.enrolment(session)
        assert row is not None  # noqa: S101
        row.visits_seen_at = max(datetime.fromisoformat(item["changed_at"]) for item in told)
        session.commit()
    return changed


def _query(values: Mapping[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value != ""})


def _take_over(session: Session, node: Node, told: Mapping[str, Any]) -> int:
    begin_write(session)
    visit = session.get(Visit, told["id"])
    space = session.get(Space, told["space"])
    ended = datetime.fromisoformat(told["ended_at"]) if told["ended_at"] else None
    changed = 0
    if visit is None and told["state"] == "open" and space is not None:
        started = datetime.fromisoformat(told["started_at"])
        closes = hours.schedule(space, started.date()).closing_after(started)
        session.add(
            Visit(
                id=told["id"],
                space_id=space.id,
                home_id=told["home"],
                plan=told["plan"],
                proof="",
                state="open",
                online=told["online"],
                started_at=started,
                closes_at=closes,
                charter=told["charter"],
                decision={},
            )
        )
        changed = 1
    elif visit is not None and visit.state == "closed" and told["state"] == "void":
        visit.state, changed = "void", 1  # a dispute was upheld
    elif visit is not None and visit.state in ("open", "held") and told["state"] != "open":
        visit.state, visit.ended_at, visit.held_until = told["state"], ended, None
        changed = 1
    if told.get("correction") and session.get(Visit, told["id"]) is not None:
        _note_correction(session, told["id"], told["correction"])
    session.commit()
    return changed


def _note_correction(session: Session, visit_id: str, told: Mapping[str, Any]) -> None:
    if session.get(Correction, visit_id) is None:
        answered = told["answered_at"]
        session.add(
            Correction(
                visit_id=visit_id,
                reason=told["reason"],
                asked_at=datetime.fromisoformat(told["asked_at"]),
                answer=told["answer"],
                answered_at=datetime.fromisoformat(answered) if answered else None,
            )
        )


def _deliver_visit(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
    del session
    return node.hub.call("POST", "/api/v1/visits", json={"report": payload["report"]}, timeout=5)


def _deliver_change(topic: str) -> sync.Deliver:
    def deliver(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
        del session
        path = f"/api/v1/visits/{payload['id']}/{topic}"
        return node.hub.call("POST", path, json=payload["body"])

    return deliver


def _delivered(session: Session, node: Node, payload: Mapping[str, Any], answer: Answer) -> None:
    """The visit is in the account now; if its person has since moved on, it is over here too."""
    del node
    visit = session.get(Visit, payload["id"])
    if visit is None or answer.status not in (200, 201):
        return
    visit.delivered = True
    told = answer.json()["visit"]
    if visit.state == "open" and told["state"] == "closed":
        visit.state, visit.ended_at = "closed", datetime.fromisoformat(told["ended_at"])


sync.DELIVERIES[TOPIC_VISIT] = _deliver_visit
sync.DELIVERIES[TOPIC_CHECK_OUT] = _deliver_change(TOPIC_CHECK_OUT)
sync.DELIVERIES[TOPIC_VOID] = _deliver_change(TOPIC_VOID)
sync.DELIVERIES[TOPIC_ANSWER] = _deliver_change(TOPIC_ANSWER)
sync.RECEIPTS[TOPIC_VISIT] = _delivered
