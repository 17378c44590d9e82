"""Bookings at our spaces: ours is the last word. Places are given under the space's lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.bookings import house as houses
from node.bookings import terms, wire
from node.bookings.house import ACTIVE, House, has_lapsed, is_free
from node.bookings.models import Booking
from node.bookings.reserved import came
from node.context import Node
from node.spaces import service as spaces
from node.spaces.models import Space
from node.sync import service as sync
from shared.problems import Problem

HOLD = timedelta(minutes=10)
# How long a place that became free is kept for the first on the waiting list.
OFFER = timedelta(hours=2)


def handle(session: Session, node: Node, booking_id: str, token: str) -> dict[str, Any]:
    """Answer a home's signed request with our word. Raises Problem or ValidationError."""
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    request = wire.read_request(known.trust, node, token)
    if request.id != booking_id:
        raise Problem("proof-invalid", "id")
    return act(session, node, request)


@dataclass(frozen=True, slots=True)
class _Case:
    """A request with all that bears on it; ``against`` are the reasons against the booking."""

    request: wire.Request
    house: House
    row: Booking | None
    against: list[dict[str, Any]]
    now: datetime


def act(session: Session, node: Node, request: wire.Request) -> dict[str, Any]:
    """Do what a home asks; asked again, the answer is the same. Raises Problem, ValidationError."""
    house = houses.find(session, node, request.space)
    ends = request.action == wire.CANCEL
    against = [] if ends else terms.against(session, node, house, request)
    houses.lock(session, house)
    now, row = node.clock.now(), session.get(Booking, request.id)
    if row is not None:
        if (row.home_id, row.space_id) != (request.home, request.space):
            session.rollback()
            raise Problem("not-found")
        _lapse(row, now)
    try:
        word = _ACTIONS[request.action](session, _Case(request, house, row, against, now))
        session.commit()
    except IntegrityError:  # the same number at two of our spaces at once
        session.rollback()
        raise Problem("conflict", "this number is another booking’s") from None
    return {**word, "timezone": str(house.schedule.zone)}


def _ask(session: Session, case: _Case) -> dict[str, Any]:
    request, row = case.request, case.row
    if row is not None and row.state != "lapsed":
        return wire.word_of(row)
    if case.against:
        return wire.refusal(request.id, case.against)
    free = is_free(session, case.house, request.span, request.room, case.now)
    if not free and not request.wait:
        return _full(request)
    state = "held" if free else "waiting"
    until = min(case.now + HOLD, request.ends_at) if free else None
    if row is None:
        return wire.word_of(_add(session, case, state, until))
    _change(row, case.now, state, held_until=until)
    return wire.word_of(row)


def _confirm(session: Session, case: _Case) -> dict[str, Any]:
    """Confirm what is held; a hold that lapsed, or was lost with a database, is taken anew."""
    request, row = case.request, case.row
    if row is not None and row.state in ("confirmed", "waiting"):
        row.passes = request.passes  # she may have another telephone by now
    if row is not None and row.state not in ("held", "lapsed"):
        return wire.word_of(row)
    if row is None or row.state == "lapsed":
        if case.against:
            return wire.refusal(request.id, case.against)
        if not is_free(session, case.house, request.span, request.room, case.now):
            return wire.word_of(row) if row else _full(request)
    if row is None:
        return wire.word_of(_add(session, case, "confirmed", None))
    row.passes = request.passes
    _change(row, case.now, "confirmed")
    return wire.word_of(row)


def _cancel(session: Session, case: _Case) -> dict[str, Any]:
    """Cancel, whatever there was: one that is not here yet is not taken when it comes."""
    row = case.row
    if row is None:
        return wire.word_of(_add(session, case, "cancelled", None))
    if row.state in (*ACTIVE, "waiting", "lapsed"):
        deadline = row.starts_at - timedelta(hours=case.house.conditions.cancel_hours)
        row.late = row.state == "confirmed" and case.now > deadline
        _change(row, case.now, "cancelled")
        session.flush()
        _offer(session, case.house, case.now)
    return wire.word_of(row)


_ACTIONS: dict[str, Callable[[Session, _Case], dict[str, Any]]] = {
    wire.ASK: _ask,
    wire.CONFIRM: _confirm,
    wire.CANCEL: _cancel,
}


def _full(request: wire.Request) -> dict[str, Any]:
    code = "room_taken" if request.room else "booking_full"
    return wire.refusal(request.id, [{"code": code}])


def cancel_as_host(session: Session, node: Node, booking_id: str, reason: str) -> None:
    """Call a booking off, and say why; what was free then is offered to who waits. Raises Problem.

    What is over, or was never confirmed, stays as it is.
    """
    row = session.get(Booking, booking_id)
    if row is None:
        raise Problem("not-found")
    house = houses.find(session, node, row.space_id)
    houses.lock(session, house)
    now, row = node.clock.now(), session.get_one(Booking, booking_id)
    if row.state in (*ACTIVE, "waiting"):
        _change(row, now, "cancelled", reason=reason)
    session.commit()


def tend(session: Session, node: Node) -> None:
    """Let go what lapsed or nobody came for, note who came, and offer what is free."""
    for space in spaces.spaces(session):
        house = houses.find(session, node, space.id)
        houses.lock(session, house)
        now = node.clock.now()
        query = select(Booking).where(
            Booking.space_id == house.row.id,
            Booking.ends_at > now - terms.LONGEST - timedelta(days=1),
            Booking.state.in_((*ACTIVE, "waiting")),
        )
        rows = session.scalars(query).all()
        here = came(session, house.row.id, rows)
        changed = [
            _lapse(row, now) or _settle(house, row, now, came=row.id in here) for row in rows
        ]
        session.flush()
        offered = _offer(session, house, now)
        session.commit() if offered or any(changed) else session.rollback()


def _settle(house: House, row: Booking, now: datetime, *, came: bool) -> bool:
    """Note that she came, or that nobody did; a waiting one that is over is let go."""
    if row.state == "waiting":
        return row.starts_at <= now and _change(row, now, "lapsed")
    if row.state != "confirmed" or now < row.starts_at - timedelta(hours=1):
        return False
    if came:
        return _change(row, now, "arrived")
    until = row.ends_at
    if row.room is None:
        released = row.starts_at + timedelta(minutes=house.conditions.release_minutes)
        until = min(until, released)
    return now >= until and _change(row, now, "no_show")


def _offer(session: Session, house: House, now: datetime) -> bool:
    """Offer what is free to those who wait, the first to ask first."""
    query = select(Booking).where(Booking.space_id == house.row.id, Booking.state == "waiting")
    offered = False
    for row in session.scalars(query.order_by(Booking.asked_at, Booking.id)).all():
        span = (row.starts_at, row.ends_at)
        if now < row.starts_at and is_free(session, house, span, row.room, now):
            until = min(now + OFFER, row.starts_at)
            offered = _change(row, now, "held", held_until=until)
            session.flush()
    return offered


def _lapse(row: Booking, now: datetime) -> bool:
    return has_lapsed(row, now) and _change(row, now, "lapsed")


def _change(row: Booking, now: datetime, state: str, **values: Any) -> bool:
    for name, value in {"held_until": None, **values}.items():
        setattr(row, name, value)
    row.state, row.changed_at, row.revision = state, now, row.revision + 1
    row.next_attempt_at, row.attempts = None, 0
    return True


def _add(session: Session, case: _Case, state: str, until: datetime | None) -> Booking:
    request = case.request
    row = Booking(
        id=request.id,
        space_id=request.space,
        room=request.room,
        home_id=request.home,
        member=request.member,
        given_name=request.given_name,
        plan=request.plan,
        passes=request.passes,
        starts_at=request.starts_at,
        ends_at=request.ends_at,
        state=state,
        held_until=until,
        reason="",
        late=False,
        asked_at=case.now,
        changed_at=case.now,
        revision=1,
        told=0,
    )
    session.add(row)
    session.flush()
    return row


def of_day(session: Session, space: Space, day: date) -> list[Booking]:
    """Return who is or was expected on a local day, the earliest first; what lapsed is left out."""
    start = datetime.combine(day, time(), spaces.zone(space))
    query = select(Booking).where(
        Booking.space_id == space.id,
        Booking.ends_at > start,
        Booking.starts_at < start + timedelta(days=1),
        Booking.state.in_(("held", "confirmed", "arrived", "no_show", "waiting")),
    )
    return list(session.scalars(query.order_by(Booking.starts_at, Booking.asked_at)))
