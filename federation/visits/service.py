"""Recording visits: authorise, count and account, exactly once.

Everything that decides about one person happens under a lock on her row, so that the
last half-day is given once however many doors ask at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import decide, facts_to_json
from federation.audit.service import audit
from federation.directory import service as directory
from federation.governance import service as governance
from federation.visits import ledger
from federation.visits.case import Case, gather, shown_again
from federation.visits.models import Member, Refusal, Visit
from shared import jose
from shared.clock import Clock
from shared.db import begin_write
from shared.passes import Evidence, examine
from shared.problems import Problem
from shared.reports import TYP, Report, read_report, visit_id

_ADD_VISIT = insert(Visit.__table__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is recorded, already or refused; a refused one has no visit.

    ``visit`` has a visit's columns as attributes.
    """

    kind: str
    decision: Mapping[str, Any]
    visit: Any = None


def read(
    session: Session, clock: Clock, node_id: str, hub_url: str, token: str
) -> tuple[Report, Evidence]:
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
    if not report.live:  # told late, maybe: the code was fresh then
        clock = clock.standing(min(report.at - clock.offset, clock.real()))
    return report, examine(report.shown, partial(directory.any_key, session), clock)


def record(
    session: Session, clock: Clock, report: Report, evidence: Evidence, token: str
) -> Outcome:
    """Decide and record one visit. Safe to repeat: the same showing is the same visit.

    A visit admitted offline is never refused: it counts, with flags for what the hub would
    have said. Nor is one that the hub admitted itself, and has lost since.
    """
    try:
        return _record(session, clock, report, evidence, token)
    except IntegrityError:  # somebody else recorded this person at the same moment
        session.rollback()
        return _record(session, clock, report, evidence, token)


def preview(
    session: Session, clock: Clock, report: Report, evidence: Evidence
) -> Mapping[str, Any]:
    """Return the decision that ``record`` would take; nothing is recorded."""
    begin_write(session)
    try:
        case = gather(session, clock, report, evidence)
        if case.existing is not None and not shown_again(case, report):
            return dict(case.existing.decision)
        return decide(case.charter, case.facts, case.at).to_json("fr")
    finally:
        session.rollback()


def _record(
    session: Session, clock: Clock, report: Report, evidence: Evidence, token: str
) -> Outcome:
    connection = begin_write(session)
    case = gather(session, clock, report, evidence)
    decision = decide(case.charter, case.facts, case.at)
    if case.existing is not None and not shown_again(case, report):
        outcome = Outcome("already", case.existing.decision, case.existing)
        session.commit()
        return outcome
    if case.member_id is None or (report.live and not decision.allowed):
        return _refuse(session, clock, case, decision.to_json("fr"))
    flags: list[str] = []
    stored = decision.to_json("fr")
    if not report.live:
        flags = ["told_again" if report.again else "offline"]
        flags += dict.fromkeys(reason.code for reason in decision.reasons)
        stored = dict(report.decision or stored)
    visit = _add_visit(connection, clock, case, report, evidence, token, stored, flags)
    session.commit()
    return Outcome("recorded", stored, visit)


def _refuse(session: Session, clock: Clock, case: Case, decision: dict[str, Any]) -> Outcome:
    """Undo what was tried, and keep the reasons, without the person."""
    facts = case.facts
    session.rollback()
    begin_write(session)
    session.add(
        Refusal(
            at=clock.now(),
            host_id=facts.host,
            space_id=facts.space,
            home_id=facts.home,
            codes=[reason["code"] for reason in decision["reasons"]],
        )
    )
    session.commit()
    return Outcome("refused", decision)


def _add_visit(
    connection: Connection,
    clock: Clock,
    case: Case,
    report: Report,
    evidence: Evidence,
    token: str,
    decision: dict[str, Any],
    flags: list[str],
) -> Any:
    now = clock.now()
    started = case.at
    ended = max(started, min(report.ended_at, now)) if report.ended_at else None
    later = case.elsewhere if case.elsewhere and case.elsewhere.started_at > started else None
    visit = SimpleNamespace(
        id=visit_id(evidence.proof, report.space),
        member_id=case.member_id,
        home_id=evidence.issuer,
        host_id=report.host,
        space_id=report.space,
        pass_id=evidence.pass_id,
        plan=evidence.plan,
        proof=evidence.proof,
        state="closed" if ended else "open",
        online=report.online,
        timezone=case.facts.timezone,
        started_at=started,
        ended_at=ended,
        charter=case.charter.version,
        facts=facts_to_json(case.facts),
        decision=decision,
        flags=flags,
        report=token,
        recorded_at=now,
        changed_at=now,
    )
    if later is not None and ended is None:
        ended = max(started, min(later.started_at, ledger.closing(visit)))
        visit.state, visit.ended_at = "closed", ended
    connection.execute(_ADD_VISIT, vars(visit))
    # A visit that goes on touches the half-day it began in, and no other month's.
    ledger.count(connection, case.charter, visit, ended or started, None if ended else case.counted)
    return visit


def _locked_visit(session: Session, host_id: str, visit_id_: str) -> Visit:
    """Return the host's own visit, with its member locked. Raises Problem("not-found")."""
    visit = session.get(Visit, visit_id_)
    if visit is None or visit.host_id != host_id:
        session.rollback()
        raise Problem("not-found")
    session.scalars(select(Member).where(Member.id == visit.member_id).with_for_update()).one()
    session.refresh(visit)
    return visit


def check_out(session: Session, clock: Clock, host_id: str, visit_id_: str, at: datetime) -> Visit:
    """Close a visit at a time; closing it again changes nothing. Raises Problem."""
    begin_write(session)
    visit = _locked_visit(session, host_id, visit_id_)
    if visit.state == "open":
        now = clock.now()
        ledger.close(session, governance.in_force(session), visit, min(at, now), now)
    session.commit()
    return visit


def void(
    session: Session, clock: Clock, host_id: str, visit_id_: str, reason: str, at: datetime
) -> Visit:
    """Reverse a visit that was a mistake, while the charter allows it. Raises Problem.

    What it counted is reversed by new lines; a half-day that another visit touches as well
    is then counted for that one.
    """
    begin_write(session)
    visit = _locked_visit(session, host_id, visit_id_)
    if visit.state == "void":
        session.commit()
        return visit
    charter = governance.in_force(session)
    if min(at, clock.now()) > visit.started_at + timedelta(hours=charter.rules.correction.hours):
        session.rollback()
        raise Problem("visit-closed")
    now = clock.now()
    visit.state, visit.void_reason, visit.changed_at = "void", reason, now
    visit.ended_at = visit.ended_at or max(min(at, now), visit.started_at)
    days = ledger.reverse(session, visit)
    ledger.count_again(session, charter, visit, days)
    # The words stay with the visit: the log forgets nothing, and they may name somebody.
    audit(session, now, f"node:{host_id}", "void", visit.id)
    session.commit()
    return visit


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
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Visit]:
    """Return visits, the latest change first; ``node_id`` keeps a node's own, on one side.

    ``member`` keeps those of one person, by the reference that this node gave her as her home;
    ``day`` those that began on a day in UTC.
    """
    query = select(Visit).order_by(Visit.changed_at.desc(), Visit.id.desc()).limit(limit)
    if node_id is not None:
        query = query.where((Visit.host_id if side == "host" else Visit.home_id) == node_id)
    if member is not None:
        hers = select(Member.id).where(Member.node_id == node_id, Member.reference == member)
        query = query.where(Visit.member_id.in_(hers))
    if changed_since is not None:
        query = query.where(Visit.changed_at >= changed_since)
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
