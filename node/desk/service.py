"""Checking in at the desk.

A check-in takes two short transactions with the hub's answer between them: the first holds
a place, so that the last one is not given twice; the second makes the hold a visit, or lets it
go. Whatever dies in between, a hold expires by itself, the visit's id is the same when the
same code is sent again, and ``reconcile`` takes over from the hub what was not noted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Decision, Facts, Fault, decide
from node.context import Node
from node.desk.alone import facts_alone, with_home
from node.desk.models import Refusal, Visit
from node.desk.outgoing import TOPIC_VISIT
from node.desk.places import count_present, hold, new_visit, open_visit, release
from node.desk.scan import Scan, read_fresh, report
from node.passes import service as passes
from node.spaces.models import Space
from node.sync import service as sync
from shared.db import begin_write
from shared.http import Answer, PeerError, Unreachable
from shared.passes import UNREADABLE, Evidence
from shared.problems import Problem


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is admitted, already or refused; a refused one has no visit."""

    kind: str
    decision: Mapping[str, Any]
    visit: Visit | None = None


def check_in(session: Session, node: Node, space_id: str, shown: str) -> Outcome:
    """Decide on a scanned pass and record the visit. Raises Problem or ValidationError.

    Asks the hub; while it is away, decides alone under the charter's offline article.
    """
    scan = read_fresh(session, node, space_id, shown)
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return _refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    if scan.evidence.issuer == scan.facts.host:
        return _admit_own(session, node, scan)
    if node.hub.away:
        return _decide_alone(session, node, scan)
    sync.flush_soon(session, node)  # what happened before is told before
    hold(session, scan)
    try:
        answer = node.hub.call("POST", "/api/v1/visits", json={"report": report(node, scan)})
    except Unreachable:
        return _decide_alone(session, node, scan)
    except PeerError as error:
        release(session, scan)
        raise Problem("hub-unreachable", error.detail) from None
    return _follow(session, node, scan, answer)


def preview(session: Session, node: Node, space_id: str, shown: str) -> Mapping[str, Any]:
    """Return the decision that ``check_in`` would take; nothing is recorded. Raises Problem."""
    scan = read_fresh(session, node, space_id, shown)
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return decide(scan.charter, scan.facts, scan.now).to_json("fr")
    if scan.evidence.issuer == scan.facts.host:
        scan.facts = _own_facts(session, scan)
        return _would_say(session, scan)
    count_present(session, scan)
    session.rollback()
    body = {"report": report(node, scan)}
    try:
        answer = node.hub.call("POST", "/api/v1/visits/preview", json=body)
    except Unreachable:
        scan.facts = facts_alone(session, node, scan)
        return _would_say(session, scan)
    except PeerError as error:
        raise Problem("hub-unreachable", error.detail) from None
    return _told(session, node, scan, answer)


def _would_say(session: Session, scan: Scan) -> Mapping[str, Any]:
    known, decision = _weigh(session, scan)
    return known.decision if known is not None and known.decision else decision.to_json("fr")


def _unreadable(evidence: Evidence) -> bool:
    return any(fault.code == UNREADABLE for fault in evidence.faults)


# Places


# Answers


def _follow(session: Session, node: Node, scan: Scan, answer: Answer) -> Outcome:
    """Note here what the hub decided."""
    document = answer.json()
    if answer.status in (200, 201):
        visit = _note(session, node, scan, document["visit"], document["decision"])
        kind = "admitted" if answer.status == 201 else "already"
        return Outcome(kind, visit.decision, visit)
    release(session, scan)
    return _note_refusal(session, node, scan, _told(session, node, scan, answer))


def _told(session: Session, node: Node, scan: Scan, answer: Answer) -> Mapping[str, Any]:
    """Return the decision in an answer of the hub. Raises Problem when there is none."""
    document = answer.json()
    if "decision" in document:
        found: Mapping[str, Any] = document["decision"]
        return found
    if document.get("type", "").endswith("/node-suspended"):
        facts = replace(with_home(session, node, scan, scan.facts), host_state="suspended")
        return decide(scan.charter, facts, scan.now).to_json("fr")
    raise Problem("hub-unreachable", document.get("detail") or document.get("title"))


def _note(
    session: Session, node: Node, scan: Scan, told: Mapping[str, Any], decision: Any
) -> Visit:
    """Write down a visit as the hub has it; the person's other visits here are over.

    When the same visit is being noted at the same moment, the other's row is the one.
    """
    space_id = scan.space.id
    try:
        visit = _write_note(session, node, scan, told, decision)
        session.commit()
    except IntegrityError:
        session.rollback()
        scan.space = session.get_one(Space, space_id)
        visit = _write_note(session, node, scan, told, decision)
        session.commit()
    return visit


def _write_note(
    session: Session, node: Node, scan: Scan, told: Mapping[str, Any], decision: Any
) -> Visit:
    space_id = scan.space.id
    begin_write(session)
    scan.space = session.scalars(select(Space).where(Space.id == space_id).with_for_update()).one()
    started = datetime.fromisoformat(told["started_at"])
    _leave_elsewhere(session, scan, started, except_id=told["id"])
    visit = session.get(Visit, told["id"])
    if told["id"] != scan.id:
        own = session.get(Visit, scan.id)
        if own is not None and own.state == "held":
            session.delete(own)
    if visit is None:
        visit = new_visit(session, scan, "open")
        visit.id = told["id"]
    if visit.state == "held":
        visit.state, visit.held_until = "open", None
    if not visit.decision:
        visit.decision = dict(decision)
        visit.online, visit.started_at = bool(told["online"]), started
    session.flush()
    return visit


def _leave_elsewhere(session: Session, scan: Scan, at: datetime, except_id: str) -> None:
    query = select(Visit).where(
        Visit.state == "open",
        Visit.home_id == scan.evidence.issuer,
        Visit.pass_id == scan.evidence.pass_id,
        Visit.id != except_id,
    )
    for other in session.scalars(query):
        other.state, other.ended_at = "closed", max(at, other.started_at)
    session.flush()


def _refuse(session: Session, node: Node, scan: Scan, decision: Decision) -> Outcome:
    return _note_refusal(session, node, scan, decision.to_json("fr"))


def _note_refusal(session: Session, node: Node, scan: Scan, decision: Mapping[str, Any]) -> Outcome:
    space_id = scan.facts.space
    begin_write(session)
    codes = [reason["code"] for reason in decision["reasons"]]
    session.add(Refusal(at=node.clock.now(), space_id=space_id, codes=codes))
    session.commit()
    return Outcome("refused", decision)


# Alone


def _own_facts(session: Session, scan: Scan) -> Facts:
    """One of our own members: we are the authority on her pass."""
    state = passes.own_status(session, scan.evidence.pass_id or "")
    faults = scan.facts.faults
    if state != "valid":
        faults = (*faults, Fault(f"pass_{state}"))
    return replace(scan.facts, faults=faults, home=scan.facts.host)


def _admit_own(session: Session, node: Node, scan: Scan) -> Outcome:
    """Check one of our own members in: for presence, not for the account."""
    space_id = scan.space.id
    begin_write(session)
    scan.space = session.scalars(select(Space).where(Space.id == space_id).with_for_update()).one()
    scan.facts = _own_facts(session, scan)
    known, decision = _weigh(session, scan)
    if known is not None:
        session.commit()
        return Outcome("already", known.decision, known)
    if not decision.allowed:
        session.rollback()
        return _refuse(session, node, scan, decision)
    _leave_elsewhere(session, scan, scan.now, scan.id)
    visit = new_visit(session, scan, "open")
    visit.local, visit.decision = True, decision.to_json("fr")
    session.commit()
    return Outcome("admitted", visit.decision, visit)


def _weigh(session: Session, scan: Scan) -> tuple[Visit | None, Decision]:
    """Decide without the hub. A scan of somebody who is here already returns her visit too."""
    count_present(session, scan)
    decision = decide(scan.charter, scan.facts, scan.now)
    sound = not any(reason.code.startswith("pass_") for reason in decision.reasons)
    known = session.get(Visit, scan.id) or open_visit(session, scan)
    if known is not None and known.state == "open" and sound:
        return known, decision
    used = select(Visit.id).where(Visit.proof == scan.evidence.proof, Visit.state != "held")
    if session.scalar(used) is not None:
        scan.facts = replace(scan.facts, faults=(*scan.facts.faults, Fault("pass_replayed")))
        decision = decide(scan.charter, scan.facts, scan.now)
    return None, decision


def _decide_alone(session: Session, node: Node, scan: Scan) -> Outcome:
    """The hub is away: decide under the offline article, and queue what is to be told."""
    space_id = scan.space.id
    facts = facts_alone(session, node, scan)  # may ask the home for its status list: no lock held
    begin_write(session)
    scan.space = session.scalars(select(Space).where(Space.id == space_id).with_for_update()).one()
    held = session.get(Visit, scan.id)
    if held is not None and held.state == "held":
        session.delete(held)
        session.flush()
    scan.facts = facts
    known, decision = _weigh(session, scan)
    if known is not None:
        session.commit()
        return Outcome("already", known.decision or decision.to_json("fr"), known)
    if not decision.allowed:
        session.commit()
        return _refuse(session, node, scan, decision)
    _leave_elsewhere(session, scan, scan.now, scan.id)
    visit = new_visit(session, scan, "open")
    visit.online, visit.delivered, visit.decision = False, False, decision.to_json("fr")
    session.flush()
    payload = {"id": visit.id, "report": report(node, scan, visit.decision)}
    sync.queue(session, node.clock.real(), TOPIC_VISIT, f"{TOPIC_VISIT}:{visit.id}", payload)
    session.commit()
    return Outcome("admitted", visit.decision, visit)
