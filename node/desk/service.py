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

import structlog
from marshmallow import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import NOT_YET, Decision, Facts, Fault, decide
from node.context import Node
from node.desk.hub_answers import decided, recorded
from node.desk.hub_messages import TOPIC_VISIT, VISITS
from node.desk.offline_facts import facts_alone, with_home
from node.desk.recording import enter, is_over, note, note_refusal
from node.desk.showings import remember
from node.hub import outbox
from node.hub_client import ClocksDiffer, Refused
from node.members.models import Member
from node.passes import service as passes
from node.spaces import service as spaces
from node.visits.presence import subject_of
from node.visits.scan import Scan, at_door, read_fresh, report
from node.visits.seats import (
    VisitsOfPerson,
    count_present,
    drop_hold,
    hold,
    locked,
    release_hold,
    visits_of_person,
)
from shared.crypto.passes import UNREADABLE, Evidence
from shared.net.http import Answer, Unreachable
from shared.store.db import release
from shared.wire.problems import Problem

log = structlog.get_logger()

NOT_KNOWN = "the hub does not know this node, or not by this key: nobody was checked in"
# How far the clock of a desk's browser may be ahead.
EARLY = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is admitted, already or refused; a refused one has no visit.

    ``visit`` has a visit's columns as attributes.
    """

    kind: str
    decision: Mapping[str, Any]
    visit: Any = None


@at_door()
def check_in(session: Session, node: Node, space_id: str, shown: str) -> Outcome:
    """Decide on a scanned pass and record the visit. Raises Problem or ValidationError.

    Asks the hub; while it is away, decides alone under the charter's offline article.
    """
    return _decide(session, node, read_fresh(session, node, space_id, shown))


def _decide(session: Session, node: Node, scan: Scan) -> Outcome:
    try:
        return _decide_once(session, node, scan)
    except IntegrityError:  # the code, or its person, was let in at the same moment
        return _decide_once(session, node, scan)


def _decide_once(session: Session, node: Node, scan: Scan) -> Outcome:
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    if scan.evidence.issuer == scan.facts.host:
        return _admit_own(session, node, scan)
    if node.hub.away:
        return _decide_alone(session, node, scan)
    person = hold(session, scan)
    if _is_replayed(person, scan):
        return refuse(session, node, scan, _decide_replayed(scan))
    scan.report = report(node, scan)
    return _decide_with_hub(session, node, scan, person)


def _decide_with_hub(session: Session, node: Node, scan: Scan, person: VisitsOfPerson) -> Outcome:
    """Let the hub decide, or decide alone where it says nothing in time. Raises Problem."""
    try:
        return _follow(session, node, scan, _ask(session, node, scan, person))
    except Unreachable as silence:
        if isinstance(silence, ClocksDiffer):
            by_poster = scan.by_poster
            scan = read_fresh(session, node, scan.space_id, scan.shown)
            scan.by_poster = by_poster
        return _decide_alone(session, node, scan)
    except Refused:
        release_hold(session, scan)
        raise Problem("node-unknown", NOT_KNOWN) from None


def _ask(session: Session, node: Node, scan: Scan, person: VisitsOfPerson) -> Answer:
    """Ask the hub, which hears first of the visit that was decided without it.

    Where it takes for here who has left, it is told that, and asked again.
    """
    known = person.known(scan)
    if known is not None and not known.delivered:
        outbox.deliver_of(session, node, subject_of(known.id))
    body = {"report": scan.report}
    answer = node.hub.call("POST", VISITS, json=body)
    told = recorded(answer) if answer.status == 200 else None
    if told is not None and is_over(session, told["visit"]["id"]):
        release(session)
        outbox.deliver_of(session, node, subject_of(told["visit"]["id"]))
        answer = node.hub.call("POST", VISITS, json=body)
    return answer


@at_door()
def arrive(session: Session, node: Node, space_id: str, shown: str) -> Outcome:
    """Check in somebody who scanned the space's poster: their phone signed the poster's code.

    That they stand before it is all that this shows; the desk sees them come in, and may
    undo it.
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


@at_door()
def check_in_late(session: Session, node: Node, space_id: str, shown: str, at: datetime) -> Outcome:
    """Record whom a desk's own browser let in while this node did not answer, as of then.

    ``at`` is the real time of the scan, and the code is examined as of that time. Whoever holds
    a pass was let in, and counts, under the charter's offline article, however late it is told:
    what the browser could not know is flagged by the hub, or held. Somebody who has come again
    since has a visit for each, and this one is over. Safe to repeat. Raises Problem or
    ValidationError.
    """
    clock = node.clock.standing(at)
    if clock.real() - node.clock.real() > EARLY:
        raise ValidationError({"at": ["This moment is still to come."]})
    scan = read_fresh(session, node, space_id, shown, clock)
    scan.late = True
    if any(fault != NOT_YET for fault in scan.evidence.faults):
        scan.facts = with_home(scan, scan.facts)
        return refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    record = _admit_own if scan.evidence.issuer == scan.facts.host else _decide_alone
    try:
        return record(session, node, scan)
    except IntegrityError:  # told twice at the same moment
        return record(session, node, scan)


def check_in_member(session: Session, node: Node, space_id: str, member: Member) -> Outcome:
    """Check in somebody of the house whom the desk found by name. Raises Problem."""
    scan = read_fresh(session, node, space_id, secrets.token_urlsafe())  # nobody can show this
    home, plan = scan.facts.host, member.plan.plan_class
    of_house = Evidence((), scan.evidence.proof, home, plan=plan, given_name=member.given_name)
    scan.evidence, scan.member_id = of_house, member.id
    scan.facts = replace(scan.facts, faults=(), home=home, plan=plan)
    return _admit_own(session, node, scan)


@at_door()
def preview(session: Session, node: Node, space_id: str, shown: str) -> Mapping[str, Any]:
    """Return the decision that ``check_in`` would take; nothing is recorded. Raises Problem."""
    scan = read_fresh(session, node, space_id, shown)
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return decide(scan.charter, scan.facts, scan.now).to_json("fr")
    if scan.evidence.issuer == scan.facts.host:
        scan.facts = _own_facts(session, scan)
        return _would_say(session, scan)
    person = visits_of_person(session, scan)
    count_present(session, scan, person)
    release(session)
    if _is_replayed(person, scan) and not node.hub.away:
        return _decide_replayed(scan).to_json("fr")
    try:
        body = {"report": report(node, scan)}
        answer = node.hub.call("POST", f"{VISITS}/preview", json=body)
        said = _told(scan, answer)
    except Unreachable as silence:
        if isinstance(silence, ClocksDiffer):
            scan = read_fresh(session, node, space_id, shown)
        scan.facts = facts_alone(session, node, scan)
        return _would_say(session, scan)
    except Refused:
        raise Problem("node-unknown", NOT_KNOWN) from None
    here = person.here
    if here is not None and here.decision and _host_suspended(answer):
        said = here.decision
    return said


def _would_say(session: Session, scan: Scan) -> Mapping[str, Any]:
    person, decision = _weigh(session, scan)
    known = _admitted_before(person, scan, decision)
    return known.decision if known is not None and known.decision else decision.to_json("fr")


def _unreadable(evidence: Evidence) -> bool:
    return any(fault.code == UNREADABLE for fault in evidence.faults)


def _is_replayed(person: VisitsOfPerson, scan: Scan) -> bool:
    return person.spent is not None and person.known(scan) is None


def _decide_replayed(scan: Scan) -> Decision:
    """Decide on a code that was good here for another visit: the hub need not be asked."""
    facts = with_home(scan, scan.facts)
    scan.facts = replace(facts, faults=(*facts.faults, Fault("pass_replayed")))
    return decide(scan.charter, scan.facts, scan.now)


# Answers


def _follow(session: Session, node: Node, scan: Scan, answer: Answer) -> Outcome:
    """Note here what the hub decided."""
    if answer.status in (200, 201):
        told = recorded(answer)
        if told is None or not _is_of(session, scan, answer.status, told["visit"]):
            log.error("visit.not-an-answer", visit=scan.id, status=answer.status)
            raise Unreachable("not-json")
        visit = note(session, node, scan, told)
        kind = "admitted" if answer.status == 201 else "already"
        return Outcome(kind, visit.decision, visit)
    try:
        decision = _told(scan, answer)
    except Problem:
        release_hold(session, scan)
        raise
    with locked(session, scan):
        drop_hold(session, scan)
        # A host that is suspended meanwhile sends nobody away.
        here = visits_of_person(session, scan).here
        if here is not None and _host_suspended(answer):
            return _already(session, node, scan, here)
    note_refusal(session, node, scan, decision)
    return Outcome("refused", decision)


def _is_of(session: Session, scan: Scan, status: int, told: Mapping[str, Any]) -> bool:
    """Tell whether a visit is this scan's, or the one in the middle of which its person is here.

    The hub may know a home, or a key of it, of which this node has not heard yet.
    """
    known = scan.evidence.issuer in (None, told["home"])
    here = known and told["space"] == scan.space_id
    return here and (told["id"] == scan.id or (status == 200 and not is_over(session, told["id"])))


def _already(
    session: Session, node: Node, scan: Scan, known: Any, decision: Decision | None = None
) -> Outcome:
    """Answer somebody who is here already; their code is good for nothing else now.

    That is noted in the caller's transaction.
    """
    remember(session, node, scan, known.id, tell=True)
    said = known.decision or (decision.to_json("fr") if decision else {})
    return Outcome("already", said, known)


def _host_suspended(answer: Answer) -> bool:
    kind = answer.json().get("type") if answer.status == 403 else ""
    return str(kind).endswith(("/node-suspended", "/node-left"))


def _told(scan: Scan, answer: Answer) -> Mapping[str, Any]:
    """Return the decision in an answer of the hub.

    Raises Unreachable when it says nothing to this, Problem when it takes no visit from us.
    """
    if found := decided(answer):
        return found
    if _host_suspended(answer):
        facts = replace(with_home(scan, scan.facts), host_state="suspended")
        return decide(scan.charter, facts, scan.now).to_json("fr")
    if answer.status < 400 or answer.status in outbox.LATER:
        raise Unreachable("status", str(answer.status))
    document = answer.json()
    raise Problem("node-unknown", document.get("detail") or document.get("title"))


def refuse(session: Session, node: Node, scan: Scan, decision: Decision) -> Outcome:
    """Note that somebody was refused, and why."""
    said = decision.to_json("fr")
    note_refusal(session, node, scan, said)
    return Outcome("refused", said)


# Alone


def _own_facts(session: Session, scan: Scan) -> Facts:
    """One of our own members: we are the authority on their pass."""
    state, scan.member_id = passes.own(session, scan.evidence.pass_id or "")
    faults = scan.facts.faults
    if state != "valid":
        faults = (*faults, Fault(f"pass_{state}"))
    return replace(scan.facts, faults=faults, home=scan.facts.host)


def _admit_own(session: Session, node: Node, scan: Scan) -> Outcome:
    """Check one of our own members in: for presence, not for the account."""
    with locked(session, scan):
        if scan.member_id is None:
            scan.facts = _own_facts(session, scan)
        person, decision = _weigh(session, scan)
        known = _admitted_before(person, scan, decision)
        if known is not None:
            return _already(session, node, scan, known, decision)
        if _is_let_in(scan, person, decision):
            until = _over_since(node, scan, person)
            visit = enter(session, scan, person, until, decision=_admitting(decision))
            remember(session, node, scan, visit.id, tell=True)
            return Outcome("admitted", visit.decision, visit)
    return refuse(session, node, scan, decision)


def _is_let_in(scan: Scan, person: VisitsOfPerson, decision: Decision) -> bool:
    """Tell whether somebody is in: whom a desk's browser let in, by a code of then, is."""
    return decision.allowed or (scan.late and person.spent is None)


def _admitting(decision: Decision) -> dict[str, Any]:
    return {**decision.to_json("fr"), "outcome": "allowed", "reasons": []}


def _weigh(session: Session, scan: Scan) -> tuple[VisitsOfPerson, Decision]:
    """Decide without the hub; return what is known of the person too."""
    person = visits_of_person(session, scan)
    count_present(session, scan, person)
    decision = decide(scan.charter, scan.facts, scan.now)
    if person.spent is not None and _admitted_before(person, scan, decision) is None:
        scan.facts = replace(scan.facts, faults=(*scan.facts.faults, Fault("pass_replayed")))
        decision = decide(scan.charter, scan.facts, scan.now)
    return person, decision


def _admitted_before(person: VisitsOfPerson, scan: Scan, decision: Decision) -> Any:
    """Return the visit of somebody who is here already, by a pass that is still sound, or None."""
    sound = not any(reason.code.startswith("pass_") for reason in decision.reasons)
    return person.known(scan) if sound or scan.late else None


def _over_since(node: Node, scan: Scan, person: VisitsOfPerson) -> datetime | None:
    """Return when a visit that is told late was over: with the person's next one, or at closing."""
    closing = scan.schedule.closing_after(scan.now)
    over = scan.late and closing <= node.clock.now()
    return min(filter(None, (closing if over else None, person.next_start)), default=None)


def _decide_alone(session: Session, node: Node, scan: Scan) -> Outcome:
    """The hub is away: decide under the offline article, and queue what is to be told.

    Whom a desk's browser let in is not turned away afterwards, but by a code that was used.
    """
    scan.facts = facts_alone(session, node, scan)  # may ask the home for its list: no lock held
    with locked(session, scan):
        drop_hold(session, scan)
        person, decision = _weigh(session, scan)
        known = _admitted_before(person, scan, decision)
        if known is not None:
            return _already(session, node, scan, known, decision)
        if _is_let_in(scan, person, decision):
            return _enter_alone(session, node, scan, person, decision)
    return refuse(session, node, scan, decision)


def _enter_alone(
    session: Session, node: Node, scan: Scan, person: VisitsOfPerson, decision: Decision
) -> Outcome:
    """Add a visit and what the hub is to be told of it, in the caller's transaction."""
    stored = _admitting(decision)
    until = _over_since(node, scan, person)
    told = report(node, scan, stored, until)
    noted = {"online": False, "delivered": False, "decision": stored, "report": told}
    visit = enter(session, scan, person, until, **noted)
    remember(session, node, scan, visit.id, tell=False)
    payload = {"id": visit.id, "report": told}
    subject, now = subject_of(visit.id), node.clock.real()
    key = f"{TOPIC_VISIT}:{visit.id}"
    outbox.queue(session, now, TOPIC_VISIT, key, payload, subject, soon=False)
    return Outcome("admitted", stored, visit)
