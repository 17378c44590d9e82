"""What the desk tells the hub, and takes over from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.context import Node
from node.desk import showings
from node.desk.hub_answers import recorded
from node.hub import outbox
from node.hub import service as sync
from node.spaces import hours
from node.spaces.models import Space
from node.visits.models import Correction, Visit
from node.visits.presence import TOPIC_CHECK_OUT, TOPIC_VOID
from shared.crypto import jose
from shared.net.http import Answer, PeerError
from shared.store.db import write
from shared.wire.reports import Receipt, read_receipt

log = structlog.get_logger()

TOPIC_VISIT, TOPIC_ANSWER = "visit", "correction/answer"
VISITS = "/api/v1/visits"


def reconcile(session: Session, node: Node) -> int:
    """Take over from the hub what changed in our visits: ended elsewhere, or never noted here.

    Looks back two minutes further than the last change seen, so that none is missed.
    Raises PeerError.
    """
    row = sync.enrolment(session)
    if row is None:
        return 0
    since = (row.visits_seen_at or row.enrolled_at) - timedelta(minutes=2)
    told = hub_has(node, changed_since=since.isoformat())
    changed = take_over(session, node, told)
    if told:
        with write(session):
            row = sync.enrolment(session)
            assert row is not None  # noqa: S101
            row.visits_seen_at = max(datetime.fromisoformat(item["changed_at"]) for item in told)
    return changed


def hub_has(node: Node, **wanted: str) -> list[dict[str, Any]]:
    """Return what the hub has of our visits, the earliest change first. Raises PeerError."""
    cursor, told = "", list[dict[str, Any]]()
    while True:
        query = {**wanted, "limit": 200, "receipts": "true"}
        query |= {"cursor": cursor} if cursor else {}
        answer = node.hub.call("GET", f"{VISITS}?{urlencode(query)}", timeout=5)
        if answer.status != 200:
            raise PeerError("status", str(answer.status))
        page = answer.json()
        told += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return told[::-1]


def take_over(session: Session, node: Node, told: Sequence[Mapping[str, Any]]) -> int:
    """Note what the hub has of our visits and we have not; return how many changed here.

    What is over there is ended first: somebody may since have come again.
    """
    changed = 0
    for item in sorted(told, key=lambda item: item["state"] == "open"):
        try:
            changed += _take_over(session, node, item)
        except IntegrityError:  # here already, by a visit that the hub is still to hear of
            log.info("visit.not-taken-over", visit=item["id"])
    return changed


def _take_over(session: Session, node: Node, told: Mapping[str, Any]) -> int:
    receipt = _receipt(session, node, told)
    with write(session):
        visit = session.get(Visit, told["id"])
        ended = datetime.fromisoformat(told["ended_at"]) if told["ended_at"] else None
        changed = 0
        if visit is None:
            changed = _add(session, told, ended, receipt)
        elif visit.state == "closed" and told["state"] == "void":
            visit.state, changed = "void", 1  # a dispute was upheld
        elif visit.state in ("open", "held") and told["state"] != "open":
            visit.state, visit.ended_at, visit.held_until = told["state"], ended, None
            changed = 1
        if visit is not None:
            visit.held = told.get("held")
            visit.receipt = visit.receipt or (told["receipt"] if receipt else "")
        if told.get("correction") and session.get(Visit, told["id"]) is not None:
            _note_correction(session, told["id"], told["correction"])
    return changed


def _receipt(session: Session, node: Node, told: Mapping[str, Any]) -> Receipt | None:
    """Return what the hub's receipt says of a visit; None without one that holds."""
    if not told.get("receipt"):
        return None
    try:
        find_key = sync.hub_keys(session, node)
        found = read_receipt(told["receipt"], find_key, node.hub.url)
    except (jose.TokenFault, PeerError) as fault:
        log.warning("receipt.not-read", visit=told["id"], fault=str(fault))
        return None
    return found if found.visit == told["id"] else None


def _add(
    session: Session, told: Mapping[str, Any], ended: datetime | None, receipt: Receipt | None
) -> int:
    """Add a visit that is not known here, as the hub's receipt proves it: without the name."""
    space = session.get(Space, told["space"])
    if space is None:
        return 0
    started = datetime.fromisoformat(told["started_at"])
    session.add(
        Visit(
            id=told["id"],
            space_id=space.id,
            home_id=told["home"],
            pass_id=receipt.pass_id if receipt else None,
            plan=told["plan"],
            state=told["state"],
            online=told["online"],
            started_at=started,
            ended_at=ended,
            closes_at=hours.schedule(space, started.date()).closing_after(started),
            charter=told["charter"],
            decision={},
            held=told.get("held"),
            receipt=told["receipt"] if receipt else "",
        )
    )
    session.flush()
    if receipt is not None:
        showings.add(session, receipt.showing, receipt.visit, receipt.at)
    return 1


def _note_correction(session: Session, visit_id: str, told: Mapping[str, Any]) -> None:
    """Note what was asked, and what we answered before we lost it."""
    known = session.get(Correction, visit_id)
    answered = told["answered_at"]
    if known is not None and known.answered_at is None and answered:
        known.answer, known.answered_at = told["answer"], datetime.fromisoformat(answered)
    if known is None:
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
    """Tell the hub of a visit. An answer that is about another, or none, has not taken it."""
    del session
    answer = node.hub.call("POST", VISITS, json={"report": payload["report"]}, timeout=5)
    if answer.status < 300:
        told = recorded(answer)
        if told is None or told["visit"]["id"] != payload["id"]:
            raise PeerError("not-json")
    return answer


def _deliver_change(topic: str) -> outbox.Deliver:
    def deliver(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
        del session
        path = f"{VISITS}/{payload['id']}/{topic}"
        answer = node.hub.call("POST", path, json=payload["body"])
        return outbox.taken_as(answer, payload["id"])

    return deliver


def _delivered(session: Session, node: Node, payload: Mapping[str, Any], answer: Answer) -> None:
    """Note that the visit is in the account, as the hub has it.

    If its person has since moved on, it is over here too. The hub may have decided on it live,
    and its answer have come too late.
    """
    del node
    told = recorded(answer) if answer.status < 300 else None
    visit = session.get(Visit, payload["id"])
    if told is None or visit is None:
        return
    found = told["visit"]
    visit.delivered, visit.held = True, found.get("held")
    visit.receipt = told["receipt"] or visit.receipt
    if found["online"] and not visit.online:
        visit.online, visit.decision = True, dict(told["decision"])
        visit.started_at = datetime.fromisoformat(found["started_at"])
    if visit.state == "open" and found["state"] == "closed":
        visit.state, visit.ended_at = "closed", datetime.fromisoformat(found["ended_at"])


outbox.DELIVERIES[TOPIC_VISIT] = _deliver_visit
for _topic in (TOPIC_CHECK_OUT, TOPIC_VOID, TOPIC_ANSWER):
    outbox.DELIVERIES[_topic] = _deliver_change(_topic)
outbox.ON_ANSWER[TOPIC_VISIT] = _delivered
