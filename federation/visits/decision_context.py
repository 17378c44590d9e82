"""All that bears on one report, gathered under the member's lock in few statements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    Connection,
    Text,
    and_,
    bindparam,
    cast,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session, aliased

from charter import Charter, Facts, Fault
from charter.halfdays import half_day_at
from charter.hours import OpeningDay, Schedule
from charter.timeline import Stay
from federation.charters import service as charters
from federation.charters.models import CharterVersion, Signature
from federation.nodes.models import Node, NodeKey
from federation.spaces import published_hours
from federation.spaces.models import Space, SpaceHours
from federation.visits import ledger, passes, showings
from federation.visits.models import Member, Pass
from shared.base.clock import Clock
from shared.crypto.passes import Evidence
from shared.wire.problems import Problem
from shared.wire.reports import Report, visit_id

# A host's clock further off than this is not believed; the hub's own time is used.
CLOCK_TOLERANCE = timedelta(seconds=90)

# The statement of every visit, made once: made anew, it would be hashed anew each time.
_Host, _Home = aliased(Node), aliased(Node)
_HostKey, _HomeKey = aliased(NodeKey), aliased(NodeKey)
_HostSigned, _HomeSigned = aliased(Signature), aliased(Signature)
_AT = bindparam("at", type_=SpaceHours.since.type)
_STANDING = (
    select(
        CharterVersion.version,
        CharterVersion.sha256,
        Space.id.label("space"),
        cast(SpaceHours.document, Text).label("hours"),
        _Host.state.label("host_state"),
        _Host.enrolled_at.label("host_enrolled_at"),
        _Host.leaving_on.label("host_leaving_on"),
        _HostSigned.version.label("host_signed"),
        _HostKey.kid.label("host_kid"),
        _HostKey.withdrawn_at.label("host_withdrawn_at"),
        _Home.state.label("home_state"),
        _Home.leaving_on.label("home_leaving_on"),
        _HomeKey.kid.label("home_kid"),
        _HomeKey.withdrawn_at.label("home_withdrawn_at"),
        _Home.plans.label("home_plans"),
        _HomeSigned.version.label("home_signed"),
    )
    .select_from(CharterVersion)
    .outerjoin(_Host, _Host.id == bindparam("host"))
    .outerjoin(Space, and_(Space.id == bindparam("space"), Space.node_id == _Host.id))
    .outerjoin(
        SpaceHours,
        and_(
            SpaceHours.space_id == Space.id,
            SpaceHours.since <= _AT,
            or_(SpaceHours.until.is_(None), SpaceHours.until > _AT),
        ),
    )
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
    _STANDING.add_columns(
        *(Pass.status, Pass.number, Pass.known_at),
        *(Member.id.label("member_id"), Member.member_since, Member.reference),
    )
    .join(Pass, and_(Pass.node_id == _Home.id, Pass.id == bindparam("pass_id")))
    .join(Member, Member.id == Pass.member_id)
    .with_for_update(of=Member)
)


@dataclass(slots=True)
class Case:
    """Everything known about one report, under the member's lock.

    ``showing`` is the row of what was shown, if it was before, and ``claimed`` says that it was
    written now, for this visit; ``this`` is the visit that it made at the same space, ``here`` an
    open one of the person at the space that the arrival belongs to, as ``ledger.Person`` has them.
    ``distrust`` says why a report that is told late proves nothing, None where it holds.
    ``untold`` is a pass that its home has not told of.
    """

    connection: Connection
    charter: Charter
    facts: Facts
    at: datetime
    evidence: Evidence
    zone: ZoneInfo
    opening_day: OpeningDay
    person: ledger.Person | None = None
    showing: Any = None
    claimed: bool = False
    this: Any = None
    here: Any = None
    distrust: str | None = None
    untold: bool = False


def gather(
    session: Session, connection: Connection, clock: Clock, report: Report, evidence: Evidence
) -> Case:
    """Read everything, within a unit of work. Raises Problem for a space of another node."""
    now = clock.now()
    at = now if report.live and abs(report.at - now) > CLOCK_TOLERANCE else report.at
    if not report.live:
        at = min(at, now)
    row, proven = _read_case(session, connection, now, at, report, evidence)
    charter = _charter(session, row)
    if row is not None:
        _check_host(row, report)
    if row is None or row.space is None:
        raise Problem("validation", errors={"space": ["This node has no such space."]})
    schedule = published_hours.schedule(row.hours) if row.hours else None
    schedule = schedule or _unknown(report.facts.timezone)
    facts, opening_day = report.facts, schedule.day_of(at)
    case = Case(connection, charter, facts, at, proven, schedule.zone, opening_day)
    known: dict[str, Any] = {
        "faults": proven.faults,
        "used_host": None,
        "used_network": None,
        "host_state": row.host_state,
        "host_signed": row.host_signed,
    }
    if proven.issuer is not None:
        known |= _standing(row, proven)
        case.untold = passes.is_untold(row.reference)
        _find_visits(session, case, row.member_id, report, now)
        if report.live and _is_replayed(case, report.space):
            known["faults"] += (Fault(showings.REPLAYED),)
        known |= _usage(case, report)
        case.distrust = _distrust(case, row, evidence, now)
    case.facts = replace(report.facts, **known)
    return case


def _unknown(zone: str) -> Schedule:
    return Schedule(ZoneInfo(zone), ((),) * 7, {})


def _standing(row: Any, evidence: Evidence) -> dict[str, Any]:
    """Return the facts about the pass, the person and the home."""
    half_days = row.home_plans.get(evidence.plan)
    return {
        "faults": (*evidence.faults, *passes.faults(row.status, row.number, evidence)),
        "plan": evidence.plan,
        "usable_from": evidence.usable_from,
        "paper": evidence.paper,
        "member_since": row.member_since,
        "home": evidence.issuer,
        "home_state": row.home_state,
        "home_signed": row.home_signed,
        "home_half_days": half_days if isinstance(half_days, int) else None,
    }


def _check_host(row: Any, report: Report) -> None:
    """Raise Problem unless the host may act.

    Who has left in order still tells of visits until its last day that it let in alone; what it
    signed before a key was withdrawn is vouched for by the key with which it now comes.
    """
    if row.host_state in (None, "suspended"):
        raise Problem("node-suspended")
    if row.host_state == "left":
        day = report.at.astimezone(ZoneInfo(report.facts.timezone)).date()
        if report.online or row.host_leaving_on is None or day > row.host_leaving_on:
            raise Problem("node-left")
    if row.host_kid is None or (report.live and row.host_withdrawn_at is not None):
        raise Problem("proof-invalid", "key")


def _read_case(
    session: Session,
    connection: Connection,
    now: datetime,
    at: datetime,
    report: Report,
    evidence: Evidence,
) -> tuple[Any, Evidence]:
    """Return what is on record: charter, host and space; with the member, when there is a pass.

    Their row is then locked. A pass that was not announced yet stands for its owner. At a door, a
    pass by a key that may no longer be used proves nothing: the evidence that is left is returned.
    """
    wanted = {
        "host": report.host,
        "host_kid": report.kid,
        "space": report.space,
        "at": at,
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
    withdrawn = found.home_withdrawn_at is not None and report.live
    if found.home_state is None or withdrawn or (evidence.kid and found.home_kid is None):
        detail = "withdrawn" if withdrawn else "key"
        return found, Evidence((Fault("home_unknown", detail),), evidence.proof)
    if not known:
        _add_placeholder(session, now, evidence.issuer, str(evidence.pass_id))
        found = connection.execute(_CASE, of_pass).first()
    return found, evidence


def _add_placeholder(session: Session, now: datetime, home_id: str, pass_id: str) -> None:
    member = Member(node_id=home_id, reference=passes.placeholder(pass_id), member_since=None)
    session.add(member)
    session.flush()
    of_member = {"member_id": member.id, "status": "valid", "known_at": now, "changed_at": now}
    session.add(Pass(node_id=home_id, id=pass_id, **of_member))
    session.flush()


_charters: dict[tuple[str, str], Charter] = {}


def _charter(session: Session, head: Any) -> Charter:
    """Return the charter in force, read once for each hash. Raises Problem when there is none."""
    if head is None:
        return charters.in_force(session)
    key = (head.version, head.sha256)
    if key not in _charters:
        _charters[key] = charters.in_force(session)
    return _charters[key]


def _find_visits(
    session: Session, case: Case, member_id: int, report: Report, now: datetime
) -> None:
    """Find the person's visits around, this one if it is known, and where else it was shown.

    At a door the showing is claimed at once: a refusal undoes it.
    """
    case.person = found = ledger.person(session, member_id, case.at)
    proof = case.evidence.proof
    if report.live:
        told = showings.told_by(report, case.at, now, "visit")
        case.claimed = showings.claim(case.connection, proof, **told)
    if not case.claimed:
        case.showing = showings.find(case.connection, proof)
    case.this = found.visits.get(visit_id(case.evidence.proof, report.space))
    for visit in found.visits.values():
        of_arrival = case.at < visit.closes_at
        if visit.space_id == report.space and visit.state == "open" and of_arrival:
            case.here = visit if visit.held is None else case.here


def _is_replayed(case: Case, space_id: str) -> bool:
    """Tell whether a code at a door was good already: elsewhere, or for a visit that is over."""
    over = case.this is not None and (case.this.state != "open" or case.this.held is not None)
    return over or showings.used_elsewhere(case.showing, space_id)


def arriving(case: Case, report: Report) -> Stay:
    """Return the visit that would begin, for the timeline."""
    return Stay(
        id=visit_id(case.evidence.proof, report.space),
        host=report.host,
        space=report.space,
        zone=case.zone,
        start=case.at,
        shown_at=case.evidence.shown_at or case.at,
        day=case.opening_day.day,
        openings=case.opening_day.openings,
        closes_at=case.opening_day.closes_at,
    )


def _usage(case: Case, report: Report) -> dict[str, Any]:
    """Count the month's half-days; what an open visit elsewhere has used so far is included."""
    assert case.person is not None  # noqa: S101
    split = case.charter.rules.opening_hours.split
    begun = half_day_at(case.at, case.opening_day.day, case.zone, split)
    used = case.person.used(begun.month, arriving(case, report), split)
    return {
        "used_network": len(used),
        "used_host": sum(space == report.space for space in used.values()),
        "counted_already": (report.host, begun) in used,
    }


def _distrust(case: Case, row: Any, evidence: Evidence, now: datetime) -> str | None:
    """Say why a visit that is told afterwards does not count by itself.

    What counts follows from what the phone signed at that time and from what was published then.
    """
    day = case.at.astimezone(case.zone).date()
    left = row.home_state == "left" and (row.home_leaving_on is None or day > row.home_leaving_on)
    withdrawn_at = row.home_withdrawn_at
    showing = case.showing
    reasons = (
        (next((fault.code for fault in evidence.faults), None), bool(evidence.faults)),
        ("pass_malformed", evidence.shown_at is None),
        ("too_old", now - case.at > showings.KEPT),
        ("before_enrolment", case.at < row.host_enrolled_at),
        ("not_published", row.hours is None),
        ("home_left", left),
        ("key_withdrawn", withdrawn_at is not None and row.known_at >= withdrawn_at),
        ("key_withdrawn", row.host_withdrawn_at is not None and case.at >= row.host_withdrawn_at),
        ("refused_live", showing is not None and showing.kind == "refused"),
    )
    return next((code for code, applies in reasons if applies), None)
