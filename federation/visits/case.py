"""All that bears on one report, gathered under the member's lock in few statements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from charter import Charter, Facts, Fault
from charter.halfdays import half_day_at
from federation.directory.models import Node, NodeKey, Space
from federation.governance import service as governance
from federation.governance.models import CharterVersion, Signature
from federation.visits import ledger
from federation.visits.models import HalfDayLine, Member, Pass, Visit
from shared.clock import Clock
from shared.passes import Evidence
from shared.problems import Problem
from shared.reports import Report, visit_id

# A host's clock further off than this is not believed; the hub's own time is used.
CLOCK_TOLERANCE = timedelta(seconds=90)

# The statements of every visit, made once: made anew, each would be hashed anew. States are
# written out in them, because an index that holds open visits alone is not used for a parameter.
_OPEN: ColumnElement[bool] = Visit.state == literal_column("'open'")
_Host, _Home = aliased(Node), aliased(Node)
_HostKey, _HomeKey = aliased(NodeKey), aliased(NodeKey)
_HostSigned, _HomeSigned = aliased(Signature), aliased(Signature)
_STANDING = (
    select(
        CharterVersion.version,
        CharterVersion.sha256,
        Space.id.label("space"),
        _Host.state.label("host_state"),
        _Host.leaving_on.label("host_leaving_on"),
        _HostSigned.version.label("host_signed"),
        _HostKey.kid.label("host_kid"),
        _HostKey.withdrawn_at.label("host_withdrawn_at"),
        _Home.state.label("home_state"),
        _HomeKey.kid.label("home_kid"),
        _HomeKey.withdrawn_at.label("home_withdrawn_at"),
        _Home.plans.label("home_plans"),
        _HomeSigned.version.label("home_signed"),
    )
    .select_from(CharterVersion)
    .outerjoin(_Host, _Host.id == bindparam("host"))
    .outerjoin(Space, and_(Space.id == bindparam("space"), Space.node_id == _Host.id))
    .outerjoin(_Home, _Home.id == bindparam("home"))
    .outerjoin(_HostKey, and_(_HostKey.node_id == _Host.id, _HostKey.kid == bindparam("host_kid")))
    .outerjoin(_HomeKey, and_(_HomeKey.node_id == _Home.id, _HomeKey.kid == bindparam("home_kid")))
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


@dataclass(slots=True)
class Case:
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


def shown_again(case: Case, report: Report) -> bool:
    """A code whose visit is over does not open it again, unless a host is only late to report."""
    return report.live and case.existing is not None and case.existing.state != "open"


def gather(session: Session, clock: Clock, report: Report, evidence: Evidence) -> Case:
    """Read everything, in the caller's transaction. Raises Problem for a space of another node."""
    connection, now = session.connection(), clock.now()
    at = now if report.live and abs(report.at - now) > CLOCK_TOLERANCE else report.at
    if not report.live:
        at = min(at, now)
    row, evidence = _read_case(session, connection, now, report, evidence)
    charter = _charter(session, row)
    if row is not None:
        _check_host(row, report)
    if row is None or row.space is None:
        raise Problem("validation", errors={"space": ["This node has no such space."]})
    known: dict[str, Any] = {
        "faults": evidence.faults,
        "used_host": None,
        "used_network": None,
        "host_state": row.host_state,
        "host_signed": row.host_signed,
    }
    case = Case(charter, report.facts, at)
    if evidence.issuer is not None:
        case.member_id = row.member_id
        if row.status != "valid":
            known["faults"] += (Fault(f"pass_{row.status}"),)
        plan_half_days = row.home_plans.get(evidence.plan)
        known |= {
            "plan": evidence.plan,
            "usable_from": evidence.usable_from,
            "paper": evidence.paper,
            "member_since": row.member_since,
            "home": evidence.issuer,
            "home_state": row.home_state,
            "home_signed": row.home_signed,
            "home_half_days": plan_half_days if isinstance(plan_half_days, int) else None,
        }
        known["faults"] += _find_visits(
            session, connection, case, report, evidence, known["faults"]
        )
        known |= _usage(session, connection, case, now)
    case.facts = replace(report.facts, **known)
    return case


def _check_host(row: Any, report: Report) -> None:
    """Raise Problem unless the host may act, with the key that it signed with.

    Who has left in order still tells of visits until its last day that it let in alone.
    """
    if row.host_state in (None, "suspended"):
        raise Problem("node-suspended")
    if row.host_state == "left":
        day = report.at.astimezone(ZoneInfo(report.facts.timezone)).date()
        if report.online or row.host_leaving_on is None or day > row.host_leaving_on:
            raise Problem("node-left")
    if row.host_kid is None or row.host_withdrawn_at is not None:
        raise Problem("proof-invalid", "key")


def _read_case(
    session: Session, connection: Connection, now: datetime, report: Report, evidence: Evidence
) -> tuple[Any, Evidence]:
    """Return what is on record: charter, host and space; with the member, when there is a pass.

    Her row is then locked. A pass that was not announced yet stands for its owner. A pass by a
    key that may no longer be used proves nothing: the evidence that is left is returned.
    """
    wanted = {
        "host": report.host,
        "host_kid": report.kid,
        "space": report.space,
        "home": evidence.issuer,
        "home_kid": evidence.kid,
    }
    of_pass = {**wanted, "pass_id": evidence.pass_id}
    found = connection.execute(_CASE, of_pass).first() if evidence.pass_id else None
    known = found is not None
    if not known:
        found = connection.execute(_STANDING, wanted).first()
    if found is None or evidence.issuer is None:
        return found, evidence
    if found.home_kid is None or found.home_withdrawn_at is not None:
        detail = "key" if found.home_kid is None else "withdrawn"
        return found, Evidence((Fault("home_unknown", detail),), evidence.proof)
    if not known:
        _add_stand_in(session, now, evidence.issuer, str(evidence.pass_id))
        found = connection.execute(_CASE, of_pass).first()
    return found, evidence


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
    connection: Connection,
    case: Case,
    report: Report,
    evidence: Evidence,
    faults: tuple[Fault, ...],
) -> tuple[Fault, ...]:
    """Find this visit if it is known, and where else the person is; tell if the code was used."""
    wanted = {"proof": evidence.proof, "member": case.member_id}
    rows = connection.execute(_VISITS, wanted).all()
    if not rows:
        return ()
    this = visit_id(evidence.proof, report.space)
    existing = this if any(row.id == this for row in rows) else None
    elsewhere = None
    opening = report.facts.opening
    closing = opening[1] if opening else ledger.midnight_after(case.at, report.facts.timezone)
    for row in rows:
        over = report.ended_at is not None and report.ended_at <= row.started_at
        if row.member_id == case.member_id and row.state == "open" and not over:
            # Told late, a visit of another day is not the one that she is in the middle of.
            if row.space_id != report.space or row.started_at >= closing:
                elsewhere = row.id
            elif existing is None and not faults:
                existing = row.id
    case.existing = session.get(Visit, existing) if existing else None
    case.elsewhere = session.get(Visit, elsewhere) if elsewhere else None
    used = any(row.proof == evidence.proof and row.space_id != report.space for row in rows)
    return (Fault("pass_replayed"),) if used or shown_again(case, report) else ()


def _usage(session: Session, connection: Connection, case: Case, now: datetime) -> dict[str, Any]:
    """Count the month's half-days; what an open visit elsewhere has used so far is included."""
    if case.elsewhere is not None and case.elsewhere.started_at <= case.at:
        left = min(case.at, ledger.closing(case.elsewhere))
        ledger.close(session, case.charter, case.elsewhere, left, now)
    zone = ZoneInfo(case.facts.timezone)
    here = half_day_at(case.at, zone, case.charter.rules.opening_hours.split)
    wanted = {"member": case.member_id, "month": here.month}
    case.counted = {
        (space, day, half): (quantity, occurrence)
        for space, day, half, quantity, occurrence in connection.execute(_USED, wanted)
    }
    space_id = case.facts.space
    return {
        "used_network": sum(quantity for quantity, _ in case.counted.values()),
        "used_host": sum(
            quantity for (space, _, _), (quantity, _) in case.counted.items() if space == space_id
        ),
        "counted_already": case.counted.get((space_id, here.day, here.half), (0, 0))[0] > 0,
    }
