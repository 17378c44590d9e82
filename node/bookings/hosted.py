"""Bookings at our spaces: ours is the last word. Places are given under the space's lock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.bookings import bookable_space as houses
from node.bookings import half_days, messages, rules
from node.bookings.bookable_space import ACTIVE, House, Wanted, has_lapsed, why_not
from node.bookings.models import Booking
from node.bookings.reserved import came
from node.context import Node
from node.hub import service as sync
from node.spaces import service as spaces
from node.spaces.models import Space
from shared.wire.problems import Problem

HOLD = timedelta(minutes=10)
# How long a place that became free is kept for the first on the waiting list.
OFFER = timedelta(hours=2)
OF_ANOTHER = "this number is another booking’s"
# What may pass while one waits.
_MAY_PASS = ("booking_full", "room_taken", "home_share")
_IS_CLOSED = cast(Booking.closed, Text) != "[]"


def handle(session: Session, node: Node, booking_id: str, token: str) -> dict[str, Any]:
    """Answer a home's signed request with our word. Raises Problem or ValidationError."""
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    request = messages.read_request(known.trust, node, token)
    if request.id != booking_id:
        raise Problem("proof-invalid", "id")
    return act(session, node, request)


@dataclass(frozen=True, slots=True)
class _Case:
    """A request with all that bears on it; ``against`` are the reasons against the booking."""

    request: messages.Request
    house: House
    row: Booking | None
    against: list[dict[str, Any]]
    now: datetime
    own: str

    @property
    def half_days(self) -> list[str]:
        return half_days.codes(self.house.schedule, *self.request.span, self.house.split)

    def why_not(self, session: Session) -> str:
        asked = self.request
        wanted = Wanted(
            asked.id, asked.home, asked.member, asked.room, asked.span, frozenset(self.half_days)
        )
        return why_not(session, self.house, wanted, self.own, self.now)


def act(session: Session, node: Node, request: messages.Request) -> dict[str, Any]:
    """Do what a home asks; asked again, the answer is the same. Raises Problem, ValidationError.

    A number stands for one booking: with another time or room it is refused.
    """
    own = sync.node_id(session)
    house = houses.find(session, node, request.space)
    ends = request.action == messages.CANCEL
    against = [] if ends else rules.against(session, node, house, request)
    try:
        with houses.locked(session, house):
            now, row = node.clock.now(), session.get(Booking, request.id)
            if row is not None:
                _check_same(row, request)
                row.revision = max(row.revision, request.known)  # ours may come from a backup
                _lapse(row, now)
            word = _ACTIONS[request.action](session, _Case(request, house, row, against, now, own))
    except IntegrityError:  # the same number at two of our spaces at once
        raise Problem("conflict", OF_ANOTHER) from None
    return {**word, "timezone": str(house.schedule.zone)}


def _check_same(row: Booking, request: messages.Request) -> None:
    """Raise Problem where a number stands for another booking than the one that is meant."""
    if (row.home_id, row.space_id) != (request.home, request.space):
        raise Problem("not-found")
    if (row.starts_at, row.ends_at, row.room) != (*request.span, request.room):
        raise Problem("conflict", OF_ANOTHER)


def _ask(session: Session, case: _Case) -> dict[str, Any]:
    request, row = case.request, case.row
    if row is not None and row.state != "lapsed":
        return messages.word_of(row)
    if case.against:
        return messages.refusal(request.id, case.against)
    code = case.why_not(session)
    if code and not (request.wait and code in _MAY_PASS):
        return messages.refusal(request.id, [{"code": code}])
    state = "waiting" if code else "held"
    until = None if code else min(case.now + HOLD, request.ends_at)
    if row is None:
        return messages.word_of(_add(session, case, state, until))
    _change(row, case.now, state, held_until=until)
    return messages.word_of(row)


def _confirm(session: Session, case: _Case) -> dict[str, Any]:
    """Confirm what is held; a hold that lapsed, or was lost with a database, is taken anew."""
    request, row = case.request, case.row
    if row is not None and row.state in ("confirmed", "waiting"):
        row.passes = request.passes  # the person may have another telephone by now
    if row is not None and row.state not in ("held", "lapsed"):
        return messages.word_of(row)
    if row is None or row.state == "lapsed":
        if case.against:
            return messages.refusal(request.id, case.against)
        if code := case.why_not(session):
            return messages.word_of(row) if row else messages.refusal(request.id, [{"code": code}])
    if row is None:
        return messages.word_of(_add(session, case, "confirmed", None))
    row.passes = request.passes
    _change(row, case.now, "confirmed")
    return messages.word_of(row)


def _cancel(session: Session, case: _Case) -> dict[str, Any]:
    """Cancel, whatever there was: one that is not here yet is not taken when it comes."""
    row = case.row
    if row is None:
        return messages.word_of(_add(session, case, "cancelled", None))
    if row.state in (*ACTIVE, "waiting", "lapsed"):
        deadline = row.starts_at - timedelta(hours=case.house.conditions.cancel_hours)
        row.late = row.state == "confirmed" and case.now > deadline
        _change(row, case.now, "cancelled")
        session.flush()
        _offer(session, case.house, case.own, case.now)
    return messages.word_of(row)


_ACTIONS: dict[str, Callable[[Session, _Case], dict[str, Any]]] = {
    messages.ASK: _ask,
    messages.CONFIRM: _confirm,
    messages.CANCEL: _cancel,
}


def cancel_as_host(session: Session, node: Node, booking_id: str, reason: str) -> None:
    """Call a booking off, and say why; what was free then is offered to who waits. Raises Problem.

    What is over, or was never confirmed, stays as it is.
    """
    row = session.get(Booking, booking_id)
    if row is None:
        raise Problem("not-found")
    _call_off(session, node, row.space_id, reason, Booking.id == booking_id)


def cancel_home(session: Session, node: Node, home_id: str, reason: str) -> int:
    """Call off all that one home's members have booked here and is not over; return how many."""
    return sum(
        _call_off(session, node, space.id, reason, Booking.home_id == home_id)
        for space in spaces.spaces(session)
    )


def cancel_closed(session: Session, node: Node, reason: str) -> int:
    """Call off what was booked for days on which a space has closed since; return how many."""
    tend(session, node)
    return sum(
        _call_off(session, node, space.id, reason, _IS_CLOSED) for space in spaces.spaces(session)
    )


def closed_by_saving(session: Session, node: Node, space_id: str) -> int:
    """Look at what was booked at a space after its hours were saved; return how many clash.

    The homes are told by the jobs. Before the network is known nobody has booked.
    """
    with suppress(Problem):
        tend_space(session, node, space_id)
    return sum(row.space_id == space_id for row in closed_of(session, node.clock.now()))


def homes_ahead(session: Session, now: datetime) -> dict[str, int]:
    """Return how many bookings that are not over each home's members have here, most first."""
    number = func.count()
    query = select(Booking.home_id, number).where(
        Booking.ends_at > now, Booking.state.in_((*ACTIVE, "waiting"))
    )
    rows = session.execute(query.group_by(Booking.home_id).order_by(number.desc(), Booking.home_id))
    return {row[0]: row[1] for row in rows}


def _call_off(
    session: Session, node: Node, space_id: str, reason: str, which: ColumnElement[bool]
) -> int:
    with houses.locked(session, houses.find(session, node, space_id)):
        now = node.clock.now()
        query = select(Booking).where(
            which,
            Booking.space_id == space_id,
            Booking.ends_at > now,
            Booking.state.in_((*ACTIVE, "waiting")),
        )
        found = session.scalars(query).all()
        for row in found:
            _change(row, now, "cancelled", reason=reason)
    return len(found)


def closed_of(session: Session, now: datetime) -> list[Booking]:
    """Return what is booked for days on which a space has closed since, the earliest first."""
    query = select(Booking).where(
        _IS_CLOSED, Booking.ends_at > now, Booking.state.in_((*ACTIVE, "waiting"))
    )
    return list(session.scalars(query.order_by(Booking.starts_at, Booking.asked_at)))


def tend(session: Session, node: Node) -> None:
    """Let go what lapsed or nobody came for, note who came, and offer what is free.

    A booking for a day on which the house has closed since says so: its home is told.
    """
    for space in spaces.spaces(session):
        tend_space(session, node, space.id)


def tend_space(session: Session, node: Node, space_id: str) -> None:
    house, own = houses.find(session, node, space_id), sync.node_id(session)
    with houses.locked(session, house):
        now = node.clock.now()
        query = select(Booking).where(
            Booking.space_id == space_id,
            Booking.ends_at > now - rules.LONGEST - timedelta(days=1),
            Booking.state.in_((*ACTIVE, "waiting")),
        )
        rows = session.scalars(query).all()
        here = came(session, space_id, rows)
        for row in rows:
            _tend_row(house, row, own, now, came=row.id in here)
        session.flush()
        _offer(session, house, own, now)


def _tend_row(house: House, row: Booking, own: str, now: datetime, *, came: bool) -> None:
    if not _lapse(row, now) and not _settle(house, row, now, came=came):
        _note_closed(house, row, own, now)


def _note_closed(house: House, row: Booking, own: str, now: datetime) -> None:
    closed = house.closed_days(row, own, now) if row.ends_at > now else row.closed
    if closed != row.closed:
        _change(row, now, row.state, held_until=row.held_until, closed=closed)


def _settle(house: House, row: Booking, now: datetime, *, came: bool) -> bool:
    """Note that the person came, or that nobody did; a waiting one that is over is let go."""
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


def _offer(session: Session, house: House, own: str, now: datetime) -> None:
    """Offer what is free to those who wait, the first to ask first."""
    query = select(Booking).where(Booking.space_id == house.row.id, Booking.state == "waiting")
    for row in session.scalars(query.order_by(Booking.asked_at, Booking.id)).all():
        if row.closed or now >= row.starts_at:
            continue
        span = (row.starts_at, row.ends_at)
        halves = frozenset(house.half_days(row))
        wanted = Wanted(row.id, row.home_id, row.member, row.room, span, halves)
        if not why_not(session, house, wanted, own, now):
            until = min(now + OFFER, row.starts_at)
            _change(row, now, "held", held_until=until)
            session.flush()


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
        revision=request.known + 1,
        told=0,
        half_days=case.half_days,
        closed=[],
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
