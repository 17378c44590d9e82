"""Whether a booking may be, whatever the places: its times, its room, and the charter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Decision, Facts, decide
from charter.hours import WEEKDAYS, Schedule
from node.bookings import messages, occupancy
from node.bookings.bookable_space import House
from node.context import Node
from node.hub import service as sync
from node.hub.departures import is_after, last_day
from node.spaces.models import Room
from node.spaces.space_row import as_document
from shared.wire.spaces import host_facts, is_bookable

AHEAD = timedelta(days=60)
SHORTEST, LONGEST = timedelta(minutes=15), timedelta(days=5)
# What the charter says of today's door says nothing of the places of another day.
OF_THE_DAY = ("guest_cap", "space_full")
# Hours are told apart, for the whole span.
_NOT_ASKED = (*OF_THE_DAY, "space_closed")


def against(
    session: Session, node: Node, house: House, request: messages.Request
) -> list[dict[str, Any]]:
    """Return the reasons against a booking, as the home is told them."""
    known, own = sync.network(session, node), sync.node_id(session)
    said = [{"code": code} for code in _wrong_times(house, request, node.clock.now())]
    if request.room is not None:
        said += _against_room(session, house, request)
    if request.home == own and request.room is None:
        said.append({"code": "own_house"})
    said += [{"code": code} for code in _leavers(known, own, house, request)]
    if request.home == own or known is None:
        return said
    reasons = {
        reason.code: reason
        for day, (start, _) in occupancy.by_day(request.span, house.schedule.zone)
        for reason in _decision(known, own, house, request, start).reasons
        if reason.code not in _NOT_ASKED
    }
    return [*said, *(reason.to_json("fr") for reason in reasons.values())]


def _wrong_times(house: House, request: messages.Request, now: datetime) -> Iterator[str]:
    schedule, (start, end) = house.schedule, request.span
    by_the_clock = [each.astimezone(schedule.zone).replace(tzinfo=None) for each in (start, end)]
    too_long = by_the_clock[1] - by_the_clock[0] > LONGEST  # also where the clocks are put back
    if end <= now or start > now + AHEAD or end - start < SHORTEST or too_long:
        yield "booking_span"
    elif house.is_never_open(end) or (
        schedule.known and not _is_open_at_both_ends(schedule, start, end)
    ):
        yield "booking_hours"


def _leavers(
    known: sync.Network | None, own: str, house: House, request: messages.Request
) -> Iterator[str]:
    """Name who will have left the network by the end of the booking."""
    if known is None or request.home == own:
        return
    for code, node_id in (("host_leaves", own), ("home_leaves", request.home)):
        last = last_day(known.trust, node_id)
        if is_after(request.span[1], house.schedule.zone, last):
            yield code


def _is_open_at_both_ends(schedule: Schedule, start: datetime, end: datetime) -> bool:
    """Days between may be closed: three days from a Friday on are good on the Monday."""
    return all((schedule.opening_at(start), schedule.opening_at(end - timedelta(seconds=1))))


def _against_room(
    session: Session, house: House, request: messages.Request
) -> Iterator[dict[str, Any]]:
    query = select(Room).where(Room.space_id == house.row.id, Room.name == request.room)
    room = session.scalars(query).first()
    if room is None or not is_bookable(room.kind, room.half_days):
        yield {"code": "no_such_room"}
    elif room.half_days is not None:
        asked = {
            f"{WEEKDAYS[day.weekday()]}-{'pm' if afternoon else 'am'}"
            for day, afternoon, _ in occupancy.by_half_day(request.span, house.schedule.zone)
        }
        if not asked <= set(room.half_days):
            yield {"code": "room_not_then"}


def _decision(
    known: sync.Network, own: str, house: House, request: messages.Request, at: datetime
) -> Decision:
    """Return what the door would say then, as far as a host can know it beforehand."""
    home, host = known.trust.nodes.get(request.home, {}), known.trust.nodes.get(own, {})
    plan_half_days = home.get("plans", {}).get(request.plan)
    # A pause of one day says nothing of the others.
    day = at.astimezone(house.schedule.zone).date()
    paused = house.row.paused and house.row.paused_on in (None, day)
    stated = {**as_document(house.row, day), "paused": paused}
    said = host_facts(stated, house.schedule, at)
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
