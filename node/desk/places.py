"""Places: who takes one, and holding one while the hub is being asked."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from node.desk.models import Visit
from node.desk.scan import Scan
from node.spaces import service as spaces
from node.spaces.models import Space
from shared.db import begin_write

HOLD = timedelta(seconds=10)


# How long a scan waits for a place that another scan holds while it is being decided.
HOLD_WAIT_SECONDS = 2.0


HOLD_POLL_SECONDS = 0.02


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


def count_present(session: Session, scan: Scan) -> tuple[bool, bool]:
    """Set who is here among the facts; return whether a place is free, and whether one is held.

    The person herself is not counted: she may be here already.
    """
    here, held, own = _present(session, scan.space.id, scan.now)
    if open_visit(session, scan) is not None:
        here -= 1
    scan.facts = replace(scan.facts, guests_present=here + held, people_present=here + held + own)
    rule, capacity = scan.charter.rules.guest_cap, scan.facts.capacity
    cap = max(scan.facts.guest_cap, rule.at_least) if rule else None
    free = (cap is None or here + held < cap) and (capacity is None or here + held + own < capacity)
    return free, held > 0


def open_visit(session: Session, scan: Scan) -> Visit | None:
    """Return the open visit of this very pass at this space."""
    query = select(Visit).where(
        Visit.state == "open",
        Visit.home_id == scan.evidence.issuer,
        Visit.pass_id == scan.evidence.pass_id,
        Visit.space_id == scan.space.id,
    )
    return session.scalar(query) if scan.evidence.pass_id else None


def hold(session: Session, scan: Scan) -> None:
    """Keep a place while the hub decides. A place that another scan holds is waited for."""
    deadline = time.monotonic() + HOLD_WAIT_SECONDS
    space_id = scan.space.id
    while True:
        begin_write(session)
        # The space's row is the lock under which places are given.
        scan.space = session.scalars(
            select(Space).where(Space.id == space_id).with_for_update()
        ).one()
        free, others_held = count_present(session, scan)
        if free or not others_held or time.monotonic() > deadline:
            break
        session.rollback()
        time.sleep(HOLD_POLL_SECONDS)
    if free and session.get(Visit, scan.id) is None and open_visit(session, scan) is None:
        visit = new_visit(session, scan, "held")
        visit.held_until = scan.now + HOLD
        scan.held = True
    session.commit()


def release(session: Session, scan: Scan) -> None:
    if scan.held:
        begin_write(session)
        visit = session.get(Visit, scan.id)
        if visit is not None and visit.state == "held":
            session.delete(visit)
        session.commit()


def new_visit(session: Session, scan: Scan, state: str) -> Visit:
    """Add the visit that a scan makes, to the caller's transaction."""
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
