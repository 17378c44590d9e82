"""Recording visits: authorise, count and account, exactly once.

Everything that decides about one person happens under a lock on her row, so that the
last half-day is given once however many doors ask at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Charter, Facts, Fault, decide, facts_to_json
from charter.halfdays import HalfDay, half_day_at, half_days
from federation.directory import service as directory
from federation.directory.models import Node, Space
from federation.governance import service as governance
from federation.governance.models import Signature
from federation.visits.models import HalfDayLine, Member, Pass, Refusal, Visit
from shared import jose
from shared.clock import Clock
from shared.db import begin_write
from shared.passes import Evidence, examine
from shared.problems import Problem
from shared.reports import TYP, Report, read_report, visit_id

# A host's clock further off than this is not believed; the hub's own time is used.
CLOCK_TOLERANCE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is recorded, already or refused; a refused one has no visit."""

    kind: str
    decision: Mapping[str, Any]
    visit: Visit | None = None


def read(session: Session, node_id: str, hub_url: str, token: str) -> Report:
    """Verify a report's signature and owner. Raises Problem or ValidationError."""
    try:
        claims = jose.verify(token, directory.find_key_of(session, node_id), TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    report = read_report(claims)
    if report.host != node_id or report.audience != hub_url:
        raise Problem("proof-invalid", "iss or aud is another")
    return report


def record(session: Session, clock: Clock, report: Report, token: str) -> Outcome:
    """Decide and record one visit. Safe to repeat: the same showing is the same visit.

    A visit admitted offline is never refused: it counts, with flags for what the hub would
    have said.
    """
    evidence = _examine(session, clock, report)
    try:
        return _record(session, clock, report, evidence, token)
    except IntegrityError:  # somebody else recorded this person at the same moment
        session.rollback()
        return _record(session, clock, report, evidence, token)


def preview(session: Session, clock: Clock, report: Report) -> Mapping[str, Any]:
    """Return the decision that ``record`` would take; nothing is recorded."""
    evidence = _examine(session, clock, report)
    begin_write(session)
    try:
        case = _gather(session, clock, report, evidence)
        return decide(case.charter, case.facts, case.at).to_json("fr")
    finally:
        session.rollback()


def _examine(session: Session, clock: Clock, report: Report) -> Evidence:
    def key(issuer: str, kid: str) -> Any:
        return directory.node_key(session, issuer, kid)

    return examine(report.shown, key, clock)


@dataclass(slots=True)
class _Case:
    """Everything known about one report, under the member's lock."""

    charter: Charter
    facts: Facts
    at: datetime
    member: Member | None = None
    existing: Visit | None = None
    elsewhere: Visit | None = None


def _record(
    session: Session, clock: Clock, report: Report, evidence: Evidence, token: str
) -> Outcome:
    begin_write(session)
    case = _gather(session, clock, report, evidence)
    decision = decide(case.charter, case.facts, case.at)
    if case.existing is not None and not _shown_again(case, report):
        outcome = Outcome("already", case.existing.decision, case.existing)
        session.commit()
        return outcome
    if case.member is None or (report.online and not decision.allowed):
        return _refuse(session, clock, case, decision.to_json("fr"))
    flags: list[str] = []
    stored = decision.to_json("fr")
    if not report.online:
        flags = ["offline", *dict.fromkeys(reason.code for reason in decision.reasons)]
        stored = dict(report.decision or stored)
    visit = _add_visit(session, clock, case, report, evidence, token, stored, flags)
    session.commit()
    return Outcome("recorded", stored, visit)


def _shown_again(case: _Case, report: Report) -> bool:
    """A code whose visit is over does not open it again, unless a host is only late to report."""
    return report.online and case.existing is not None and case.existing.state != "open"


def _refuse(session: Session, clock: Clock, case: _Case, decision: dict[str, Any]) -> Outcome:
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


def _gather(session: Session, clock: Clock, report: Report, evidence: Evidence) -> _Case:
    now = clock.now()
    at = now if report.online and abs(report.at - now) > CLOCK_TOLERANCE else report.at
    if not report.online:
        at = min(at, now)
    charter = governance.in_force(session)
    facts = replace(report.facts, faults=evidence.faults, used_host=None, used_network=None)
    host = session.get(Node, report.host)
    space = session.get(Space, report.space)
    if host is None or space is None or space.node_id != host.id:
        raise Problem("validation", errors={"space": ["This node has no such space."]})
    signed = set(
        session.scalars(
            select(Signature.node_id).where(
                Signature.version == charter.version,
                Signature.node_id.in_((host.id, evidence.issuer or "")),
            )
        )
    )
    facts = replace(
        facts,
        host_state=host.state,
        host_signed=charter.version if host.id in signed else None,
    )
    case = _Case(charter, facts, at)
    if evidence.issuer is None or evidence.pass_id is None:
        return case
    home = session.get(Node, evidence.issuer)
    if home is None:
        return case
    row, member = _lock_member(session, now, home.id, evidence.pass_id)
    case.member = member
    case.facts = replace(
        case.facts,
        plan=evidence.plan,
        usable_from=evidence.usable_from,
        member_since=member.member_since,
        home=home.id,
        home_state=home.state,
        home_signed=charter.version if home.id in signed else None,
        home_half_days=_plan_half_days(home, evidence.plan),
    )
    _add_status(case, row)
    _add_visits(session, case, report, evidence)
    _add_usage(session, case, now)
    return case


def _plan_half_days(home: Node, plan: str | None) -> int | None:
    value = home.plans.get(plan) if plan else None
    return value if isinstance(value, int) else None


def _lock_member(
    session: Session, now: datetime, home_id: str, pass_id: str
) -> tuple[Pass, Member]:
    """Return the pass and its member, locked; a pass not announced yet stands for its owner."""
    row = session.get(Pass, (home_id, pass_id))
    if row is None:
        member = Member(node_id=home_id, reference=f"pass:{pass_id}", member_since=None)
        session.add(member)
        session.flush()
        row = Pass(node_id=home_id, id=pass_id, member_id=member.id, status="valid", changed_at=now)
        session.add(row)
        session.flush()
    query = select(Member).where(Member.id == row.member_id).with_for_update()
    return row, session.scalars(query).one()


def _add_status(case: _Case, row: Pass) -> None:
    if row.status != "valid":
        fault = Fault("pass_revoked" if row.status == "revoked" else "pass_suspended")
        case.facts = replace(case.facts, faults=(*case.facts.faults, fault))


def _add_visits(session: Session, case: _Case, report: Report, evidence: Evidence) -> None:
    """Find this visit if it is known, and where else the person is or this code was shown."""
    assert case.member is not None  # noqa: S101 - said by the caller
    case.existing = session.get(Visit, visit_id(evidence.proof, report.space))
    query = select(Visit).where(Visit.member_id == case.member.id, Visit.state == "open")
    open_visit = session.scalar(query)
    if open_visit is not None and open_visit.space_id == report.space and report.online:
        if case.existing is None and not case.facts.faults:
            case.existing = open_visit
    elif open_visit is not case.existing:
        # Also a visit at this very space that its host, cut off, did not know to be open.
        case.elsewhere = open_visit
    shown_elsewhere = session.scalar(
        select(Visit.id).where(Visit.proof == evidence.proof, Visit.space_id != report.space)
    )
    if shown_elsewhere or _shown_again(case, report):
        case.facts = replace(case.facts, faults=(*case.facts.faults, Fault("pass_replayed")))


def _add_usage(session: Session, case: _Case, now: datetime) -> None:
    """Count the month's half-days; what an open visit elsewhere has used so far is included."""
    assert case.member is not None  # noqa: S101
    if case.elsewhere is not None and case.elsewhere.started_at <= case.at:
        _close(session, case.charter, case.elsewhere, case.at, now)
    zone = ZoneInfo(case.facts.timezone)
    here = half_day_at(case.at, zone, case.charter.rules.opening_hours.split)
    rows = session.execute(
        select(
            HalfDayLine.space_id,
            HalfDayLine.day,
            HalfDayLine.half,
            func.sum(HalfDayLine.quantity),
        )
        .where(HalfDayLine.member_id == case.member.id, HalfDayLine.month == here.month)
        .group_by(HalfDayLine.space_id, HalfDayLine.day, HalfDayLine.half)
    ).all()
    space_id = case.facts.space
    case.facts = replace(
        case.facts,
        used_network=sum(row[3] for row in rows),
        used_host=sum(row[3] for row in rows if row[0] == space_id),
        counted_already=any(
            row[0] == space_id and (row[1], row[2]) == (here.day, here.half) and row[3] > 0
            for row in rows
        ),
    )


def _add_visit(
    session: Session,
    clock: Clock,
    case: _Case,
    report: Report,
    evidence: Evidence,
    token: str,
    decision: dict[str, Any],
    flags: list[str],
) -> Visit:
    assert case.member is not None  # noqa: S101
    now = clock.now()
    started = case.at
    ended = max(started, report.ended_at) if report.ended_at else None
    later = case.elsewhere if case.elsewhere and case.elsewhere.started_at > started else None
    if later is not None and ended is None:
        ended = later.started_at
    visit = Visit(
        id=visit_id(evidence.proof, report.space),
        member_id=case.member.id,
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
    session.add(visit)
    session.flush()
    _count(session, case.charter, visit, ended or started)
    return visit


def _touched(charter: Charter, visit: Visit, until: datetime) -> list[HalfDay]:
    split = charter.rules.opening_hours.split
    return half_days(visit.started_at, until, ZoneInfo(visit.timezone), split)


def _count(session: Session, charter: Charter, visit: Visit, until: datetime) -> None:
    """Add a line for each half-day that the visit touches and that is not counted yet."""
    touched = _touched(charter, visit, until)
    rows = session.execute(
        select(
            HalfDayLine.day,
            HalfDayLine.half,
            func.sum(HalfDayLine.quantity),
            func.max(HalfDayLine.occurrence),
        )
        .where(
            HalfDayLine.member_id == visit.member_id,
            HalfDayLine.space_id == visit.space_id,
            HalfDayLine.day.in_({half_day.day for half_day in touched}),
        )
        .group_by(HalfDayLine.day, HalfDayLine.half)
    ).all()
    counted = {(row[0], row[1]): (row[2], row[3]) for row in rows}
    for half_day in touched:
        quantity, occurrence = counted.get((half_day.day, half_day.half), (0, -1))
        if quantity <= 0:
            session.add(_line(visit, half_day.day, half_day.half, 1, occurrence + 1))
    session.flush()


def _line(visit: Visit, day: date, half: str, quantity: int, occurrence: int) -> HalfDayLine:
    return HalfDayLine(
        visit_id=visit.id,
        member_id=visit.member_id,
        home_id=visit.home_id,
        host_id=visit.host_id,
        space_id=visit.space_id,
        month=f"{day:%Y-%m}",
        day=day,
        half=half,
        quantity=quantity,
        occurrence=occurrence,
        recorded_at=visit.changed_at,
    )


def _close(session: Session, charter: Charter, visit: Visit, at: datetime, now: datetime) -> None:
    visit.state = "closed"
    visit.ended_at = max(at, visit.started_at)
    visit.changed_at = now
    session.flush()
    _count(session, charter, visit, visit.ended_at)


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
        _close(session, governance.in_force(session), visit, min(at, now), now)
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
    lines = session.scalars(select(HalfDayLine).where(HalfDayLine.visit_id == visit.id)).all()
    reversed_lines = {(line.day, line.half, line.occurrence) for line in lines if line.quantity < 0}
    days = set()
    for line in lines:
        if line.quantity > 0 and (line.day, line.half, line.occurrence) not in reversed_lines:
            session.add(_line(visit, line.day, line.half, -1, line.occurrence))
            days.add(line.day)
    session.flush()
    _count_again(session, charter, visit, days)
    session.commit()
    return visit


def _count_again(session: Session, charter: Charter, voided: Visit, days: set[date]) -> None:
    if not days:
        return
    earliest = datetime.combine(min(days), datetime.min.time(), ZoneInfo(voided.timezone))
    others = session.scalars(
        select(Visit).where(
            Visit.member_id == voided.member_id,
            Visit.space_id == voided.space_id,
            Visit.state != "void",
            Visit.started_at >= earliest - timedelta(days=1),
            Visit.started_at < earliest + timedelta(days=len(days) + 2),
        )
    )
    for other in others:
        _count(session, charter, other, other.ended_at or other.started_at)


def register_pass(
    session: Session,
    now: datetime,
    node_id: str,
    pass_id: str,
    reference: str,
    member_since: date,
    status: str,
) -> None:
    """Take a home's word on a pass: whose it is, and whether it holds. Repeating it is harmless."""
    begin_write(session)
    query = select(Member).where(Member.node_id == node_id, Member.reference == reference)
    member = session.scalar(query.with_for_update())
    row = session.get(Pass, (node_id, pass_id))
    if member is None:
        # A door may have been shown the pass before its home could announce it.
        stand_in = session.get(Member, row.member_id) if row else None
        if stand_in is not None and stand_in.reference == f"pass:{pass_id}":
            member = stand_in
            member.reference = reference
        else:
            member = Member(node_id=node_id, reference=reference)
            session.add(member)
    member.member_since = member_since
    session.flush()
    if row is None:
        row = Pass(node_id=node_id, id=pass_id, member_id=member.id, changed_at=now)
        session.add(row)
    row.member_id, row.status, row.changed_at = member.id, status, now
    session.commit()


def visits(
    session: Session,
    *,
    node_id: str | None = None,
    side: str = "host",
    changed_since: datetime | None = None,
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[Visit]:
    """Return visits, the latest change first; ``node_id`` keeps a node's own, on one side."""
    query = select(Visit).order_by(Visit.changed_at.desc(), Visit.id.desc()).limit(limit)
    if node_id is not None:
        query = query.where((Visit.host_id if side == "host" else Visit.home_id) == node_id)
    if changed_since is not None:
        query = query.where(Visit.changed_at >= changed_since)
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
