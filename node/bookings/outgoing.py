"""Bookings that our members ask of hosts. What is not answered is asked again until it is."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from marshmallow import ValidationError
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from node.bookings import entitlement, hosted, member_mail, messages
from node.bookings.models import Trip
from node.bookings.occupancy import Span
from node.context import Node
from node.hub import service as sync
from node.members.models import Member
from node.passes import service as passes
from node.passes.models import Pass
from node.spaces.service import own_zone
from shared.net.http import PeerError
from shared.store.db import release, write
from shared.store.outbox import next_attempt
from shared.wire.problems import Problem

log = structlog.get_logger()

TIMEOUT_SECONDS = 5.0
ASKED = ("asking", "confirming", "cancelling")
PLACED = (*ASKED, "held", "confirmed")
LIVE = (*PLACED, "waiting")
MOST = timedelta(days=7)  # the host counts the five days on its own clock
# Nobody waits for an answer that long after asking: what is then held at the host is let go.
GIVEN_UP = timedelta(minutes=2)
_ACTIONS = {"asking": messages.ASK, "confirming": messages.CONFIRM, "cancelling": messages.CANCEL}


def ask(
    session: Session,
    node: Node,
    member: Member,
    space_id: str,
    starts_at: datetime,
    ends_at: datetime,
    room: str | None = None,
    *,
    wait: bool = False,
    trip_id: str | None = None,
) -> Trip:
    """Ask a host for a place or a room; it is held for a few minutes, to be confirmed.

    Raises Problem: ``booking-refused`` with the host's or the charter's reasons, ``unavailable``
    where the host does not answer. ``wait``: go on the waiting list where there is no place.
    """
    trip_id = trip_id or secrets.token_hex(16)
    known = session.get(Trip, trip_id)
    if known is not None:
        return _own(known, member.id)
    host_id, entry = _find_host(session, node, space_id)
    span, member_id = (starts_at, ends_at), member.id
    if not starts_at < ends_at <= starts_at + MOST:
        raise Problem("booking-refused", reasons=[{"code": "booking_span"}])
    halves = entitlement.check(session, node, member, host_id, space_id, span)
    with _locked(session, member_id):
        known = session.get(Trip, trip_id)
        if known is not None:  # asked twice at once
            return _own(known, member_id)
        _refuse_overlap(session, member_id, span)
        member = session.get_one(Member, member_id)
        trip = _new_trip(session, node, member, trip_id, host_id, entry, span, room, wait=wait)
        trip.half_days = halves
        session.add(trip)
    send(session, node, trip_id)
    trip = session.get_one(Trip, trip_id)
    if trip.state == "asking":
        raise Problem("unavailable", "the space does not answer", booking=trip_id)
    if trip.state == "refused":
        raise Problem("booking-refused", reasons=trip.codes)
    return trip


@contextmanager
def _locked(session: Session, member_id: int) -> Iterator[None]:
    """Write under the member's row: two bookings of one person wait for each other."""
    with write(session):
        session.execute(select(Member.id).where(Member.id == member_id).with_for_update())
        yield


def _new_trip(
    session: Session,
    node: Node,
    member: Member,
    trip_id: str,
    host_id: str,
    entry: Mapping[str, Any],
    span: tuple[datetime, datetime],
    room: str | None,
    *,
    wait: bool,
) -> Trip:
    return Trip(
        id=trip_id,
        member_id=member.id,
        host_id=host_id,
        space_id=entry["id"],
        space_name=entry["name"],
        room=room,
        timezone=str(own_zone(session)),  # until the host says
        starts_at=span[0],
        ends_at=span[1],
        state="asking",
        wait=wait,
        codes=[],
        asked_at=node.clock.now(),
        next_attempt_at=node.clock.real() + GIVEN_UP,
        passes_told_at=node.clock.real(),
    )


def _find_host(session: Session, node: Node, space_id: str) -> tuple[str, dict[str, Any]]:
    known = sync.network(session, node)
    for host_id, entry in (known.trust.nodes if known else {}).items():
        for space in entry["spaces"]:
            if space["id"] == space_id:
                return host_id, space
    raise Problem("not-found")


def _refuse_overlap(
    session: Session, member_id: int, span: Span, trip_id: str = "", states: Sequence[str] = PLACED
) -> None:
    """Raise Problem where the member is somewhere else at that time."""
    query = select(Trip.id).where(
        Trip.member_id == member_id,
        Trip.state.in_(states),
        Trip.starts_at < span[1],
        Trip.ends_at > span[0],
        Trip.id != trip_id,
    )
    if session.scalar(query.limit(1)) is not None:
        raise Problem("booking-refused", reasons=[{"code": "booked_elsewhere"}])


def confirm(session: Session, node: Node, trip_id: str, member_id: int) -> Trip:
    """Confirm what is held. Raises Problem.

    What was offered from a waiting list is looked at anew: other bookings were made since.
    """
    trip = find(session, trip_id, member_id)
    span = trip.starts_at, trip.ends_at
    if trip.wait and trip.state == "held":
        entitlement.check(
            session, node, trip.member, trip.host_id, trip.space_id, span, trip_id=trip_id
        )
    with _locked(session, member_id):
        _refuse_overlap(session, member_id, span, trip_id, ("confirming", "confirmed", "arrived"))
        _go_on(session, node, trip_id, member_id, ("held",), "confirming")
    return _sent(session, node, trip_id)


def cancel(session: Session, node: Node, trip_id: str, member_id: int) -> Trip:
    """Cancel a booking, or leave the waiting list. Raises Problem."""
    states = ("held", "confirmed", "waiting", "asking", "confirming")
    with _locked(session, member_id):
        _go_on(session, node, trip_id, member_id, states, "cancelling")
    return _sent(session, node, trip_id)


def _go_on(
    session: Session,
    node: Node,
    trip_id: str,
    member_id: int,
    states: Sequence[str],
    state: str,
) -> None:
    trip = _own(session.get(Trip, trip_id, with_for_update=True), member_id)
    if trip.state in states:
        trip.state, trip.attempts, trip.next_attempt_at = state, 0, node.clock.real()


def _sent(session: Session, node: Node, trip_id: str) -> Trip:
    send(session, node, trip_id)
    return session.get_one(Trip, trip_id)


def find(session: Session, trip_id: str, member_id: int) -> Trip:
    """Return one of a member's trips. Raises Problem("not-found")."""
    return _own(session.get(Trip, trip_id), member_id)


def _own(trip: Trip | None, member_id: int) -> Trip:
    if trip is None or trip.member_id != member_id:
        raise Problem("not-found")
    return trip


def send(session: Session, node: Node, trip_id: str) -> None:
    """Ask the host what this trip is about, and take its word; a silent host is asked later."""
    trip = session.get_one(Trip, trip_id)
    if trip.state not in ASKED:
        return
    asked = trip.state
    word = _word_of_host(session, node, trip, _ACTIONS[asked])
    if word is None:
        _postpone(session, node, trip_id, asked)
    else:
        take(session, node, trip_id, word, answers=asked)


def _word_of_host(session: Session, node: Node, trip: Trip, action: str) -> dict[str, Any] | None:
    """Return the host's answer; None where it is silent. No transaction is left open."""
    own, host_id = sync.node_id(session), trip.host_id
    request = _request(session, node, trip, action)
    try:
        if host_id != own:
            return _ask_host(session, node, host_id, own, request)
        release(session)
        return messages.load_word(hosted.act(session, node, messages.Request(home=own, **request)))
    except (PeerError, Problem, ValidationError) as error:
        release(session)
        log.info("booking.unanswered", host=host_id, reason=str(error)[:100])
        return None


def tell_new_passes(session: Session, node: Node) -> None:
    """Tell hosts of the passes that were made since: a door knows by them who has booked."""
    now, real = node.clock.now(), node.clock.real()  # passes are issued by the real one
    newer = exists().where(Pass.member_id == Trip.member_id, Pass.issued_at > Trip.passes_told_at)
    query = select(Trip.id).where(
        Trip.state.in_(("confirmed", "waiting")), Trip.ends_at > now, newer
    )
    due = list(session.scalars(query.limit(100)))
    release(session)
    for trip_id in due:
        word = _word_of_host(session, node, session.get_one(Trip, trip_id), messages.CONFIRM)
        if word is not None:
            with write(session):
                session.execute(update(Trip).where(Trip.id == trip_id).values(passes_told_at=real))
            take(session, node, trip_id, word)


def _request(session: Session, node: Node, trip: Trip, action: str) -> dict[str, Any]:
    member = trip.member
    valid = [p.id for p in passes.passes_of(session, member.id) if p.status == "valid"][:20]
    return {
        "id": trip.id,
        "action": action,
        "space": trip.space_id,
        "room": trip.room,
        "starts_at": trip.starts_at,
        "ends_at": trip.ends_at,
        "member": name_at(node, member, trip.host_id),
        "given_name": member.given_name,
        "plan": member.plan.plan_class,
        "passes": valid,
        "wait": trip.wait,
        "known": trip.revision,
    }


def name_at(node: Node, member: Member, host_id: str) -> str:
    """Return what a host knows a member by: the same each time, and another at each host."""
    secret = node.settings.secret_key.encode()
    text = f"{member.reference}@{host_id}".encode()
    return hmac.new(secret, text, "sha256").hexdigest()[:32]


def _ask_host(
    session: Session, node: Node, host_id: str, own: str, request: dict[str, Any]
) -> dict[str, Any]:
    known = sync.network(session, node)
    entry = known.trust.nodes.get(host_id) if known else None
    release(session)  # nothing is kept waiting while the host is asked
    if entry is None:
        raise PeerError("unknown", host_id)
    document = {
        **request,
        "starts_at": request["starts_at"].isoformat(),
        "ends_at": request["ends_at"].isoformat(),
    }
    token = messages.sign(node, messages.REQUEST_TYP, own, entry["url"], document)
    url = f"{entry['url']}/api/v1/bookings/{request['id']}"
    headers = {"Accept-Language": "en"}
    answer = node.peers.request(
        "PUT", url, json={"request": token}, headers=headers, timeout=TIMEOUT_SECONDS
    )
    if answer.status in (409, 422):  # it will never take this
        return messages.load_word(messages.refusal(request["id"], [{"code": "booking_span"}]))
    if answer.status != 200:
        raise PeerError("status", str(answer.status))
    return messages.load_word(answer.json())


def _postpone(session: Session, node: Node, trip_id: str, asked: str) -> None:
    with write(session):
        trip = session.get(Trip, trip_id, with_for_update=True)
        if trip is not None and trip.state == asked and asked != "asking":
            trip.attempts += 1
            trip.next_attempt_at = next_attempt(node.clock.real(), trip.attempts)


def take(
    session: Session, node: Node, trip_id: str, word: dict[str, Any], *, answers: str = ""
) -> None:
    """Take the host's word, unless a later one was taken; tell the member what they should know.

    Where it ``answers`` what was asked, it is taken although nothing has changed there; but not
    where a later word has overtaken it. A refusal says nothing of how often anything changed.
    """
    with write(session):
        trip = session.get(Trip, trip_id, with_for_update=True)
        if trip is not None and _is_news(trip, word, answers):
            _take_word(session, node, trip, word)
            return
    if answers:
        _postpone(session, node, trip_id, answers)


def _take_word(session: Session, node: Node, trip: Trip, word: dict[str, Any]) -> None:
    if trip.state == "cancelling" and word["state"] in ("held", "confirmed", "waiting"):
        # It crossed our own wish: that is asked again.
        trip.revision = max(trip.revision, word["revision"])
        return
    before, was_closed = trip.state, trip.closed
    trip.state, trip.held_until, trip.closed = word["state"], word["held_until"], word["closed"]
    if before == "cancelling" and word["state"] == "refused":
        trip.state = "cancelled"
    if before != "cancelling":  # why we called it off ourselves stays
        trip.reason, trip.codes = word["reason"], list(word["reasons"])
    trip.timezone = word["timezone"] or trip.timezone
    trip.revision = max(trip.revision, word["revision"])
    trip.next_attempt_at, trip.attempts = None, 0
    member_mail.tell_member(session, node, trip, before, was_closed)


def _is_news(trip: Trip, word: Mapping[str, Any], answers: str) -> bool:
    if not answers:
        return bool(word["revision"] > trip.revision)
    if word["state"] == "refused":
        return trip.state == answers
    return bool(word["revision"] >= trip.revision)


def settle_due(session: Session, node: Node) -> None:
    """Ask again what was not answered; what was asked and never answered is let go."""
    now = node.clock.real()
    query = select(Trip.id).where(Trip.state.in_(ASKED), Trip.next_attempt_at <= now)
    due = list(session.scalars(query.limit(100)))
    release(session)
    for trip_id in due:
        with write(session):
            trip = session.get(Trip, trip_id, with_for_update=True)
            if trip is not None and trip.state == "asking":
                trip.state, trip.unanswered = "cancelling", True
        send(session, node, trip_id)


def hear(session: Session, node: Node, trip_id: str, token: str) -> None:
    """Take a host's signed word on a trip of ours. Raises Problem."""
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    said_by, word = messages.read_word(known.trust, node, token)
    trip = session.get(Trip, trip_id)
    if trip is None or trip.host_id != said_by or word["id"] != trip_id:
        raise Problem("not-found")
    release(session)
    take(session, node, trip_id, word)


def of_member(session: Session, member_id: int, since: datetime) -> list[Trip]:
    """Return a member's trips that were not over then, the earliest first."""
    query = select(Trip).where(Trip.member_id == member_id, Trip.ends_at > since)
    return list(session.scalars(query.order_by(Trip.starts_at, Trip.asked_at)))
