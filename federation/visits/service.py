"""Recording visits: authorise, count and account, exactly once.

Everything that decides about one person happens under a lock on their row, so that the last
half-day is given once however many doors ask at the same time. What a host tells afterwards
counts for what the phone signed then; what proves nothing is kept for the coordination, and counts
nothing until somebody there has looked at it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import decide, facts_to_json
from charter.timeline import GRACE
from federation.audit.service import audit
from federation.directory import service as directory
from federation.directory.models import Node
from federation.governance import service as governance
from federation.visits import ledger, showings
from federation.visits.case import Case, gather
from federation.visits.models import Member, Refusal, Visit
from shared import jose
from shared.clock import Clock
from shared.db import begin_write
from shared.keys import KeyRing
from shared.passes import Evidence, examine
from shared.problems import Problem
from shared.reports import TYP, Receipt, Report, read_receipt, read_report, visit_id

# Called in the transaction in which a visit is undone; rooms above add what follows from it.
ON_VOID: list[Callable[[Session, Visit, datetime], None]] = []


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is recorded, already or refused; a refused one has no visit.

    ``visit`` has a visit's columns as attributes.
    """

    kind: str
    decision: Mapping[str, Any]
    visit: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """A report and what it proves; ``receipt`` is the hub's own word on a visit it has lost."""

    report: Report
    evidence: Evidence
    token: str
    receipt: Receipt | None = None


def read(
    session: Session, clock: Clock, node_id: str, ring: KeyRing, hub_url: str, token: str
) -> Told:
    """Verify a node's report and the pass in it. Raises Problem or ValidationError.

    What is wrong with the pass is no error: it is among the evidence. Nothing is locked meanwhile,
    and whether the keys may still be used is seen when the visit is decided.
    """
    find_key = directory.find_key_of(session, node_id, directory.any_key)
    try:
        found = jose.verify(token, find_key, TYP)
    except jose.TokenFault as fault:
        directory.active_node(session, node_id)
        raise Problem("proof-invalid", fault.detail) from None
    report = read_report(found)
    if report.host != node_id or report.audience != hub_url:
        raise Problem("proof-invalid", "iss or aud is another")
    receipt = _receipt(report, ring, hub_url)
    if receipt is not None:
        report = replace(report, at=receipt.at, online=receipt.online)
        person = {"issuer": receipt.home, "pass_id": receipt.pass_id, "plan": receipt.plan}
        return Told(report, Evidence((), receipt.showing, **person), token, receipt)
    if not report.shown:
        raise Problem("proof-invalid", "the receipt is not one of ours")
    if not report.live:  # told late, maybe: the code was fresh then
        clock = clock.standing(min(report.at - clock.offset, clock.real()))
    keys = partial(directory.any_key, session)
    return Told(report, examine(report.shown, keys, clock), token)


def _receipt(report: Report, ring: KeyRing, hub_url: str) -> Receipt | None:
    """Return the hub's own receipt that a report carries, if it is one for this host and space."""
    if not report.again or report.receipt is None:
        return None
    try:
        found = read_receipt(report.receipt, ring.find, hub_url)
    except jose.TokenFault:
        return None
    return found if (found.host, found.space) == (report.host, report.space) else None


def record(session: Session, clock: Clock, told: Told) -> Outcome:
    """Decide and record one visit. Safe to repeat: the same showing is the same visit.

    A visit admitted offline is never refused: it counts, with flags for what the hub would
    have said, or is held where it proves nothing. Nor is one that the hub admitted itself.
    """
    try:
        return _record(session, clock, told)
    except IntegrityError:  # somebody else recorded this person at the same moment
        session.rollback()
        return _record(session, clock, told)


def preview(session: Session, clock: Clock, told: Told) -> Mapping[str, Any]:
    """Return the decision that ``record`` would take; nothing is recorded."""
    begin_write(session)
    try:
        case = gather(session, clock, told.report, told.evidence)
        decision = decide(case.charter, case.facts, case.at)
        known = _known(case, told, decision.allowed)
        return dict(known.decision) if known else decision.to_json("fr")
    finally:
        session.rollback()


def _record(session: Session, clock: Clock, told: Told) -> Outcome:
    begin_write(session)
    report = told.report
    case = gather(session, clock, report, told.evidence)
    decision = decide(case.charter, case.facts, case.at)
    known = _known(case, told, decision.allowed)
    if known is not None:
        if known is not case.this:
            _keep_showing(session, clock, case, report, "seen")
        outcome = Outcome("already", known.decision, known)
        session.commit()
        return outcome
    if case.person is None or (report.live and not decision.allowed):
        return _refuse(session, clock, case, report, decision.to_json("fr"))
    stored, flags = decision.to_json("fr"), list[str]()
    if not report.live:
        flags = ["told_again" if told.receipt else "offline"]
        flags += dict.fromkeys(reason.code for reason in decision.reasons)
        tolerated = timedelta(hours=case.charter.rules.offline.trust_list_hours)
        if told.receipt is None and clock.now() - case.at > tolerated:
            flags.append("told_late")
        stored = dict(told.receipt.decision if told.receipt else report.decision or stored)
    visit = _add_visit(session, clock, case, told, stored, flags)
    session.commit()
    return Outcome("recorded", stored, visit)


def _known(case: Case, told: Told, allowed: bool) -> Visit | None:
    """Return the visit that a report is about already, or that the person is on.

    At a door, whoever is here is let in again for as long as their pass holds. A visit that is
    told late is known by its showing alone: of another one, it says when that began.
    """
    this = case.this
    if not told.report.live or (this is not None and this.state == "open" and not this.held):
        return this
    sound = not any(fault.code.startswith(("pass_", "home_")) for fault in case.facts.faults)
    return case.here if sound else None


def _keep_showing(session: Session, clock: Clock, case: Case, report: Report, kind: str) -> None:
    showings.keep(
        session,
        case.showing,
        case.evidence.proof,
        kind=kind,
        host_id=report.host,
        space_id=report.space,
        at=case.at,
        live=report.online,
        told_at=clock.now(),
    )


def _refuse(
    session: Session, clock: Clock, case: Case, report: Report, decision: dict[str, Any]
) -> Outcome:
    """Undo what was tried; keep the reasons, without the person, and that the code was refused."""
    facts, now = case.facts, clock.now()
    session.rollback()
    begin_write(session)
    codes = [reason["code"] for reason in decision["reasons"]]
    refused = {"host_id": facts.host, "space_id": facts.space, "home_id": facts.home}
    session.add(Refusal(at=now, codes=codes, **refused))
    case.showing = showings.find(session, case.evidence.proof)
    if report.live and case.evidence.shown_at is not None and case.showing is None:
        _keep_showing(session, clock, case, report, "refused")
    session.commit()
    return Outcome("refused", decision)


def _add_visit(
    session: Session,
    clock: Clock,
    case: Case,
    told: Told,
    decision: dict[str, Any],
    flags: list[str],
) -> Any:
    """Write a visit, and all that follows for the person's others; held where it proves nothing."""
    assert case.person is not None  # noqa: S101
    report, evidence, now = told.report, told.evidence, clock.now()
    held = told.receipt.held if told.receipt else None if report.live else case.distrust
    changed = []
    if held is None and showings.used_elsewhere(case.showing, report.space):
        assert case.showing is not None  # noqa: S101
        if showings.yields(case.showing, case.at, report.host):
            former = case.person.visits.get(visit_id(evidence.proof, case.showing.space_id))
            changed = [former] if former is not None else []
            for visit in changed:
                visit.held, visit.changed_at = showings.REPLAYED, now
        else:
            held = showings.REPLAYED
    if held is None:
        _keep_showing(session, clock, case, report, "visit")
    ended = max(case.at, min(report.ended_at, now)) if report.ended_at else None
    hours = case.opening_day.openings
    visit = SimpleNamespace(
        id=visit_id(evidence.proof, report.space),
        member_id=case.person.member_id,
        home_id=evidence.issuer,
        host_id=report.host,
        space_id=report.space,
        pass_id=evidence.pass_id,
        plan=evidence.plan,
        proof=evidence.proof,
        state="open",
        held=held,
        disputed=False,
        upheld=False,
        online=report.online,
        timezone=case.zone.key,
        started_at=case.at.astimezone(UTC),
        shown_at=evidence.shown_at or case.at,
        left_at=ended,
        ended_at=None,
        day=case.opening_day.day,
        hours=None if hours is None else [[each.isoformat() for each in both] for both in hours],
        closes_at=case.opening_day.closes_at,
        charter=case.charter.version,
        facts=facts_to_json(case.facts),
        decision=decision,
        flags=flags,
        evidence=_kept(told),
        recorded_at=now,
        changed_at=now,
    )
    case.person.settle(case.charter.rules.opening_hours.split, now, *changed, visit)
    return visit


def _kept(told: Told) -> dict[str, Any]:
    """Return what the hub keeps of a report: what proves the visit, and no name."""
    digest = hashlib.sha256(told.token.encode()).hexdigest()
    return {
        "digest": digest,
        "claims": told.evidence.claims,
        "binding": told.evidence.binding,
    }


def receipt_of(visit: Any, hub_url: str, now: datetime) -> Receipt:
    """Return the hub's word on a visit, by which its host tells it again should we lose it."""
    return Receipt(
        hub=hub_url,
        issued_at=now,
        visit=visit.id,
        host=visit.host_id,
        space=visit.space_id,
        home=visit.home_id,
        pass_id=visit.pass_id,
        plan=visit.plan,
        showing=visit.proof,
        at=visit.started_at,
        online=visit.online,
        held=visit.held,
        charter=visit.charter,
        decision=visit.decision,
    )


# What changes afterwards


def lock_visit(session: Session, visit_id_: str, host_id: str | None = None) -> Visit:
    """Return a visit, its person locked; a host's own, where one is named.

    Raises Problem("not-found").
    """
    visit = session.get(Visit, visit_id_)
    if visit is None or host_id not in (None, visit.host_id):
        session.rollback()
        raise Problem("not-found")
    while True:
        member_id = visit.member_id
        session.scalars(select(Member.id).where(Member.id == member_id).with_for_update()).all()
        session.refresh(visit)
        if visit.member_id == member_id:
            return visit


def settle(session: Session, visit: Visit, now: datetime) -> None:
    """Let all follow from a visit that has changed, its person locked, in this transaction."""
    found = ledger.person(session, visit.member_id, visit.started_at)
    found.settle(governance.split(session), now, visit)


def check_out(session: Session, clock: Clock, host_id: str, visit_id_: str, at: datetime) -> Visit:
    """Note when somebody left; of several times that are told, the earliest counts. Raises Problem.

    It never makes a visit longer than its closing, as published, or the person's next visit do.
    """
    begin_write(session)
    visit = lock_visit(session, visit_id_, host_id)
    now = clock.now()
    left = max(visit.started_at, min(at, now))
    if visit.state != "void" and (visit.left_at is None or left < visit.left_at):
        visit.left_at = left
        settle(session, visit, now)
    session.commit()
    return visit


def void(
    session: Session, clock: Clock, host_id: str, visit_id_: str, reason: str, at: datetime
) -> Visit:
    """Reverse a visit that was a mistake, while the charter allows it. Raises Problem.

    What it counted is reversed by new lines; a half-day that another visit touches as well is
    then counted for that one. A host that was cut off has its delay from when it could tell of the
    visit; when it says that it undid it, it is believed for as long as the charter lets a door be
    cut off.
    """
    begin_write(session)
    visit = lock_visit(session, visit_id_, host_id)
    if visit.state == "void":
        session.commit()
        return visit
    rules, now = governance.in_force(session).rules, clock.now()
    undone_at = max(min(at, now), now - timedelta(hours=rules.offline.trust_list_hours))
    told_at = visit.started_at if visit.online else visit.recorded_at
    if undone_at > told_at + timedelta(hours=rules.correction.hours):
        session.rollback()
        raise Problem("visit-closed")
    undo(session, visit, reason, now)
    # The words stay with the visit: the log forgets nothing, and they may name somebody.
    audit(session, now, f"node:{host_id}", "void", visit.id)
    session.commit()
    return visit


def undo(session: Session, visit: Visit, reason: str, now: datetime) -> None:
    """Undo a visit, its person locked, in the caller's transaction."""
    visit.ended_at = visit.ended_at or max(visit.started_at, min(now, visit.closes_at))
    visit.state, visit.void_reason, visit.changed_at = "void", reason[:300], now
    settle(session, visit, now)
    for follow in ON_VOID:
        follow(session, visit, now)


def void_by_dispute(session: Session, visit: Visit, words: str, now: datetime) -> None:
    """Undo a visit that was disputed with success: it never was, and cuts no other.

    In the caller's transaction, the person locked.
    """
    visit.upheld = True
    undo(session, visit, words, now)


def set_disputed(session: Session, visit: Visit, disputed: bool, now: datetime) -> None:
    """Note whether a dispute on a visit is open: it burns nobody's quota meanwhile."""
    if visit.disputed != disputed:
        visit.disputed, visit.changed_at = disputed, now


def decide_held(
    session: Session, now: datetime, visit_id_: str, *, counts: bool, reason: str, actor: str
) -> Visit:
    """Let a visit that was held count after all, or undo it; by a person. Raises Problem."""
    begin_write(session)
    visit = lock_visit(session, visit_id_)
    if visit.held is None or visit.state == "void":
        session.rollback()
        raise Problem("conflict", "this visit is not held")
    held = visit.held
    if counts:
        visit.held, visit.changed_at = None, now
        visit.flags = [*visit.flags, held]
        settle(session, visit, now)
    else:
        undo(session, visit, reason, now)
    told = {"before": held, "after": "counted" if counts else "void", "reason": reason}
    audit(session, now, actor, "held-visit", visit.id, **told)
    session.commit()
    return visit


def close_due(session: Session, now: datetime) -> int:
    """End the visits that nobody ended; return how many.

    A day after their closing, as published: a host that was cut off has so long to tell. At once
    where the host has left the network.
    """
    left = Node.state == "left"
    query = (
        select(Visit.id, left.label("left"))
        .join(Node, Node.id == Visit.host_id)
        .where(Visit.state == "open", or_(left, Visit.closes_at <= now - GRACE))
        .order_by(Visit.id)
    )
    due = session.execute(query).all()
    session.rollback()
    for row in due:
        begin_write(session)
        visit = lock_visit(session, row.id)
        if row.left and visit.left_at is None:
            visit.left_at = max(visit.started_at, min(now, visit.closes_at))
        settle(session, visit, now)
        session.commit()
    return len(due)


def present(session: Session) -> int:
    """Return how many roaming members are somewhere now."""
    return session.scalar(select(func.count()).where(Visit.state == "open")) or 0


def visits(
    session: Session,
    *,
    node_id: str | None = None,
    side: str = "host",
    member: str | None = None,
    changed_since: datetime | None = None,
    day: date | None = None,
    held: bool = False,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Visit]:
    """Return visits, the latest change first; ``node_id`` keeps a node's own, on one side.

    ``member`` keeps those of one person, by the reference that this node gave them as their home;
    ``day`` those that began on a day in UTC; ``held`` those that wait for the coordination.
    """
    query = select(Visit).order_by(Visit.changed_at.desc(), Visit.id.desc()).limit(limit)
    if node_id is not None:
        query = query.where((Visit.host_id if side == "host" else Visit.home_id) == node_id)
    if member is not None:
        people = select(Member.id).where(Member.node_id == node_id, Member.reference == member)
        query = query.where(Visit.member_id.in_(people))
    if changed_since is not None:
        query = query.where(Visit.changed_at >= changed_since)
    if held:
        query = query.where(Visit.held.is_not(None), Visit.state != "void")
    if day is not None:
        start = datetime.combine(day, time(), UTC)
        query = query.where(Visit.started_at >= start, Visit.started_at < start + timedelta(1))
    if before is not None:
        query = query.where(
            (Visit.changed_at < before[0])
            | ((Visit.changed_at == before[0]) & (Visit.id < before[1]))
        )
    return list(session.scalars(query))


def guests_by_space(session: Session) -> dict[str, int]:
    """Return how many roaming members are at each space, as far as the hub was told."""
    query = select(Visit.space_id, func.count()).where(Visit.state == "open")
    return {row[0]: row[1] for row in session.execute(query.group_by(Visit.space_id))}
