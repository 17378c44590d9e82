"""What a member is told of her bookings by e-mail, in the transaction that changes them."""

from __future__ import annotations

from sqlalchemy.orm import Session

from node.bookings.models import Trip
from node.context import Node
from node.mail.service import mailbox
from shared.web.letters import letter

# What is worth a message: the state it is now in, and those that it came from.
_WORTH = {
    "confirmed": None,
    "held": ("waiting",),
    "cancelled": ("held", "confirmed", "waiting"),
    "no_show": None,
}


def tell_member(session: Session, node: Node, trip: Trip, before: str) -> None:
    """Queue a message about what the host said, if it is one that she does not expect."""
    came_from = _WORTH.get(trip.state, ())
    if before == trip.state or (came_from is not None and before not in came_from):
        return
    subject, text = letter(
        "bookings/mail/news.txt", trip=trip, url=f"{node.url}/bookings/{trip.id}"
    )
    key = f"trip:{trip.id}:{trip.state}:{trip.revision}"
    mailbox.queue(session, node.settings, key, trip.member.account.email, subject, text)
