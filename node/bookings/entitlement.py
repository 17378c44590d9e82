"""What a member may book: within the subscription, and within the charter's half-days."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Charter
from charter.bookings import beyond, left_unasked
from charter.halfdays import touched
from charter.hours import Schedule, read_schedule
from node.bookings import half_days
from node.bookings.models import Trip
from node.bookings.occupancy import Span
from node.bookings.rules import OF_THE_DAY
from node.context import Node
from node.hub import service as sync
from node.hub.departures import is_after
from node.members.models import Member
from node.passes.rights import rights
from node.publication import partner_documents
from node.spaces.service import own_zone
from shared.wire.problems import Problem

# What is booked and will be used; who waits has no place yet.
KEPT = ("asking", "confirming", "held", "confirmed", "arrived")


@dataclass(frozen=True, slots=True)
class _Asked:
    """A booking that is asked for; ``trip_id`` is its own where it is there already."""

    member: Member
    space_id: str
    schedule: Schedule
    span: Span
    trip_id: str | None


def check(
    session: Session,
    node: Node,
    member: Member,
    host_id: str,
    space_id: str,
    span: Span,
    trip_id: str | None = None,
) -> list[str]:
    """Return the half-days that a booking uses, by the space's published hours.

    Raises Problem("booking-refused") where the subscription is over by then, or the charter says
    no. Where the hub is silent the host decides with what it knows, and the door decides all of it.
    """
    member_id = member.id
    schedule = _schedule(session, node, space_id)
    member = session.get_one(Member, member_id)
    asked = _Asked(member, space_id, schedule, span, trip_id)
    over = is_after(span[1], schedule.zone, member.ended_on)
    reasons = [ended(member)] if over else []
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    split = known.charter.rules.opening_hours.split
    if host_id != sync.node_id(session) and not reasons:
        used = touched(schedule, *span, split)
        firsts: dict[str, datetime] = {}
        for half, moment in sorted(used.items()):
            firsts.setdefault(half.month, moment)
        for at in firsts.values() or [span[0]]:
            reasons += _of_month(session, node, known.charter, asked, at)
    if reasons:
        raise Problem("booking-refused", reasons=list({r["code"]: r for r in reasons}.values()))
    return half_days.codes(schedule, *span, split)


def _schedule(session: Session, node: Node, space_id: str) -> Schedule:
    document = partner_documents.sheet(session, node, space_id)
    return read_schedule(document or {"timezone": str(own_zone(session))})


def ended(member: Member) -> dict[str, Any]:
    """Return the reason that a subscription is over by then."""
    return {"code": "subscription_ends", "params": {"last_day": str(member.ended_on)}}


def _of_month(
    session: Session, node: Node, charter: Charter, asked: _Asked, at: datetime
) -> list[dict[str, Any]]:
    """Return what the charter says against a booking's part of one month, which begins ``at``."""
    left = left_unasked(charter.rules, asked.member.plan.half_days_per_month)
    try:
        found = rights(session, node, asked.member, "fr", asked.space_id, at)
    except Problem as problem:
        if problem.slug != "hub-unreachable":
            raise
    else:
        reasons = [
            reason
            for item in found
            for reason in item["decision"]["reasons"]
            if reason["code"] not in OF_THE_DAY
        ]
        if reasons:
            return reasons
        left = found[0]["decision"]["terms"]["half_days_left"] if found else left
    split = charter.rules.opening_hours.split
    first = half_days.code_at(asked.schedule, at, split)
    month = first[:7]
    wanted = half_days.by_month(half_days.codes(asked.schedule, *asked.span, split))
    mine = wanted.get(month, {first})
    booked = _booked(session, node, asked, month, split)
    against = beyond(charter.rules, asked.space_id, mine, booked, left)
    return [reason.to_json("fr") for reason in against]


def _booked(
    session: Session, node: Node, asked: _Asked, month: str, split: time
) -> set[tuple[str, str]]:
    """Return the half-days that the member's other bookings elsewhere will use in a month.

    What is under way was counted as visits come, so that only what follows is added.
    """
    own, now = sync.node_id(session), node.clock.now()
    query = select(Trip).where(
        Trip.member_id == asked.member.id,
        Trip.state.in_(KEPT),
        Trip.host_id != own,
        Trip.ends_at > now,
        Trip.id != (asked.trip_id or ""),
    )
    found = set()
    for trip in session.scalars(query):
        hours = read_schedule({"timezone": trip.timezone})
        today = now.astimezone(hours.zone).date()
        unnoted = half_days.codes(hours, trip.starts_at, trip.ends_at, split)
        for code in trip.half_days or unnoted:
            ahead = trip.starts_at > now or half_days.day_of(code) > today
            if code[:7] == month and ahead:
                found.add((trip.space_id, code))
    return found
