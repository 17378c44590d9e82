"""Bookings that a member has no right to any more: the subscription ends, or is suspended.

However that came about (a page, a list that was imported, the day itself), it is seen here.
"""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from node.bookings import member_mail, outgoing
from node.bookings.entitlement import ended
from node.bookings.models import Trip
from node.context import Node
from node.hub.departures import is_after
from node.members.models import Member
from shared.store.db import release, write


def end_due(session: Session, node: Node) -> None:
    """Call off what was booked beyond a subscription, and tell the member. Safe to repeat."""
    query = (
        select(Trip.id)
        .join(Member)
        .where(
            Trip.ends_at > node.clock.now(),
            Trip.state.in_(outgoing.LIVE),
            Trip.state != "cancelling",
            or_(Member.suspended_at.is_not(None), Member.ended_on.is_not(None)),
        )
    )
    due = list(session.scalars(query))
    release(session)
    for trip_id in due:
        with write(session):
            trip = session.get_one(Trip, trip_id, with_for_update=True)
            reason = _why(trip)
            if reason is None or trip.state not in outgoing.LIVE:
                continue
            trip.state, trip.codes, trip.reason = "cancelling", [reason], ""
            trip.attempts, trip.next_attempt_at = 0, node.clock.real()
            member_mail.tell_ended(session, node, trip)
        outgoing.send(session, node, trip_id)


def _why(trip: Trip) -> dict[str, Any] | None:
    member = trip.member
    if member.suspended_at is not None:
        return {"code": "subscription_suspended"}
    if is_after(trip.ends_at, ZoneInfo(trip.timezone), member.ended_on):
        return ended(member)
    return None
