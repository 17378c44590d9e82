"""Recording visits: authorise, count and account, exactly once.

Everything that decides about one person happens under a lock on her row, so that the
last half-day is given once however many doors ask at the same time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, bindparam, func, insert, literal_column, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from charter import Charter, Facts, Fault, decide, facts_to_json
from charter.halfdays import half_day_at
from federation.directory import service as directory
from federation.directory.models import Node, Space
from federation.governance import service as governance
from federation.governance.models import CharterVersion, Signature
from federation.visits import ledger
from federation.visits.models import HalfDayLine, Member, Pass, Refusal, Visit
from shared import jose
from shared.clock import Clock
from shared.db import begin_write
from shared.passes import Evidence, examine, issuer_of
from shared.problems import Problem
from shared.reports import TYP, Report, read_report, visit_id

# A host's clock further off than this is not believed; the hub's own time is used.
CLOCK_TOLERANCE = timedelta(seconds=90)

# The statements of every visit, made once: made anew, each would be hashed anew. States are
# written out in them, because an index that holds open visits alone is not used for a parameter.
_OPEN: ColumnElement[bool] = Visit.state == literal_column("'open'")
_Host, _Home = aliased(Node), aliased(Node)
_HostSigned, _HomeSigned = aliased(Signature), aliased(Signature)
_STANDING = (
    select(
        CharterVersion.version,
        CharterVersion.sha256,
        Space.id.label("space"),
        _Host.state.label("host_state"),
        _HostSigned.version.label("host_signed"),
        _Home.state.label("home_state"),
        _Home.plans.label("home_plans"),
        _HomeSigned.version.label("home_signed"),
    )
    .select_from(CharterVersion)
    .outerjoin(_Host, _Host.id == bindparam("host"))
    .outerjoin(Space, and_(Space.id == bindparam("space"), Space.node_id == _Host.id))
    .outerjoin(_Home, _Home.id == bindparam("home"))
    .outerjoin(
        _HostSigned,
        and_(_HostSigned.node_id == _Host.id, _HostSigned.version == CharterVersion.version),
    )
    .outerjoin(
        _HomeSigned,
        and_(_HomeSigned.node_id == _Home.id, _HomeSigned.version == CharterVersion.version),
    )
    .where(CharterVersion.state == literal_column("'in_force'"))
)
# The same for a pass that is known, with its member's row locked.
_CASE = (
    _STANDING.add_columns(Pass.status, Member.id.label("member_id"), Member.member_since)
    .join(Pass, and_(Pass.node_id == _Home.id, Pass.id == bindparam("pass_id")))
    .join(Member, Member.id == Pass.member_id)
    .with_for_update(of=Member)
)
_VISITS = select(
    Visit.id, Visit.member_id, Visit.proof, Visit.space_id, Visit.state, Visit.started_at
).where(or_(Visit.proof == bindparam("proof"), and_(Visit.member_id == bindparam("member"), _OPEN)))
_USED = (
    select(
        HalfDayLine.space_id,
        HalfDayLine.day,
        HalfDayLine.half,
        func.sum(HalfDayLine.quantity),
        func.max(HalfDayLine.occurrence),
    )
    .where(HalfDayLine.member_id == bindparam("member"), HalfDayLine.month == bindparam("month"))
    .group_by(HalfDayLine.space_id, HalfDayLine.day, HalfDayLine.half)
)
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

    What is wrong with the pass is no error: it is among the evidence. Nothing is locked meanwhile.
    """
    try:
        found = jose.read_unverified(token)
        keys = directory.Keys(session, node_id, issuer_of(found.claims.get("pass")))
        keys.check_active(node_id)
        claims = jose.verify(found, keys.find_key_of(node_id), TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    report = read_report(claims)
    if report.host != node_id or report.audience != hub_url:
        raise Problem("proof-invalid", "iss or aud is another")
    return report, examine(report.shown, keys.issuer_key, clock)


def record(
    session: Session, clock: Clock, report: Report, evidence: Evidence, token: str
) -> Outcome:
    """Decide and record one visit. Safe to repeat: the same showing is the same visit.

    A visit admitted offline is never refused: it counts, with flags for what the hub would
    have said.
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
        case = _gather(session, clock, report, evidence)
        return decide(case.charter, case.facts, case.at).to_json("fr")
    finally:
        session.rollback()


@dataclass(slots=True)
class _Case:
    """Everything known about one report, under the member's lock.

    ``counted`` holds this month's half-days: (space, day, half) → (quantity, last occurrence).
    """

    charter: Charter
    facts: Facts
    at: datetime
    member_id: int | None = None
    existing: Visit | None = None
    elsewhere: Visit | None = None
    counted: ledger.Counted = field(default_factory=dict)


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
    if case.member_id is None or (report.online and not decision.allowed):
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
    row = _read_case(session, now, report, evidence)
    charter = _charter(session, row)
    if row is None or row.space is None:
        raise Problem("validation", errors={"space": ["This node has no such space."]})
    known: dict[str, Any] = {
        "faults": evidence.faults,
        "used_host": None,
        "used_network": None,
        "host_state": row.host_state,
        "host_signed": row.host_signed,
    }
    case = _Case(charter, report.facts, at)
    if hasattr(row, "member_id"):
        case.member_id = row.member_id
        if row.status != "valid":
            known["faults"] += (Fault(f"pass_{row.status}"),)
        plan_half_days = row.home_plans.get(evidence.plan)
        known |= {
            "plan": evidence.plan,
            "usable_from": evidence.usable_from,
            "member_since": row.member_since,
            "home": evidence.issuer,
            "home_state": row.home_state,
            "home_signed": row.home_signed,
            "home_half_days": plan_half_days if isinstance(plan_half_days, int) else None,
        }
        known["faults"] += _find_visits(session, case, report, evidence, known["faults"])
        known |= _usage(session, case, now)
    case.facts = replace(report.facts, **known)
    return case


def _read_case(session: Session, now: datetime, report: Report, evidence: Evidence) -> Any:
    """Return what is on record: charter, host and space; with the member, when there is a pass.

    Her row is then locked. A pass that was not announced yet stands for its owner.
    """
    connection = session.connection()
    wanted = {"host": report.host, "space": report.space, "home": evidence.issuer}
    if evidence.issuer is None or evidence.pass_id is None:
        return connection.execute(_STANDING, wanted).first()
    of_pass = {**wanted, "pass_id": evidence.pass_id}
    found = connection.execute(_CASE, of_pass).first()
    if found is None:
        found = connection.execute(_STANDING, wanted).first()
        if found is not None and found.home_state is not None:
            _add_stand_in(session, now, evidence.issuer, evidence.pass_id)
            found = connection.execute(_CASE, of_pass).first()
    return found


def _add_stand_in(session: Session, now: datetime, home_id: str, pass_id: str) -> None:
    member = Member(node_id=home_id, reference=f"pass:{pass_id}", member_since=None)
    session.add(member)
    session.flush()
    session.add(
        Pass(node_id=home_id, id=pass_id, member_id=member.id, status="valid", changed_at=now)
    )
    session.flush()


_charters: dict[tuple[str, str], Charter] = {}


def _charter(session: Session, head: Any) -> Charter:
    """Return the charter in force, read once for each hash. Raises Problem when there is none."""
    if head is None:
        return governance.in_force(session)
    key = (head.version, head.sha256)
    if key not in _charters:
        _charters[key] = governance.in_force(session)
    return _charters[key]


def _find_visits(
    session: Session,
    case: _Case,
    report: Report,
    evidence: Evidence,
    faults: tuple[Fault, ...],
) -> tuple[Fault, ...]:
    """Find this visit if it is known, and where else the person is; tell if the code was used."""
    wanted = {"proof": evidence.proof, "member": case.member_id}
    rows = session.connection().execute(_VISITS, wanted).all()
    if not rows:
        return ()
    this = visit_id(evidence.proof, report.space)
    existing = this if any(row.id == this for row in rows) else None
    elsewhere = None
    for row in rows:
        if row.member_id == case.member_id and row.state == "open":
            if row.space_id != report.space:
                elsewhere = row.id
            elif existing is None and not faults:
                existing = row.id
    case.existing = session.get(Visit, existing) if existing else None
    case.elsewhere = session.get(Visit, elsewhere) if elsewhere else None
    used = any(row.proof == evidence.proof and row.space_id != report.space for row in rows)
    return (Fault("pass_replayed"),) if used or _shown_again(case, report) else ()


def _usage(session: Session, case: _Case, now: datetime) -> dict[str, Any]:
    """Count the month's half-days; what an open visit elsewhere has used so far is included."""
    if case.elsewhere is not None and case.elsewhere.started_at <= case.at:
        _close(session, case.charter, case.elsewhere, case.at, now)
    zone = ZoneInfo(case.facts.timezone)
    here = half_day_at(case.at, zone, case.charter.rules.opening_hours.split)
    wanted = {"member": case.member_id, "month": here.month}
    case.counted = {
        (space, day, half): (quantity, occurrence)
        for space, day, half, quantity, occurrence in session.connection().execute(_USED, wanted)
    }
    space_id = case.facts.space
    return {
        "used_network": sum(quantity for quantity, _ in case.counted.values()),
        "used_host": sum(
            quantity for (space, _, _), (quantity, _) in case.counted.items() if space == space_id
        ),
        "counted_already": case.counted.get((space_id, here.day, here.half), (0, 0))[0] > 0,
    }


def _add_visit(
    session: Session,
    clock: Clock,
    case: _Case,
    report: Report,
    evidence: Evidence,
    token: str,
    decision: dict[str, Any],
    flags: list[str],
) -> Any:
    now = clock.now()
    started = case.at
    ended = max(started, report.ended_at) if report.ended_at else None
    later = case.elsewhere if case.elsewhere and case.elsewhere.started_at > started else None
    if later is not None and ended is None:
        ended = later.started_at
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
    session.connection().execute(_ADD_VISIT, vars(visit))
    # A visit that goes on touches the half-day it began in, and no other month's.
    ledger.count(session, case.charter, visit, ended or started, None if ended else case.counted)
    return visit


def _close(session: Session, charter: Charter, visit: Visit, at: datetime, now: datetime) -> None:
    visit.state = "closed"
    visit.ended_at = max(at, visit.started_at)
    visit.changed_at = now
    session.flush()
    ledger.count(session, charter, visit, visit.ended_at)


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
    days = ledger.reverse(session, visit)
    ledger.count_again(session, charter, visit, days)
    session.commit()
    return visit


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
