"""Checking in at the desk.

A check-in takes two short transactions with the hub's answer between them: the first holds
a place, so that the last one is not given twice; the second makes the hold a visit, or lets it
go. Whatever dies in between, a hold expires by itself, the visit's id is the same when the
same code is sent again, and ``reconcile`` takes over from the hub what was not noted here.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import bindparam, case, literal_column, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Decision, Facts, Fault, decide
from node.context import Node
from node.desk.alone import facts_alone, with_home
from node.desk.models import Refusal, Visit
from node.desk.outgoing import TOPIC_VISIT
from node.desk.places import add_visit, count_present, drop_hold, hers, hold, lock, release
from node.desk.scan import Scan, read_fresh, report
from node.members.models import Member
from node.passes import service as passes
from node.spaces import service as spaces
from node.sync import service as sync
from shared.db import begin_write
from shared.http import Answer, PeerError, Unreachable
from shared.passes import UNREADABLE, Evidence
from shared.problems import Problem

# How late a desk's browser may tell of a scan, and how far its clock may be ahead.
LATE, EARLY = timedelta(days=2), timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is admitted, already or refused; a refused one has no visit.

    ``visit`` has a visit's columns as attributes.
    """

    kind: str
    decision: Mapping[str, Any]
    visit: Any = None


def check_in(session: Session, node: Node, space_id: str, shown: str) -> Outcome:
    """Decide on a scanned pass and record the visit. Raises Problem or ValidationError.

    Asks the hub; while it is away, decides alone under the charter's offline article.
    """
    return _decide(session, node, read_fresh(session, node, space_id, shown))


def _decide(session: Session, node: Node, scan: Scan) -> Outcome:
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    if scan.evidence.issuer == scan.facts.host:
        return _admit_own(session, node, scan)
    if node.hub.away:
        return _decide_alone(session, node, scan)
    sync.flush_soon(session, node)  # what happened before is told before
    hold(session, scan)
    scan.report = report(node, scan)
    try:
        answer = node.hub.call("POST", "/api/v1/visits", json={"report": scan.report})
    except Unreachable:
        return _decide_alone(session, node, scan)
    except PeerError as error:
        release(session, scan)
        raise Problem("hub-unreachable", error.detail) from None
    return _follow(session, node, scan, answer)


def arrive(session: Session, node: Node, space_id: str, shown: str) -> Outcome:
    """Check in somebody who scanned the space's poster: her phone signed the poster's code.

    That she stands before it is all that this shows; the desk sees her come in, and may undo it.
    Raises Problem or ValidationError.
    """
    scan = read_fresh(session, node, space_id, shown)
    poster = spaces.space(session, space_id).poster
    seen = (scan.evidence.nonce or "").encode(errors="surrogatepass")
    if not secrets.compare_digest(seen, poster.encode()):
        scan.facts = replace(scan.facts, faults=(Fault(UNREADABLE, "poster"),), home=None)
        return refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    scan.by_poster = True
    return _decide(session, node, scan)


def check_in_late(session: Session, node: Node, space_id: str, shown: str, at: datetime) -> Outcome:
    """Record whom a desk's own browser let in while this node did not answer, as of then.

    ``at`` is the real time of the scan, and the code is examined as of that time. Whoever holds
    a pass was let in, and counts, under the charter's offline article: what the browser could not
    know is flagged by the hub. Safe to repeat. Raises Problem or ValidationError.
    """
    clock = node.clock.standing(at)
    if not timedelta() - EARLY <= node.clock.real() - clock.real() <= LATE:
        raise ValidationError({"at": ["Not a time of the last two days."]})
    scan = read_fresh(session, node, space_id, shown, clock)
    if scan.evidence.faults:
        scan.facts = with_home(scan, scan.facts)
        return refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    of_visit = {"visit": scan.id}
    known = session.connection().execute(_BY_ID, of_visit).first()
    if known is not None and known.state != "held":
        return Outcome("already", known.decision, known)
    try:
        if scan.evidence.issuer == scan.facts.host:
            return _admit_own(session, node, scan)
        return _decide_alone(session, node, scan, is_in=True)
    except IntegrityError:  # told twice at the same moment
        session.rollback()
        known = session.connection().execute(_BY_ID, of_visit).one()
        return Outcome("already", known.decision, known)


def check_in_member(session: Session, node: Node, space_id: str, member: Member) -> Outcome:
    """Check in somebody of the house whom the desk found by name. Raises Problem."""
    scan = read_fresh(session, node, space_id, secrets.token_urlsafe())  # nobody can show this
    home, plan = scan.facts.host, member.plan.plan_class
    of_house = Evidence((), scan.evidence.proof, home, plan=plan, given_name=member.given_name)
    scan.evidence, scan.member_id = of_house, member.id
    scan.facts = replace(scan.facts, faults=(), home=home, plan=plan)
    return _admit_own(session, node, scan)


def preview(session: Session, node: Node, space_id: str, shown: str) -> Mapping[str, Any]:
    """Return the decision that ``check_in`` would take; nothing is recorded. Raises Problem."""
    scan = read_fresh(session, node, space_id, shown)
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return decide(scan.charter, scan.facts, scan.now).to_json("fr")
    if scan.evidence.issuer == scan.facts.host:
        scan.facts = _own_facts(session, scan)
        return _would_say(session, scan)
    count_present(session, scan, hers(session, scan))
    session.rollback()
    body = {"report": report(node, scan)}
    try:
        answer = node.hub.call("POST", "/api/v1/visits/preview", json=body)
    except Unreachable:
        scan.facts = facts_alone(session, node, scan)
        return _would_say(session, scan)
    except PeerError as error:
        raise Problem("hub-unreachable", error.detail) from None
    here = hers(session, scan).open_here
    if here is not None and here.decision and _host_suspended(answer.json()):
        session.rollback()
        decision: Mapping[str, Any] = here.decision
        return decision
    session.rollback()
    return _told(session, node, scan, answer)


def _would_say(session: Session, scan: Scan) -> Mapping[str, Any]:
    known, decision = _weigh(session, scan)
    return known.decision if known is not None and known.decision else decision.to_json("fr")


def _unreadable(evidence: Evidence) -> bool:
    return any(fault.code == UNREADABLE for fault in evidence.faults)


# Answers


def _follow(session: Session, node: Node, scan: Scan, answer: Answer) -> Outcome:
    """Note here what the hub decided."""
    document = answer.json()
    if answer.status in (200, 201):
        visit = _note(session, scan, document["visit"], document["decision"])
        kind = "admitted" if answer.status == 201 else "already"
        return Outcome(kind, visit.decision, visit)
    here = hers(session, scan).open_here  # a host that is suspended meanwhile sends nobody away
    if here is not None and _host_suspended(document):
        release(session, scan)
        return Outcome("already", here.decision, here)
    release(session, scan)
    return _note_refusal(session, node, scan, _told(session, node, scan, answer))


def _host_suspended(document: Mapping[str, Any]) -> bool:
    return str(document.get("type", "")).endswith(("/node-suspended", "/node-left"))


def _told(session: Session, node: Node, scan: Scan, answer: Answer) -> Mapping[str, Any]:
    """Return the decision in an answer of the hub. Raises Problem when there is none."""
    document = answer.json()
    if "decision" in document:
        found: Mapping[str, Any] = document["decision"]
        return found
    if _host_suspended(document):
        facts = replace(with_home(scan, scan.facts), host_state="suspended")
        return decide(scan.charter, facts, scan.now).to_json("fr")
    raise Problem("hub-unreachable", document.get("detail") or document.get("title"))


def _note(session: Session, scan: Scan, told: Mapping[str, Any], decision: Any) -> Any:
    """Write down a visit as the hub has it; the person's other visits here are over.

    When the same visit is being noted at the same moment, the other's row is the one.
    """
    try:
        visit = _write_note(session, scan, told, decision)
    except IntegrityError:
        session.rollback()
        visit = _write_note(session, scan, told, decision)
    session.commit()
    return visit


_BY_ID = select(Visit.__table__).where(Visit.id == bindparam("visit"))
_CHANGE = update(Visit.__table__).where(Visit.id == bindparam("visit")).returning(Visit.__table__)
_OPEN = _CHANGE.where(Visit.state == literal_column("'held'"))


def _write_note(session: Session, scan: Scan, told: Mapping[str, Any], decision: Any) -> Any:
    lock(session, scan)
    connection = session.connection()
    started = datetime.fromisoformat(told["started_at"])
    _leave_elsewhere(session, scan, started, except_id=told["id"])
    if told["id"] != scan.id:
        drop_hold(session, scan)
    of_visit = {"visit": told["id"]}
    noted = {"decision": dict(decision), "online": bool(told["online"]), "started_at": started}
    if told["id"] == scan.id:  # else it is another showing's, which told its own
        noted["report"] = scan.report
    held = {**of_visit, **noted, "state": "open", "held_until": None}
    found = connection.execute(_OPEN, held).first() or connection.execute(_BY_ID, of_visit).first()
    if found is None:
        return add_visit(session, scan, "open", **{"id": told["id"], **noted})
    if not found.decision:
        return connection.execute(_CHANGE, {**of_visit, **noted}).one()
    return found


_AT = bindparam("at", type_=Visit.started_at.type)
_LEAVE = (
    update(Visit)
    .where(
        Visit.state == literal_column("'open'"),
        Visit.home_id == bindparam("home"),
        or_(Visit.pass_id == bindparam("of_pass"), Visit.member_id == bindparam("member")),
        Visit.id != bindparam("but"),
    )
    .values(state="closed", ended_at=case((Visit.started_at > _AT, Visit.started_at), else_=_AT))
)


def _leave_elsewhere(session: Session, scan: Scan, at: datetime, except_id: str) -> None:
    wanted = {
        "home": scan.evidence.issuer,
        "of_pass": scan.evidence.pass_id,
        "member": scan.member_id,
        "but": except_id,
        "at": at,
    }
    session.connection().execute(_LEAVE, wanted)


def refuse(session: Session, node: Node, scan: Scan, decision: Decision) -> Outcome:
    """Note that somebody was refused, and why."""
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
    state, scan.member_id = passes.own(session, scan.evidence.pass_id or "")
    faults = scan.facts.faults
    if state != "valid":
        faults = (*faults, Fault(f"pass_{state}"))
    return replace(scan.facts, faults=faults, home=scan.facts.host)


def _admit_own(session: Session, node: Node, scan: Scan) -> Outcome:
    """Check one of our own members in: for presence, not for the account."""
    lock(session, scan)
    if scan.member_id is None:
        scan.facts = _own_facts(session, scan)
    known, decision = _weigh(session, scan)
    if known is not None:
        session.commit()
        return Outcome("already", known.decision, known)
    if not decision.allowed:
        session.rollback()
        return refuse(session, node, scan, decision)
    _leave_elsewhere(session, scan, scan.now, scan.id)
    visit = add_visit(session, scan, "open", decision=decision.to_json("fr"))
    session.commit()
    return Outcome("admitted", visit.decision, visit)


def _weigh(session: Session, scan: Scan) -> tuple[Any, Decision]:
    """Decide without the hub. A scan of somebody who is here already returns her visit too."""
    person = hers(session, scan)
    count_present(session, scan, person)
    decision = decide(scan.charter, scan.facts, scan.now)
    sound = not any(reason.code.startswith("pass_") for reason in decision.reasons)
    known = person.this or person.open_here
    if known is not None and known.state == "open" and sound:
        return known, decision
    if person.shown:
        scan.facts = replace(scan.facts, faults=(*scan.facts.faults, Fault("pass_replayed")))
        decision = decide(scan.charter, scan.facts, scan.now)
    return None, decision


def _decide_alone(session: Session, node: Node, scan: Scan, *, is_in: bool = False) -> Outcome:
    """The hub is away: decide under the offline article, and queue what is to be told.

    Somebody who ``is_in`` already, by the word of the desk, is not turned away afterwards.
    """
    scan.facts = facts_alone(session, node, scan)  # may ask the home for its list: no lock held
    lock(session, scan)
    drop_hold(session, scan)
    known, decision = _weigh(session, scan)
    closing = scan.schedule.closing_after(scan.now)
    came_again = is_in and known is not None and known.started_at >= closing
    if known is not None and not came_again:
        session.commit()
        return Outcome("already", known.decision or decision.to_json("fr"), known)
    if not decision.allowed and not is_in:
        session.commit()
        return refuse(session, node, scan, decision)
    stored = {**decision.to_json("fr"), "outcome": "allowed", "reasons": []}
    told = report(node, scan, stored)
    noted = {"online": False, "delivered": False, "decision": stored, "report": told}
    if came_again:
        visit = add_visit(session, scan, "closed", ended_at=closing, **noted)
    else:
        _leave_elsewhere(session, scan, scan.now, scan.id)
        visit = add_visit(session, scan, "open", **noted)
    payload = {"id": visit.id, "report": told}
    sync.queue(session, node.clock.real(), TOPIC_VISIT, f"{TOPIC_VISIT}:{visit.id}", payload)
    session.commit()
    return Outcome("admitted", stored, visit)
