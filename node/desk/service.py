"""The desk: checking in, checking out, undoing, and saying who is here.

A check-in takes two short transactions with the hub's answer between them: the first holds
a place, so that the last one is not given twice; the second makes the hold a visit, or lets it
go. Whatever dies in between, a hold expires by itself, the visit's id is the same when the
same code is sent again, and ``reconcile`` takes over from the hub what was not noted here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Charter, Decision, Facts, Fault, decide
from charter.halfdays import half_day_at, half_days
from node.context import Node
from node.desk.models import Refusal, Visit
from node.passes import service as passes
from node.spaces import service as spaces
from node.spaces.models import Space
from node.sync import service as sync
from shared import status
from shared.db import begin_write
from shared.http import Answer, PeerError, Unreachable
from shared.passes import UNREADABLE, Evidence, UnknownIssuer, examine
from shared.problems import Problem
from shared.reports import sign_report, visit_id
from shared.spaces import host_facts

TOPIC_VISIT, TOPIC_CHECK_OUT, TOPIC_VOID = "visit", "check-out", "void"
HOLD = timedelta(seconds=10)
# How long a scan waits for a place that another scan holds while it is being decided.
HOLD_WAIT_SECONDS = 2.0
HOLD_POLL_SECONDS = 0.02
REFRESH_AFTER_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is admitted, already or refused; a refused one has no visit."""

    kind: str
    decision: Mapping[str, Any]
    visit: Visit | None = None


@dataclass(slots=True)
class _Scan:
    """One scan at one space, as far as the node itself knows."""

    space: Space
    shown: str
    now: datetime
    evidence: Evidence
    facts: Facts
    charter: Charter
    held: bool = False

    @property
    def id(self) -> str:
        return visit_id(self.evidence.proof, self.space.id)


def check_in(session: Session, node: Node, space_id: str, shown: str) -> Outcome:
    """Decide on a scanned pass and record the visit. Raises Problem or ValidationError.

    Asks the hub; while it is away, decides alone under the charter's offline article.
    """
    scan = _read_fresh(session, node, space_id, shown)
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return _refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    if scan.evidence.issuer == scan.facts.host:
        return _admit_own(session, node, scan)
    if node.hub.away:
        return _decide_alone(session, node, scan)
    sync.flush_soon(session, node)  # what happened before is told before
    _hold(session, node, scan)
    try:
        answer = node.hub.call("POST", "/api/v1/visits", json={"report": _report(node, scan)})
    except Unreachable:
        return _decide_alone(session, node, scan)
    except PeerError as error:
        _release(session, scan)
        raise Problem("hub-unreachable", error.detail) from None
    return _follow(session, node, scan, answer)


def preview(session: Session, node: Node, space_id: str, shown: str) -> Mapping[str, Any]:
    """Return the decision that ``check_in`` would take; nothing is recorded. Raises Problem."""
    scan = _read_fresh(session, node, space_id, shown)
    if scan.evidence.pass_id is None and _unreadable(scan.evidence):
        return decide(scan.charter, scan.facts, scan.now).to_json("fr")
    if scan.evidence.issuer == scan.facts.host:
        scan.facts = _own_facts(session, scan)
        return _would_say(session, scan)
    _count_present(session, scan)
    session.rollback()
    report = {"report": _report(node, scan)}
    try:
        answer = node.hub.call("POST", "/api/v1/visits/preview", json=report)
    except Unreachable:
        scan.facts = _alone(session, node, scan)
        return _would_say(session, scan)
    except PeerError as error:
        raise Problem("hub-unreachable", error.detail) from None
    return _told(session, node, scan, answer)


def _would_say(session: Session, scan: _Scan) -> Mapping[str, Any]:
    known, decision = _weigh(session, scan)
    return known.decision if known is not None and known.decision else decision.to_json("fr")


def find_space(session: Session, space_id: str) -> Space:
    """Return the space a request names. Raises ValidationError."""
    space = session.get(Space, space_id)
    if space is None:
        raise ValidationError({"space": ["This node has no such space."]})
    return space


def _unreadable(evidence: Evidence) -> bool:
    return any(fault.code == UNREADABLE for fault in evidence.faults)


def _read_fresh(session: Session, node: Node, space_id: str, shown: str) -> _Scan:
    """Read a scan; a home that is not known yet may have joined since the list was fetched."""
    scan = _read(session, node, space_id, shown)
    stranger = any(fault.code == "home_unknown" for fault in scan.evidence.faults)
    age = scan.facts.trust_list_age
    if stranger and not node.hub.away and age is not None and age > REFRESH_AFTER_SECONDS:
        try:
            sync.refresh(session, node)
        except PeerError:
            session.rollback()
        scan = _read(session, node, space_id, shown)
    return scan


def _read(session: Session, node: Node, space_id: str, shown: str) -> _Scan:
    host = sync.node_id(session)
    space = find_space(session, space_id)
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")

    def key(issuer: str, kid: str) -> Any:
        if issuer == host:
            for own_kid, own_key in node.ring.keys:
                if own_kid == kid:
                    return own_key
            raise UnknownIssuer("key")
        return known.trust.issuer_key(issuer, kid)

    now = node.clock.now()
    document = spaces.document(space, now.date(), node.url)
    facts = Facts(
        host=host,
        online=not node.hub.away,
        **host_facts(document, spaces.schedule(space, now.date()), now),
    )
    evidence = examine(shown, key, node.clock)
    facts = replace(facts, faults=evidence.faults, plan=evidence.plan, home=evidence.issuer)
    facts = replace(facts, usable_from=evidence.usable_from)
    entry = known.trust.nodes.get(host, {})
    facts = replace(
        facts,
        host_state=entry.get("state", "connected"),
        host_signed=entry.get("charter"),
        trust_list_age=int((node.clock.real() - known.fetched_at).total_seconds()),
    )
    return _Scan(space, shown.strip(), now, evidence, facts, known.charter)


def _report(node: Node, scan: _Scan, decision: Mapping[str, Any] | None = None) -> str:
    return sign_report(node.ring, node.hub.url, scan.shown, scan.now, scan.facts, decision)


# Places


def _present(session: Session, space_id: str, now: datetime) -> tuple[int, int, int]:
    """Return how many are here: guests, guests being decided, own members."""
    query = (
        select(Visit.state, Visit.local, func.count())
        .where(
            Visit.space_id == space_id,
            or_(Visit.state == "open", and_(Visit.state == "held", Visit.held_until > now)),
        )
        .group_by(Visit.state, Visit.local)
    )
    counts = {(row[0], row[1]): row[2] for row in session.execute(query)}
    own = sum(count for (_, local), count in counts.items() if local)
    return counts.get(("open", False), 0), counts.get(("held", False), 0), own


def _count_present(session: Session, scan: _Scan) -> tuple[bool, bool]:
    """Set who is here among the facts; return whether a place is free, and whether one is held.

    The person herself is not counted: she may be here already.
    """
    here, held, own = _present(session, scan.space.id, scan.now)
    if _open_visit(session, scan) is not None:
        here -= 1
    scan.facts = replace(scan.facts, guests_present=here + held, people_present=here + held + own)
    rule, capacity = scan.charter.rules.guest_cap, scan.facts.capacity
    cap = max(scan.facts.guest_cap, rule.at_least) if rule else None
    free = (cap is None or here + held < cap) and (capacity is None or here + held + own < capacity)
    return free, held > 0


def _open_visit(session: Session, scan: _Scan) -> Visit | None:
    """Return the open visit of this very pass at this space."""
    query = select(Visit).where(
        Visit.state == "open",
        Visit.home_id == scan.evidence.issuer,
        Visit.pass_id == scan.evidence.pass_id,
        Visit.space_id == scan.space.id,
    )
    return session.scalar(query) if scan.evidence.pass_id else None


def _hold(session: Session, node: Node, scan: _Scan) -> None:
    """Keep a place while the hub decides. A place that another scan holds is waited for."""
    deadline = time.monotonic() + HOLD_WAIT_SECONDS
    space_id = scan.space.id
    while True:
        begin_write(session)
        # The space's row is the lock under which places are given.
        scan.space = session.scalars(
            select(Space).where(Space.id == space_id).with_for_update()
        ).one()
        free, others_held = _count_present(session, scan)
        if free or not others_held or time.monotonic() > deadline:
            break
        session.rollback()
        time.sleep(HOLD_POLL_SECONDS)
    if free and session.get(Visit, scan.id) is None and _open_visit(session, scan) is None:
        visit = _new_visit(session, node, scan, "held")
        visit.held_until = scan.now + HOLD
        scan.held = True
    session.commit()


def _release(session: Session, scan: _Scan) -> None:
    if scan.held:
        begin_write(session)
        visit = session.get(Visit, scan.id)
        if visit is not None and visit.state == "held":
            session.delete(visit)
        session.commit()


def _new_visit(session: Session, node: Node, scan: _Scan, state: str) -> Visit:
    today = scan.now.date()
    visit = Visit(
        id=scan.id,
        space_id=scan.space.id,
        home_id=scan.evidence.issuer,
        pass_id=scan.evidence.pass_id,
        given_name=scan.evidence.given_name or "",
        plan=scan.evidence.plan or "",
        proof=scan.evidence.proof,
        state=state,
        started_at=scan.now,
        closes_at=spaces.schedule(scan.space, today).closing_after(scan.now),
        charter=scan.charter.version,
        decision={},
    )
    session.add(visit)
    return visit


# Answers


def _follow(session: Session, node: Node, scan: _Scan, answer: Answer) -> Outcome:
    """Note here what the hub decided."""
    document = answer.json()
    if answer.status in (200, 201):
        visit = _note(session, node, scan, document["visit"], document["decision"])
        kind = "admitted" if answer.status == 201 else "already"
        return Outcome(kind, visit.decision, visit)
    _release(session, scan)
    return _note_refusal(session, node, scan, _told(session, node, scan, answer))


def _told(session: Session, node: Node, scan: _Scan, answer: Answer) -> Mapping[str, Any]:
    """Return the decision in an answer of the hub. Raises Problem when there is none."""
    document = answer.json()
    if "decision" in document:
        found: Mapping[str, Any] = document["decision"]
        return found
    if document.get("type", "").endswith("/node-suspended"):
        facts = replace(_with_home(session, node, scan, scan.facts), host_state="suspended")
        return decide(scan.charter, facts, scan.now).to_json("fr")
    raise Problem("hub-unreachable", document.get("detail") or document.get("title"))


def _note(
    session: Session, node: Node, scan: _Scan, told: Mapping[str, Any], decision: Any
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
    session: Session, node: Node, scan: _Scan, told: Mapping[str, Any], decision: Any
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
        visit = _new_visit(session, node, scan, "open")
        visit.id = told["id"]
    if visit.state == "held":
        visit.state, visit.held_until = "open", None
    if not visit.decision:
        visit.decision = dict(decision)
        visit.online, visit.started_at = bool(told["online"]), started
    session.flush()
    return visit


def _leave_elsewhere(session: Session, scan: _Scan, at: datetime, except_id: str) -> None:
    query = select(Visit).where(
        Visit.state == "open",
        Visit.home_id == scan.evidence.issuer,
        Visit.pass_id == scan.evidence.pass_id,
        Visit.id != except_id,
    )
    for other in session.scalars(query):
        other.state, other.ended_at = "closed", max(at, other.started_at)
    session.flush()


def _refuse(session: Session, node: Node, scan: _Scan, decision: Decision) -> Outcome:
    return _note_refusal(session, node, scan, decision.to_json("fr"))


def _note_refusal(
    session: Session, node: Node, scan: _Scan, decision: Mapping[str, Any]
) -> Outcome:
    space_id = scan.facts.space
    begin_write(session)
    codes = [reason["code"] for reason in decision["reasons"]]
    session.add(Refusal(at=node.clock.now(), space_id=space_id, codes=codes))
    session.commit()
    return Outcome("refused", decision)


# Alone


def _own_facts(session: Session, scan: _Scan) -> Facts:
    """One of our own members: we are the authority on her pass."""
    state = passes.own_status(session, scan.evidence.pass_id or "")
    faults = scan.facts.faults
    if state != "valid":
        faults = (*faults, Fault(f"pass_{state}"))
    return replace(scan.facts, faults=faults, home=scan.facts.host)


def _admit_own(session: Session, node: Node, scan: _Scan) -> Outcome:
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
    visit = _new_visit(session, node, scan, "open")
    visit.local, visit.decision = True, decision.to_json("fr")
    session.commit()
    return Outcome("admitted", visit.decision, visit)


def _weigh(session: Session, scan: _Scan) -> tuple[Visit | None, Decision]:
    """Decide without the hub. A scan of somebody who is here already returns her visit too."""
    _count_present(session, scan)
    decision = decide(scan.charter, scan.facts, scan.now)
    sound = not any(reason.code.startswith("pass_") for reason in decision.reasons)
    known = session.get(Visit, scan.id) or _open_visit(session, scan)
    if known is not None and known.state == "open" and sound:
        return known, decision
    used = select(Visit.id).where(Visit.proof == scan.evidence.proof, Visit.state != "held")
    if session.scalar(used) is not None:
        scan.facts = replace(scan.facts, faults=(*scan.facts.faults, Fault("pass_replayed")))
        decision = decide(scan.charter, scan.facts, scan.now)
    return None, decision


def _alone(session: Session, node: Node, scan: _Scan) -> Facts:
    """Return the facts a door has without the hub; what it cannot know is None."""
    facts = replace(scan.facts, online=False, used_network=None)
    if scan.evidence.issuer is None or scan.evidence.pass_id is None:
        return facts
    facts = _with_home(session, node, scan, facts)
    return _with_local_usage(session, scan, _with_status(session, node, scan, facts))


def _with_home(session: Session, node: Node, scan: _Scan, facts: Facts) -> Facts:
    """Add what the trust list says of the home."""
    known = sync.network(session, node)
    entry = known.trust.nodes.get(scan.evidence.issuer or "") if known else None
    if entry is None:
        return facts
    plan_half_days = entry.get("plans", {}).get(scan.evidence.plan)
    return replace(
        facts,
        home_state=entry["state"],
        home_signed=entry.get("charter"),
        home_half_days=plan_half_days if isinstance(plan_half_days, int) else None,
    )


def _with_status(session: Session, node: Node, scan: _Scan, facts: Facts) -> Facts:
    """Look the pass up in its home's list. No list that holds: nothing can be verified."""
    known = sync.network(session, node)
    home, index = scan.evidence.issuer, scan.evidence.status_index
    if known is None or home is None or index is None:
        return facts
    found = sync.status_list(session, node, known.trust, home, ask=True)
    if found is None:
        return replace(facts, trust_list_age=None)
    try:
        state = found.status(index)
    except IndexError:
        return replace(facts, faults=(*facts.faults, Fault("pass_revoked", "index")))
    age = max(facts.trust_list_age or 0, int(node.clock.real().timestamp()) - found.issued_at)
    facts = replace(facts, trust_list_age=age)
    if state != status.VALID:
        code = "pass_suspended" if state == status.SUSPENDED else "pass_revoked"
        facts = replace(facts, faults=(*facts.faults, Fault(code)))
    return facts


def _with_local_usage(session: Session, scan: _Scan, facts: Facts) -> Facts:
    """Count this pass's half-days here this month, and its visits that the hub has not heard of."""
    zone = spaces.schedule(scan.space, scan.now.date()).zone
    split = scan.charter.rules.opening_hours.split
    here = half_day_at(scan.now, zone, split)
    since = scan.now - timedelta(days=32)
    query = select(Visit).where(
        Visit.home_id == scan.evidence.issuer,
        Visit.pass_id == scan.evidence.pass_id,
        Visit.state.in_(("open", "closed")),
        Visit.started_at >= since,
    )
    used, budget = set(), 0
    for visit in session.scalars(query):
        if not visit.delivered:
            budget += 1
        if visit.space_id == scan.space.id:
            used.update(
                half_days(visit.started_at, visit.ended_at or visit.started_at, zone, split)
            )
    this_month = {half_day for half_day in used if half_day.month == here.month}
    return replace(
        facts,
        used_host=len(this_month),
        counted_already=here in this_month,
        offline_visits=budget,
    )


def _decide_alone(session: Session, node: Node, scan: _Scan) -> Outcome:
    """The hub is away: decide under the offline article, and queue what is to be told."""
    space_id = scan.space.id
    facts = _alone(session, node, scan)  # may ask the home for its status list: no lock held
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
    visit = _new_visit(session, node, scan, "open")
    visit.online, visit.delivered, visit.decision = False, False, decision.to_json("fr")
    session.flush()
    payload = {"id": visit.id, "report": _report(node, scan, visit.decision)}
    sync.queue(session, node.clock.real(), TOPIC_VISIT, f"{TOPIC_VISIT}:{visit.id}", payload)
    session.commit()
    return Outcome("admitted", visit.decision, visit)


# Afterwards


def check_out(session: Session, node: Node, visit_id_: str, at: datetime | None = None) -> Visit:
    """End a visit, now or at a given time; ending it again changes nothing. Raises Problem."""
    begin_write(session)
    visit = _own_visit(session, visit_id_)
    if visit.state == "open":
        ended = max(at or node.clock.now(), visit.started_at)
        visit.state, visit.ended_at = "closed", ended
        _tell(session, node, visit, TOPIC_CHECK_OUT, {"at": ended.isoformat()})
    session.commit()
    return visit


def void(session: Session, node: Node, visit_id_: str, reason: str) -> Visit:
    """Undo a check-in that was a mistake, while the charter allows it. Raises Problem."""
    known = sync.network(session, node)
    now = node.clock.now()
    begin_write(session)
    visit = _own_visit(session, visit_id_)
    if visit.state != "void":
        hours = known.charter.rules.correction.hours if known else 0
        if now > visit.started_at + timedelta(hours=hours):
            session.rollback()
            raise Problem("visit-closed")
        visit.state, visit.ended_at = "void", visit.ended_at or max(now, visit.started_at)
        _tell(session, node, visit, TOPIC_VOID, {"at": now.isoformat(), "reason": reason})
    session.commit()
    return visit


def _own_visit(session: Session, visit_id_: str) -> Visit:
    visit = session.scalar(select(Visit).where(Visit.id == visit_id_).with_for_update())
    if visit is None or visit.state == "held":
        session.rollback()
        raise Problem("not-found")
    return visit


def _tell(session: Session, node: Node, visit: Visit, topic: str, body: dict[str, Any]) -> None:
    if not visit.local:
        payload = {"id": visit.id, "body": body}
        sync.queue(session, node.clock.real(), topic, f"{topic}:{visit.id}", payload)


def presence(session: Session, space_id: str) -> list[Visit]:
    """Return who is at a space, the latest arrival first. Raises Problem."""
    spaces.space(session, space_id)
    query = select(Visit).where(Visit.space_id == space_id, Visit.state == "open")
    return list(session.scalars(query.order_by(Visit.started_at.desc())))


def close_forgotten(session: Session, node: Node) -> int:
    """End visits that nobody ended, at their space's closing time; drop holds that expired."""
    now = node.clock.now()
    query = select(Visit.id, Visit.closes_at).where(Visit.state == "open", Visit.closes_at <= now)
    due = session.execute(query).all()
    for visit_id_, closes_at in due:
        check_out(session, node, visit_id_, closes_at)
    begin_write(session)
    for hold in session.scalars(select(Visit).where(Visit.state == "held", Visit.held_until < now)):
        session.delete(hold)
    session.commit()
    return len(due)


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
    from urllib.parse import urlencode  # noqa: PLC0415

    return urlencode({name: value for name, value in values.items() if value != ""})


def _take_over(session: Session, node: Node, told: Mapping[str, Any]) -> int:
    begin_write(session)
    visit = session.get(Visit, told["id"])
    space = session.get(Space, told["space"])
    ended = datetime.fromisoformat(told["ended_at"]) if told["ended_at"] else None
    changed = 0
    if visit is None and told["state"] == "open" and space is not None:
        started = datetime.fromisoformat(told["started_at"])
        closes = spaces.schedule(space, started.date()).closing_after(started)
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
    elif visit is not None and visit.state in ("open", "held") and told["state"] != "open":
        visit.state, visit.ended_at, visit.held_until = told["state"], ended, None
        changed = 1
    session.commit()
    return changed


# Deliveries


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
sync.RECEIPTS[TOPIC_VISIT] = _delivered
