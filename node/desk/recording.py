"""Writing down what was decided at the door: a visit, or that somebody was refused."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Row, bindparam, case, delete, func, literal_column, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.context import Node
from node.desk.showings import remember
from node.visits.models import Refusal, Visit
from node.visits.scan import Scan
from node.visits.seats import VisitsOfPerson, add_visit, drop_hold, locked
from shared.store.db import table_of, write

# The poster's address takes what anybody sends: no house turns away so many in earnest.
REFUSALS_A_DAY = 200
REFUSALS_KEPT = timedelta(days=365)

_VISIT = table_of(Visit)
_BY_ID = select(_VISIT).where(Visit.id == bindparam("visit"))
_CHANGE = update(_VISIT).where(Visit.id == bindparam("visit")).returning(_VISIT)
_OPEN = _CHANGE.where(Visit.state == literal_column("'held'"))
_AT = bindparam("at", type_=Visit.started_at.type)
_LEAVE = (
    update(Visit)
    .where(
        Visit.state == literal_column("'open'"),
        Visit.home_id == bindparam("home"),
        or_(Visit.pass_id == bindparam("of_pass"), Visit.member_id == bindparam("member")),
        Visit.id != bindparam("but"),
    )
    .values(
        state="closed",
        ended_at=case(
            (Visit.started_at > _AT, Visit.started_at),
            (Visit.closes_at < _AT, Visit.closes_at),
            else_=_AT,
        ),
    )
)


def is_over(session: Session, visit_id: str) -> bool:
    """Tell whether a visit is known here, and over."""
    found = session.connection().execute(_BY_ID, {"visit": visit_id}).first()
    return found is not None and found.state in ("closed", "void")


def note(session: Session, node: Node, scan: Scan, told: Mapping[str, Any]) -> Any:
    """Write down a visit as the hub has it; the person's other visits here are over.

    When the same visit is being noted at the same moment, the other's row is the one.
    """
    try:
        with locked(session, scan):
            return _write_note(session, node, scan, told)
    except IntegrityError:
        with locked(session, scan):
            return _write_note(session, node, scan, told)


def _write_note(session: Session, node: Node, scan: Scan, told: Mapping[str, Any]) -> Any:
    connection, visit = session.connection(), told["visit"]
    started = datetime.fromisoformat(visit["started_at"])
    _leave_elsewhere(session, scan, started, except_id=visit["id"])
    if visit["id"] != scan.id:
        drop_hold(session, scan)
    of_visit = {"visit": visit["id"]}
    signed = {"held": visit.get("held"), "receipt": told["receipt"]}
    noted = {
        "decision": dict(told["decision"]),
        "online": bool(visit["online"]),
        "started_at": started,
        **signed,
    }
    if visit["id"] == scan.id:  # else it is another showing's, which told its own
        noted["report"] = scan.report
    opened = {**of_visit, **noted, "state": "open", "held_until": None}
    found: Row[*tuple[Any, ...]] | SimpleNamespace | None
    found = connection.execute(_OPEN, opened).first()
    if found is None:
        found = connection.execute(_BY_ID, of_visit).first()
    if found is None:
        found = add_visit(session, scan, "open", **{"id": visit["id"], **noted})
    elif not found.decision:
        found = connection.execute(_CHANGE, {**of_visit, **noted}).one()
    elif not found.receipt and told["receipt"]:
        found = connection.execute(_CHANGE, {**of_visit, **signed}).one()
    remember(session, node, scan, found.id, tell=False)
    return found


def enter(
    session: Session, scan: Scan, person: VisitsOfPerson, until: datetime | None, **noted: Any
) -> Any:
    """Add the visit that a scan makes, to the caller's transaction: over since ``until``, if it is.

    Whoever enters leaves where they were, unless they have come again since.
    """
    if person.next_start is None:
        _leave_elsewhere(session, scan, scan.now, scan.id)
    if until is None:
        return add_visit(session, scan, "open", **noted)
    return add_visit(session, scan, "closed", ended_at=until, **noted)


def _leave_elsewhere(session: Session, scan: Scan, at: datetime, except_id: str) -> None:
    wanted = {
        "home": scan.evidence.issuer,
        "of_pass": scan.evidence.pass_id,
        "member": scan.member_id,
        "but": except_id,
        "at": at,
    }
    session.connection().execute(_LEAVE, wanted)


def note_refusal(session: Session, node: Node, scan: Scan, decision: Mapping[str, Any]) -> None:
    """Note that somebody was refused, and why; nothing about whom."""
    now, space_id = node.clock.now(), scan.facts.space
    with write(session):
        of_today = select(func.count()).where(
            Refusal.space_id == space_id, Refusal.at > now - timedelta(days=1)
        )
        if (session.scalar(of_today) or 0) < REFUSALS_A_DAY:
            codes = [reason["code"] for reason in decision["reasons"]]
            session.add(Refusal(at=now, space_id=space_id, codes=codes))


def forget_refusals(session: Session, now: datetime) -> None:
    """Drop what is older than a year."""
    with write(session):
        session.execute(delete(Refusal).where(Refusal.at < now - REFUSALS_KEPT))
