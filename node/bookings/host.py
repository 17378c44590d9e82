"""Bookings at our spaces: ours is the last word. Places are given under the space's lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Charter, Decision, Facts, decide
from charter.conditions import HouseConditions, read_conditions
from charter.hours import Schedule
from node.bookings import occupancy, wire
from node.bookings.models import Booking
from node.bookings.reserved import came
from node.context import Node
from node.desk.models import Visit
from node.desk.scan import find_space, schedule_of
from node.spaces import service as spaces
from node.spaces.models import Room, Space
from node.sync import service as sync
from shared.db import begin_write
from shared.problems import Problem
from shared.spaces import host_facts

HOLD = timedelta(minutes=10)
# How long a place that became free is kept for the first on the waiting list.
OFFER = timedelta(hours=2)
AHEAD = timedelta(days=60)
LONGEST = timedelta(days=5)
ACTIVE = ("held", "confirmed")
# What a charter says of today's door says nothing of the places of another day.
_OF_THE_DAY = ("guest_cap", "space_full")


@dataclass(frozen=True, slots=True)
class House:
    """What bears on the bookings of one space."""

    row: Any
    schedule: Schedule
    conditions: HouseConditions
    charter: Charter


def handle(session: Session, node: Node, booking_id: str, token: str) -> dict[str, Any]:
    """Answer a home's signed request with our word. Raises Problem or ValidationError."""
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    request = wire.read_request(known.trust, node, token)
    if request.id != booking_id:
        raise Problem("proof-invalid", "id")
    return act(session, node, request)


def act(session: Session, node: Node, request: wire.Request) -> dict[str, Any]:
    """Do what a home asks; asked again, the answer is the same. Raises Problem, ValidationError."""
    house = _house(session, node, request.space)
    refused = _refused(session, node, house, request)
    session.rollback()
    begin_write(session)
    session.execute(select(Space.id).where(Space.id == request.space).with_for_update())
    now = node.clock.now()
    row = session.get(Booking, request.id)
    if row is not None and row.home_id != request.home:
        session.rollback()
        raise Problem("not-found")
    if row is not None:
        _lapse(row, now)
    word = _ACTIONS[request.action](session, house, row, request, refused, now)
    session.commit()
    return {**word, "timezone": str(house.schedule.zone)}


def _ask(
    session: Session,
    house: House,
    row: Booking | None,
    request: wire.Request,
    refused: list[dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    if row is not None and row.state != "lapsed":
        return wire.word_of(row)
    if refused:
        return wire.refusal(request.id, refused)
    free = _is_free(session, house, _span(request), request.room, now)
    if not free and not request.wait:
        return wire.refusal(request.id, [_full(request)])
    state = "held" if free else "waiting"
    until = min(now + HOLD, request.ends_at) if free else None
    if row is None:
        row = _add(session, request, now, state, until)
    else:
        _change(row, now, state, held_until=until)
    return wire.word_of(row)


def _confirm(
    session: Session,
    house: House,
    row: Booking | None,
    request: wire.Request,
    refused: list[dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Confirm what is held; a hold that lapsed, or was lost with a database, is taken anew."""
    if row is not None and row.state not in ("held", "lapsed"):
        return wire.word_of(row)
    if row is None or row.state == "lapsed":
        if refused:
            return wire.refusal(request.id, refused)
        if not _is_free(session, house, _span(request), request.room, now):
            return wire.word_of(row) if row else wire.refusal(request.id, [_full(request)])
    if row is None:
        row = _add(session, request, now, "confirmed", None)
    else:
        row.passes = request.passes
        _change(row, now, "confirmed")
    return wire.word_of(row)


def _cancel(
    session: Session,
    house: House,
    row: Booking | None,
    request: wire.Request,
    _refused: list[dict[str, Any]],
    now: datetime,
) -> dict[str, Any]:
    """Cancel, whatever there was: one that is not here yet is not taken when it comes."""
    if row is None:
        return wire.word_of(_add(session, request, now, "cancelled", None))
    if row.state in (*ACTIVE, "waiting", "lapsed"):
        deadline = row.starts_at - timedelta(hours=house.conditions.cancel_hours)
        row.late = row.state == "confirmed" and now > deadline
        _change(row, now, "cancelled")
        session.flush()
        _offer(session, house, now)
    return wire.word_of(row)


_ACTIONS = {wire.ASK: _ask, wire.CONFIRM: _confirm, wire.CANCEL: _cancel}


def cancel_as_host(
    session: Session, node: Node, booking_id: str, reason: str, states: Sequence[str] = ACTIVE
) -> None:
    """Call a booking off, and say why. Raises Problem."""
    row = session.get(Booking, booking_id)
    if row is None:
        raise Problem("not-found")
    house = _house(session, node, row.space_id)
    session.rollback()
    begin_write(session)
    session.execute(select(Space.id).where(Space.id == house.row.id).with_for_update())
    row = session.get_one(Booking, booking_id)
    if row.state in (*states, "waiting"):
        _change(row, node.clock.now(), "cancelled", reason=reason)
    session.commit()


def tend(session: Session, node: Node) -> None:
    """Let go what lapsed or nobody came for, note who came, and offer what is free."""
    for space in spaces.spaces(session):
        house = _house(session, node, space.id)
        session.rollback()
        begin_write(session)
        session.execute(select(Space.id).where(Space.id == house.row.id).with_for_update())
        now = node.clock.now()
        since = now - LONGEST - timedelta(days=1)
        query = select(Booking).where(Booking.space_id == house.row.id, Booking.ends_at > since)
        changed = False
        for row in session.scalars(query.where(Booking.state.in_((*ACTIVE, "waiting")))).all():
            changed |= _lapse(row, now) or _settle(session, house, row, now)
        session.flush()
        changed |= _offer(session, house, now)
        session.commit() if changed else session.rollback()


def _settle(session: Session, house: House, row: Booking, now: datetime) -> bool:
    """Note that she came, or that nobody did; a waiting one that is over is let go."""
    if row.state == "waiting":
        return row.starts_at <= now and _change(row, now, "lapsed")
    if row.state != "confirmed" or now < row.starts_at - timedelta(hours=1):
        return False
    if came(session, row):
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
        if now < row.starts_at and _is_free(session, house, span, row.room, now):
            until = min(now + OFFER, row.starts_at)
            offered = _change(row, now, "held", held_until=until)
            session.flush()
    return offered


def _lapse(row: Booking, now: datetime) -> bool:
    over = row.state == "held" and row.held_until is not None and row.held_until <= now
    return over and _change(row, now, "lapsed")


def _change(row: Booking, now: datetime, state: str, **values: Any) -> bool:
    for name, value in {"held_until": None, **values}.items():
        setattr(row, name, value)
    row.state, row.changed_at, row.revision = state, now, row.revision + 1
    row.next_attempt_at, row.attempts = None, 0
    return True


def _add(
    session: Session, request: wire.Request, now: datetime, state: str, until: datetime | None
) -> Booking:
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
        asked_at=now,
        changed_at=now,
        revision=1,
        told=0,
    )
    session.add(row)
    session.flush()
    return row


# Whether there is room


def _span(request: wire.Request) -> occupancy.Span:
    return request.starts_at, request.ends_at


def _is_free(
    session: Session, house: House, span: occupancy.Span, room: str | None, now: datetime
) -> bool:
    taken = _taken(session, house, span, room, now)
    if room is not None:
        return occupancy.most_at_once(taken, span) == 0
    return all(
        occupancy.most_at_once(taken, part) < places(house, day)
        for day, part in occupancy.by_day(span, house.schedule.zone)
    )


def places(house: House, day: date) -> int:
    """Return how many visitors a space takes at once on a day: no fewer than the charter says."""
    rule, own = house.charter.rules.guest_cap, house.conditions.guests_on(day)
    return max(own, rule.at_least) if rule else own


def _taken(
    session: Session, house: House, span: occupancy.Span, room: str | None, now: datetime
) -> list[occupancy.Span]:
    """Return what is kept for others, and, of places, who is here without having booked."""
    query = select(Booking).where(
        Booking.space_id == house.row.id,
        Booking.ends_at > span[0],
        Booking.starts_at < span[1],
        Booking.state.in_((*ACTIVE, "arrived")),
    )
    rows = [row for row in session.scalars(query) if row.room == room and not _is_over(row, now)]
    taken = [(row.starts_at, row.ends_at) for row in rows]
    if room is None:
        booked = {pass_id for row in rows for pass_id in row.passes}
        here = session.execute(
            select(Visit.pass_id, Visit.started_at, Visit.closes_at).where(
                Visit.space_id == house.row.id, Visit.state == "open", Visit.local.is_(False)
            )
        )
        taken += [(v.started_at, v.closes_at) for v in here if v.pass_id not in booked]
    return taken


def _is_over(row: Booking, now: datetime) -> bool:
    return row.state == "held" and row.held_until is not None and row.held_until <= now


# Whether it may be


def _house(session: Session, node: Node, space_id: str) -> House:
    row = find_space(session, space_id)
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    schedule = schedule_of(row, node.clock.now().date())
    return House(row, schedule, read_conditions(row._mapping), known.charter)  # noqa: SLF001


def _full(request: wire.Request) -> dict[str, Any]:
    return {"code": "room_taken" if request.room else "booking_full"}


def _refused(
    session: Session, node: Node, house: House, request: wire.Request
) -> list[dict[str, Any]]:
    """Return why a booking is not taken, whatever the places; nothing is looked up in between."""
    now, own = node.clock.now(), sync.node_id(session)
    said = [{"code": code} for code in _wrong_times(house.schedule, request, now)]
    if request.room is not None and request.room not in _rooms(session, house.row.id):
        said.append({"code": "no_such_room"})
    if request.home == own:
        return said if request.room is not None else [*said, {"code": "own_house"}]
    return said + [
        reason.to_json("fr") for reason in _charter_reasons(session, node, house, request)
    ]


def _wrong_times(schedule: Schedule, request: wire.Request, now: datetime) -> Iterable[str]:
    start, end = _span(request)
    if end <= start or end <= now or start > now + AHEAD or end - start > LONGEST:
        yield "booking_span"
    elif schedule.known and not _is_open_throughout(schedule, start, end):
        yield "booking_hours"


def _is_open_throughout(schedule: Schedule, start: datetime, end: datetime) -> bool:
    """Tell whether it is open at both ends, and on each day between."""
    days = [day for day, _ in occupancy.by_day((start, end), schedule.zone)]
    ends = schedule.opening_at(start), schedule.opening_at(end - timedelta(seconds=1))
    return all(ends) and all(schedule.on(day) for day in days[1:-1])


def _rooms(session: Session, space_id: str) -> set[str]:
    query = select(Room.name).where(Room.space_id == space_id, Room.kind == "meeting")
    return set(session.scalars(query))


def _charter_reasons(
    session: Session, node: Node, house: House, request: wire.Request
) -> list[Any]:
    """Return what the charter has against it on any of its days, as far as a host can know."""
    known = sync.network(session, node)
    if known is None:
        return []
    found = {}
    facts = dict(house.row._mapping)  # noqa: SLF001
    for day, (start, _end) in occupancy.by_day(_span(request), house.schedule.zone):
        # A pause of one day says nothing of the others.
        facts["paused"] = house.row.paused and house.row.paused_on in (None, day)
        said = host_facts(facts, house.schedule, start)
        for reason in _decision(known, sync.node_id(session), request, said, start).reasons:
            if reason.code not in _OF_THE_DAY and reason.code != "space_closed":
                found[reason.code] = reason
    return list(found.values())


def _decision(
    known: sync.Network, own: str, request: wire.Request, said: dict[str, Any], at: datetime
) -> Decision:
    home, host = known.trust.nodes.get(request.home, {}), known.trust.nodes.get(own, {})
    plan_half_days = home.get("plans", {}).get(request.plan)
    facts = Facts(
        plan=request.plan,
        home=request.home,
        home_state=home.get("state"),
        home_signed=home.get("charter"),
        home_half_days=plan_half_days if isinstance(plan_half_days, int) else None,
        host=own,
        host_state=host.get("state", "connected"),
        host_signed=host.get("charter"),
        used_host=None,
        used_network=None,
        trust_list_age=0,
        **said,
    )
    return decide(known.charter, facts, at)


def of_space(session: Session, space_id: str, since: datetime, until: datetime) -> list[Booking]:
    """Return a space's bookings that overlap a span, the earliest first."""
    query = select(Booking).where(
        Booking.space_id == space_id, Booking.ends_at > since, Booking.starts_at < until
    )
    return list(session.scalars(query.order_by(Booking.starts_at, Booking.asked_at)))


def today(space: Space, now: datetime) -> date:
    return now.astimezone(ZoneInfo(space.timezone)).date()


def of_day(session: Session, space: Space, day: date) -> list[Booking]:
    """Return who is or was expected on a local day, the earliest first; what lapsed is left out."""
    start = datetime.combine(day, time(), ZoneInfo(space.timezone))
    found = of_space(session, space.id, start, start + timedelta(days=1))
    return [row for row in found if row.state in ("confirmed", "arrived", "no_show", "waiting")]
