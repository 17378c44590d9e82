"""What a member is told of bookings by e-mail, in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from node.bookings.labels import words_of
from node.bookings.models import Trip
from node.context import Node
from node.mail.service import mailbox
from shared.mail.letters import letter

# What is worth a message: the state it is now in, and those that it came from.
_WORTH = {
    "confirmed": None,
    "held": ("waiting",),
    "cancelled": ("held", "confirmed", "waiting"),
    "no_show": None,
}


def tell_member(
    session: Session, node: Node, trip: Trip, before: str, was_closed: Sequence[str]
) -> None:
    """Queue a message about what the host said, if it is one that the member does not expect."""
    came_from = _WORTH.get(trip.state, ())
    if before != trip.state and (came_from is None or before in came_from):
        _queue(session, node, trip, trip.state)
    elif trip.state in ("held", "confirmed", "waiting") and list(was_closed) != trip.closed:
        _queue(session, node, trip, "closed" if trip.closed else "open")


def tell_ended(session: Session, node: Node, trip: Trip) -> None:
    """Queue a message that a booking is called off because of the subscription."""
    _queue(session, node, trip, "ended")


def _queue(session: Session, node: Node, trip: Trip, what: str) -> None:
    url = f"{node.url}/bookings/{trip.id}"
    subject, text = letter(
        "bookings/mail/news.txt", trip=trip, what=what, url=url, words_of=words_of
    )
    key = f"trip:{trip.id}:{what}:{trip.revision}"
    mailbox.queue(session, node.settings, key, trip.member.account.email, subject, text)
