"""Places: who takes one, and holding one while the hub is being asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from flask import current_app
from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.orm import Session

from charter import Charter
from charter.conditions import guest_places
from charter.hours import Schedule
from node.spaces.models import Space
from node.spaces.space_row import as_document, local_day
from node.visits.models import Showing, Visit
from node.visits.scan import Scan
from shared.base import deadline
from shared.store.db import table_of, write
from shared.wire.spaces import host_facts

HOLD = timedelta(seconds=10)


HOLD_POLL_SECONDS = 0.02

# The statements of every scan, made once. States are written out in them: an index that holds
# open visits alone is not used for a parameter.
_LOCK = select(Space.id).where(Space.id == bindparam("space")).with_for_update()
_PRESENT = (
    select(Visit.state, Visit.local, func.count())
    .where(
        Visit.space_id == bindparam("space"),
        Visit.state.in_((literal_column("'open'"), literal_column("'held'"))),
        or_(Visit.state == literal_column("'open'"), Visit.held_until > bindparam("now")),
    )
    .group_by(Visit.state, Visit.local)
)
# The visit for which this very code was good, if it was.
_USED_FOR = select(Showing.visit_id).where(Showing.showing == bindparam("shown")).scalar_subquery()
# Of our own members we know who they are; of a partner's, the hub does.
_OF_PERSON = and_(
    Visit.home_id == bindparam("home"),
    or_(Visit.pass_id == bindparam("of_pass"), Visit.member_id == bindparam("member")),
)
_OPEN = Visit.state == literal_column("'open'")


def _visits_where(which: ColumnElement[bool]) -> Select[Any]:
    return select(table_of(Visit), (Visit.id == _USED_FOR).label("used")).where(
        or_(Visit.id == bindparam("visit"), Visit.id == _USED_FOR, and_(which, _OF_PERSON))
    )


_VISITS = _visits_where(_OPEN)
# For a scan that is told late: also those that were under way then, or began since.
_VISITS_SINCE = _visits_where(
    or_(_OPEN, Visit.ended_at > bindparam("at", type_=Visit.ended_at.type))
)
_ADD = insert(table_of(Visit))


@contextmanager
def locked(session: Session, scan: Scan) -> Iterator[None]:
    """Write under the space's row, the lock under which places are given."""
    with write(session) as connection:
        connection.execute(_LOCK, {"space": scan.space_id}).one()
        yield


@dataclass(frozen=True, slots=True)
class VisitsOfPerson:
    """What is known of the person of a scan at its time.

    ``spent`` is the visit for which this very code was good, at any of our spaces; ``here`` is the
    one in the middle of which they are at this one; ``next_start`` is when the next one began, for
    a scan that is told late.
    """

    held: bool
    spent: Any
    here: Any
    next_start: datetime | None

    def known(self, scan: Scan) -> Any:
        """Return the visit that is meant by somebody who was let in by it already, or None."""
        if self.spent is None:
            return self.here
        good = self.spent.space_id == scan.space_id and (scan.late or self.spent.state == "open")
        return self.spent if good else None


def visits_of_person(session: Session, scan: Scan) -> VisitsOfPerson:
    wanted: dict[str, object] = {
        "visit": scan.id,
        "shown": scan.evidence.proof,
        "home": scan.evidence.issuer,
        "of_pass": scan.evidence.pass_id,
        "member": scan.member_id,
    }
    if scan.late:
        wanted["at"] = scan.now
    query = _VISITS_SINCE if scan.late else _VISITS
    rows = session.connection().execute(query, wanted).all()
    visits = [row for row in rows if row.state != "held"]
    own = [row for row in visits if _is_theirs(row, scan)]
    later = [row.started_at for row in own if row.started_at > scan.now]
    return VisitsOfPerson(
        held=len(visits) < len(rows),
        spent=next((row for row in visits if row.used or row.id == scan.id), None),
        here=next((row for row in own if _is_here(row, scan)), None),
        next_start=min(later, default=None) if scan.late else None,
    )


def _is_theirs(row: Any, scan: Scan) -> bool:
    return bool(
        (scan.evidence.pass_id or scan.member_id)
        and row.home_id == scan.evidence.issuer
        and (row.local or row.pass_id == scan.evidence.pass_id)
    )


def _is_here(row: Any, scan: Scan) -> bool:
    """Tell whether a visit was under way, here, when the code was shown.

    Of two that are shown at the same moment, the one that is decided first may be the later.
    """
    begun = row.started_at <= scan.now or not scan.late
    under_way = begun and scan.now < row.closes_at
    over = row.ended_at is not None and row.ended_at <= scan.now
    return row.space_id == scan.space_id and row.state != "void" and under_way and not over


def present(session: Session, space_id: str, now: datetime) -> tuple[int, int, int]:
    """Return how many are here: guests, guests being decided, own members."""
    rows = session.connection().execute(_PRESENT, {"space": space_id, "now": now})
    counts = {(row[0], row[1]): row[2] for row in rows}
    own = sum(count for (_, local), count in counts.items() if local)
    return counts.get(("open", False), 0), counts.get(("held", False), 0), own


def _reserved(
    session: Session, space_id: str, now: datetime, whose: str | None = None
) -> tuple[int, bool]:
    """Return how many places are kept now for others than ``whose`` pass, and if one is theirs.

    By those who have booked, which a room above knows: ``app.py`` names its function.
    """
    kept: tuple[int, bool] = current_app.extensions["reserved_places"](
        session, space_id, now, whose
    )
    return kept


def places_left(
    session: Session, charter: Charter, space: Any, schedule: Schedule, now: datetime
) -> int | None:
    """Return how many more roaming members there is room for; None without a limit."""
    guests, held, own = present(session, space.id, now)
    kept, _ = _reserved(session, space.id, now)
    facts, left = host_facts(as_document(space, local_day(space, now)), schedule, now), list[int]()
    most = guest_places(charter.rules, facts["guest_cap"])
    if most is not None:
        left.append(most - guests - held - kept)
    if facts["capacity"] is not None:
        left.append(facts["capacity"] - guests - held - kept - own)
    return max(0, min(left)) if left else None


def count_present(session: Session, scan: Scan, person: VisitsOfPerson) -> tuple[bool, bool]:
    """Set who is here among the facts; return whether a place is free, and whether one is held.

    The person is not counted: they may be here already. A place that is kept for somebody
    who has booked is a guest's.
    """
    here, held, own = present(session, scan.space_id, scan.now)
    kept, booked = _reserved(session, scan.space_id, scan.now, scan.evidence.pass_id)
    if booked:  # theirs is among those that were not given back to the house
        scan.facts = replace(scan.facts, guest_cap=scan.booked_places)
    if person.here is not None and person.here.state == "open":
        here -= 1
    guests = here + held + kept
    # Our own people are let in whoever has booked; visitors find the seats that are left.
    people = own + (here + held if scan.member_id is not None else guests)
    scan.facts = replace(scan.facts, guests_present=guests, people_present=people)
    cap, capacity = guest_places(scan.charter.rules, scan.facts.guest_cap), scan.facts.capacity
    free = (cap is None or guests < cap) and (capacity is None or people < capacity)
    return free, held > 0


def hold(session: Session, scan: Scan) -> VisitsOfPerson:
    """Keep a place while the hub decides, for one who needs one; return what is known of them.

    A place that another scan holds while it is being decided is waited for.
    """
    while True:
        with locked(session, scan):
            person = visits_of_person(session, scan)
            free, others_held = count_present(session, scan, person)
            if free and not person.held and person.spent is None and person.here is None:
                add_visit(session, scan, "held", held_until=scan.now + HOLD)
                scan.held = True
        if free or not others_held or not deadline.left(HOLD_POLL_SECONDS):
            return person
        time.sleep(HOLD_POLL_SECONDS)


def release_hold(session: Session, scan: Scan) -> None:
    if scan.held:
        with write(session):
            drop_hold(session, scan)


_DROP = delete(Visit).where(Visit.id == bindparam("visit"), Visit.state == literal_column("'held'"))


def drop_hold(session: Session, scan: Scan) -> None:
    """Take back the place that was kept for this scan, in the caller's transaction."""
    session.connection().execute(_DROP, {"visit": scan.id})


def add_visit(session: Session, scan: Scan, state: str, **more: Any) -> SimpleNamespace:
    """Add the visit that a scan makes, to the caller's transaction; returns its columns."""
    visit = SimpleNamespace(
        **{
            "id": scan.id,
            "space_id": scan.space_id,
            "home_id": scan.evidence.issuer,
            "pass_id": scan.evidence.pass_id,
            "given_name": scan.evidence.given_name or "",
            "plan": scan.evidence.plan or "",
            "local": scan.member_id is not None,
            "member_id": scan.member_id,
            "by_poster": scan.by_poster,
            "state": state,
            "online": True,
            "delivered": True,
            "started_at": scan.now,
            "ended_at": None,
            "closes_at": scan.schedule.closing_after(scan.now),
            "held_until": None,
            "charter": scan.charter.version,
            "decision": {},
            "held": None,
            "report": "",
            "receipt": "",
            **more,
        }
    )
    session.connection().execute(_ADD, vars(visit))
    return visit
