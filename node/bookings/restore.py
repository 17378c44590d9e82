"""Asking partners anew for bookings that were lost with this node's database.

A host's bookings are with its visitors' homes, a home's trips with the hosts: each tells the other
what it knows, and the later word of the host holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from marshmallow import ValidationError, fields, validate
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.bookings import bookable_space as houses
from node.bookings import messages, outgoing
from node.bookings.models import Booking, Trip
from node.context import Node
from node.hub import service as sync
from node.hub.checkpoint import locked, memory
from node.members.models import Member
from node.passes import service as passes
from node.spaces.models import Space
from node.spaces.service import own_zone
from shared.base.schemas import WireSchema, moment
from shared.net.http import PeerError
from shared.store.db import release, write
from shared.wire.problems import Problem

log = structlog.get_logger()

TYP = "passerelle-recall+jwt"
TIMEOUT_SECONDS = 5.0
# What was over before that is history.
OVER = timedelta(days=2)
MOST = 2000
# Words of a host that keep a place, or say what became of it.
_KEPT = ("held", "confirmed", "waiting", "arrived", "no_show")
_WORDS = (*_KEPT, "cancelled", "lapsed")


class KnownBookingSchema(messages.RequestSchema, messages.WordSchema):
    """A booking, and the last word of its host."""

    action = fields.String(load_default="")
    state = fields.String(required=True, validate=validate.OneOf(_WORDS))
    asked_at = moment(required=True)


class RecalledSchema(WireSchema):
    trips = fields.List(
        fields.Nested(KnownBookingSchema),
        required=True,
        metadata={"description": "What our members have at your spaces."},
    )
    bookings = fields.List(
        fields.Nested(KnownBookingSchema),
        required=True,
        metadata={"description": "What your members have at ours."},
    )


_recalled = RecalledSchema()


def answer(session: Session, node: Node, token: str) -> dict[str, Any]:
    """Tell a partner what we know: our ``trips`` to it, and the ``bookings`` of its members.

    Raises Problem.
    """
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    peer = messages.read_recall(known.trust, node, token, TYP)
    since = node.clock.now() - OVER
    ours = select(Trip).where(
        Trip.host_id == peer, Trip.ends_at > since, Trip.state.in_(_WORDS), Trip.revision > 0
    )
    theirs = select(Booking).where(Booking.home_id == peer, Booking.ends_at > since)
    found = {
        "trips": [
            _trip(session, node, row)
            for row in session.scalars(ours.order_by(Trip.ends_at).limit(MOST))
        ],
        "bookings": [
            {**_span(row), **messages.word_of(row), **_who(row)}
            for row in session.scalars(theirs.order_by(Booking.ends_at).limit(MOST))
        ],
    }
    loaded: dict[str, Any] = _recalled.load(found)
    return loaded


def _span(row: Booking | Trip) -> dict[str, Any]:
    return {
        "space": row.space_id,
        "room": row.room,
        "starts_at": row.starts_at.isoformat(),
        "ends_at": row.ends_at.isoformat(),
        "asked_at": row.asked_at.isoformat(),
    }


def _who(row: Booking) -> dict[str, Any]:
    return {
        "member": row.member,
        "given_name": row.given_name,
        "plan": row.plan,
        "passes": row.passes,
    }


def _trip(session: Session, node: Node, row: Trip) -> dict[str, Any]:
    valid = [p.id for p in passes.passes_of(session, row.member_id) if p.status == "valid"][:20]
    return {
        **_span(row),
        "id": row.id,
        "member": outgoing.name_at(node, row.member, row.host_id),
        "given_name": row.member.given_name,
        "plan": row.member.plan.plan_class,
        "passes": valid,
        "wait": row.wait,
        "state": row.state,
        "revision": row.revision,
        "held_until": row.held_until.isoformat() if row.held_until else None,
        "reason": row.reason,
        "late": False,
        "reasons": [],
        "closed": row.closed,
        "timezone": row.timezone,
    }


def ask_due(session: Session, node: Node) -> int:
    """Ask the partners that are still to be asked; return how many bookings were regained."""
    row, known = memory(session), sync.network(session, node)
    peers = list(row.to_ask) if row else []
    release(session)
    regained = 0
    for peer in peers:
        entry = known.trust.nodes.get(peer) if known else None
        if entry is not None and entry["state"] not in ("suspended", "left"):
            try:
                told = _ask(session, node, peer, entry["url"])
            except (PeerError, ValidationError) as error:
                release(session)
                log.info("bookings.not-recalled", peer=peer, reason=str(error)[:100])
                continue
            regained += _take(session, node, peer, told)
        _asked(session, peer)
    if regained:
        _note(session, regained)
    return regained


def _ask(session: Session, node: Node, peer: str, url: str) -> dict[str, Any]:
    own = sync.node_id(session)
    release(session)
    token = messages.sign(node, TYP, own, url, {})
    answered = node.peers.request(
        "POST", f"{url}/api/v1/bookings/recall", json={"request": token}, timeout=TIMEOUT_SECONDS
    )
    if answered.status == 404:  # one that does not know how to tell
        return {"trips": [], "bookings": []}
    if answered.status != 200:
        raise PeerError("status", str(answered.status))
    found: dict[str, Any] = _recalled.load(answered.json())
    return found


def _asked(session: Session, peer: str) -> None:
    with locked(session) as row:
        row.to_ask = [name for name in row.to_ask if name != peer]


def _note(session: Session, regained: int) -> None:
    """Add to what an admin is told was put right."""
    with locked(session) as row:
        if row.found is not None:
            row.found = {**row.found, "bookings": row.found.get("bookings", 0) + regained}


def _take(session: Session, node: Node, peer: str, told: Mapping[str, Any]) -> int:
    """Take over what a partner knows; return how many bookings changed here."""
    changed = sum(_take_booking(session, node, peer, item) for item in told["trips"])
    names = {
        outgoing.name_at(node, member, peer): member.id
        for member in session.scalars(select(Member))
    }
    release(session)
    for item in told["bookings"]:
        changed += _take_trip(session, node, peer, item, names.get(item["member"]))
    return changed


def _take_booking(session: Session, node: Node, home: str, told: Mapping[str, Any]) -> bool:
    """Take back what our word was on a place here; it holds although others asked since."""
    if session.get(Space, told["space"]) is None:
        return False
    word = _word(told, node.clock.now())
    try:
        with houses.locked(session, houses.find(session, node, told["space"])):
            row = session.get(Booking, told["id"])
            if row is None and told["state"] in _KEPT:
                session.add(Booking(**_row(told, home), **word))
            elif row is not None and row.home_id == home and told["revision"] > row.revision:
                for name, value in word.items():
                    setattr(row, name, value)
            else:
                return False
    except IntegrityError:  # it came by another way at the same moment
        return False
    return True


def _word(told: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Return a booking's columns that say what our last word on it was."""
    lapsed = told["state"] == "held" and (told["held_until"] is None or told["held_until"] <= now)
    return {
        "state": "lapsed" if lapsed else told["state"],
        "held_until": told["held_until"] if told["state"] == "held" and not lapsed else None,
        "reason": told["reason"],
        "revision": told["revision"],
        "told": told["revision"],
        "changed_at": now,
    }


def _row(told: Mapping[str, Any], home: str) -> dict[str, Any]:
    same = ("id", "room", "member", "given_name", "plan", "passes", "starts_at", "ends_at")
    kept = {name: told[name] for name in (*same, "asked_at")}
    return {**kept, "home_id": home, "space_id": told["space"]}


def _take_trip(
    session: Session, node: Node, host: str, told: Mapping[str, Any], member_id: int | None
) -> bool:
    """Take over a host's word on a booking of one of our members."""
    trip = session.get(Trip, told["id"])
    if trip is not None:
        if trip.host_id == host and told["revision"] > trip.revision:
            outgoing.take(session, node, told["id"], dict(told))
            return True
        return False
    if member_id is None:  # nobody that we know: the host expects them all the same
        log.warning("booking.of-nobody", booking=told["id"], host=host)
        return False
    names = ("id", "room", "starts_at", "ends_at", "state", "held_until", "reason", "revision")
    trip = Trip(
        member_id=member_id,
        host_id=host,
        space_id=told["space"],
        space_name=_name_of(session, node, host, told["space"]),
        timezone=told["timezone"] or str(own_zone(session)),
        codes=[],
        **{name: told[name] for name in (*names, "asked_at", "closed")},
    )
    try:
        with write(session):
            session.add(trip)
    except IntegrityError:  # it came by another way at the same moment
        return False
    return True


def _name_of(session: Session, node: Node, host: str, space_id: str) -> str:
    known = sync.network(session, node)
    entry = known.trust.nodes.get(host, {}) if known else {}
    names = {space["id"]: str(space["name"]) for space in entry.get("spaces", ())}
    return names.get(space_id, space_id)
