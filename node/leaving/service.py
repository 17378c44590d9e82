"""Leaving the network in order: what it means, giving notice, and what is then done by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from node.bookings import hosted as host
from node.bookings import outgoing
from node.bookings.bookable_space import ACTIVE
from node.bookings.models import Booking, Trip
from node.context import Node
from node.hub import service as sync
from node.hub.departures import has_left, is_after, last_day
from node.identity.admins import tell_admins
from node.members.service import today
from node.passes.models import Pass
from node.spaces.models import Space
from node.statements import service as statements
from shared.mail.letters import letter
from shared.net.http import Answer, PeerError
from shared.store.db import release, write
from shared.wire.problems import Problem

log = structlog.get_logger()
BOOKED = "Bookings are confirmed after this day."
# Members of other houses read it, whatever their language.
WHY = "Cet espace quitte le réseau. / This space leaves the network."


@dataclass(frozen=True, slots=True)
class Outlook:
    """What leaving would mean. ``hosted`` are confirmed bookings to come, ``trips`` our members'
    elsewhere; ``…_after`` those past the last day. ``months``: (month, state, balance) of those
    in which something is not settled yet, None where the hub is silent.
    """

    last_day: date | None
    left: bool
    hosted: int
    hosted_after: int
    latest: date | None
    trips: int
    trips_after: int
    passes: int
    months: list[tuple[str, str, int]] | None


def announced(session: Session, node: Node) -> date | None:
    """Return our own last day, as the network knows it."""
    known, row = sync.network(session, node), sync.enrolment(session)
    return last_day(known.trust, row.node_id) if known and row else None


def left(session: Session, node: Node) -> bool:
    known, row = sync.network(session, node), sync.enrolment(session)
    return bool(known and row and has_left(known.trust, row.node_id))


def outlook(session: Session, node: Node, last: date | None = None) -> Outlook:
    """Return what leaving means, past ``last`` or the day that was announced. Raises Problem."""
    sync.node_id(session)
    told = announced(session, node)
    last = last or told
    hosted = [booking.ends_at.astimezone(zone) for booking, zone in _hosted(session, node)]
    abroad = _trips(session, node)
    valid = select(func.count()).select_from(Pass).where(Pass.status != "revoked")
    passes = session.scalar(valid.where(Pass.expires_at > node.clock.real())) or 0
    return Outlook(
        last_day=told,
        left=left(session, node),
        hosted=len(hosted),
        hosted_after=len(_past(session, node, last)),
        latest=max(hosted).date() if hosted else None,
        trips=len(abroad),
        trips_after=sum(is_after(t.ends_at, ZoneInfo(t.timezone), last) for t in abroad),
        passes=passes,
        months=_months(session, node),
    )


def _hosted(
    session: Session, node: Node, states: Iterable[str] = ("confirmed",)
) -> list[tuple[Booking, ZoneInfo]]:
    """Return other houses' bookings here that are not over, with their space's zone."""
    query = (
        select(Booking, Space.timezone)
        .join(Space, Space.id == Booking.space_id)
        .where(
            Booking.ends_at > node.clock.now(),
            Booking.state.in_(tuple(states)),
            Booking.home_id != sync.node_id(session),
        )
    )
    return [(row, ZoneInfo(zone)) for row, zone in session.execute(query)]


def _past(
    session: Session, node: Node, last: date | None, states: Iterable[str] = ("confirmed",)
) -> list[str]:
    """Return the ids of the bookings here that go on past a last day."""
    return [
        row.id for row, zone in _hosted(session, node, states) if is_after(row.ends_at, zone, last)
    ]


def _trips(session: Session, node: Node) -> list[Trip]:
    query = select(Trip).where(
        Trip.state.in_(outgoing.LIVE),
        Trip.ends_at > node.clock.now(),
        Trip.host_id != sync.node_id(session),
    )
    return list(session.scalars(query))


def _months(session: Session, node: Node) -> list[tuple[str, str, int]] | None:
    own = sync.node_id(session)
    found = []
    try:
        for month in statements.months(node.clock.now()):
            told = statements.month_of(session, node, month)
            lines = told["visits"] or told["corrections"]
            if told["state"] == "issued" or (told["state"] == "open" and lines):
                found.append((month, str(told["state"]), int(told["balances"].get(own, 0))))
    except (Problem, PeerError):
        return None
    return found


def announce(session: Session, node: Node, last: date, reason: str) -> date:
    """Give the hub notice of our last day; another one may be given until then. Raises Problem.

    Bookings that were accepted are honoured: none may be confirmed past the last day.
    """
    if last < today(session, node) and not left(session, node):
        raise Problem("conflict", "This day is over already.")
    if _past(session, node, last):
        raise Problem("conflict", BOOKED)
    release(session)
    body = {"last_day": last.isoformat(), "reason": reason}
    _call(node, "POST", body)
    _learn(session, node)
    tend(session, node)
    return last


def withdraw(session: Session, node: Node) -> None:
    """Take the notice back. Raises Problem."""
    release(session)
    _call(node, "DELETE", None)
    _learn(session, node)


def _call(node: Node, method: str, body: Any) -> None:
    try:
        answer: Answer = node.hub.call(method, "/api/v1/nodes/me/leaving", json=body, timeout=10)
        if answer.status in (200, 204):
            return
        told = answer.json()
    except PeerError:
        raise Problem("hub-unreachable") from None
    slug = str(told.get("type", "")).rpartition("/")[2]
    faults = told.get("errors", {}).get("json", {}).get("last_day") or told.get("errors", {}).get(
        "last_day"
    )
    if faults:
        raise Problem("conflict", str(faults[0]))
    raise Problem(slug if slug in ("node-left", "node-suspended") else "hub-unreachable")


def _learn(session: Session, node: Node) -> None:
    """Have the trust list say it here at once; the jobs process does, otherwise."""
    try:
        sync.refresh(session, node)
    except PeerError as error:
        log.info("network.not-refreshed", reason=error.reason)


def tend(session: Session, node: Node) -> None:
    """Do what follows from notices, ours and others'. Safe to repeat; jobs do."""
    known, row = sync.network(session, node), sync.enrolment(session)
    if known is None or row is None:
        return
    own, last = row.node_id, last_day(known.trust, row.node_id)
    if has_left(known.trust, own):
        _end_passes(session, node)
        return
    if last is not None:
        for booking_id in _past(session, node, last, (*ACTIVE, "waiting")):
            host.cancel_as_host(session, node, booking_id, WHY)
        if today(session, node) >= last:
            _cancel_trips(session, node, last)
    for node_id in known.trust.nodes:
        if node_id != own and last_day(known.trust, node_id) is not None:
            _tell_of_partner(session, node, node_id)


def _end_passes(session: Session, node: Node) -> None:
    """End every pass in our own list; the hub has ended them in its own."""
    held = Pass.status != "revoked"
    if session.scalar(select(Pass.id).where(held).limit(1)) is None:
        return
    with write(session):
        session.execute(
            update(Pass)
            .where(held)
            .values(status="revoked", ended_at=node.clock.real(), changes=Pass.changes + 1)
        )
    log.info("passes.ended-with-leaving")


def _cancel_trips(session: Session, node: Node, last: date) -> None:
    """Give back places elsewhere that our members will have no right to, while we are heard."""
    due = [
        (trip.id, trip.member_id)
        for trip in _trips(session, node)
        if is_after(trip.ends_at, ZoneInfo(trip.timezone), last) and trip.state != "cancelling"
    ]
    release(session)
    for trip_id, member_id in due:
        outgoing.cancel(session, node, trip_id, member_id)


def _tell_of_partner(session: Session, node: Node, node_id: str) -> None:
    """Tell our admins once that a host leaves at which our members have bookings."""
    known = sync.network(session, node)
    last = last_day(known.trust, node_id) if known else None
    theirs = [trip for trip in _trips(session, node) if trip.host_id == node_id]
    if known is None or last is None or not theirs or node.settings.smtp_url is None:
        return
    name = known.trust.nodes[node_id]["name"]
    tell_admins(
        session,
        node,
        f"partner-leaves:{node_id}:{last.isoformat()}",
        lambda: letter(
            "leaving/mail/partner.txt",
            name=name,
            day=last,
            number=len(theirs),
            hub_url=node.hub.url,
        ),
    )
