"""A host's word on what changed in bookings here, told to the homes."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.bookings import messages, outgoing
from node.bookings.models import Booking
from node.context import Node
from node.hub import service as sync
from shared.net.http import PeerError
from shared.store.db import release, write
from shared.store.outbox import next_attempt


def tell_homes(session: Session, node: Node) -> None:
    """Tell each home what changed here since it was last told.

    A home that does not answer is asked once a round: the others do not wait for it.
    """
    now = node.clock.real()
    query = select(Booking.id, Booking.home_id).where(
        Booking.told < Booking.revision,
        (Booking.next_attempt_at.is_(None)) | (Booking.next_attempt_at <= now),
    )
    due = session.execute(query.order_by(Booking.changed_at).limit(100)).all()
    release(session)
    silent = set[str]()
    for booking_id, home_id in due:
        revision, taken = None, False
        if home_id not in silent:
            revision, taken = _tell(session, node, booking_id)
        if not taken:
            silent.add(home_id)
        _note(session, node, booking_id, revision if taken else None)


def _tell(session: Session, node: Node, booking_id: str) -> tuple[int, bool]:
    """Return the revision that was told, and whether the home has taken it."""
    row, own = session.get_one(Booking, booking_id), sync.node_id(session)
    word, home, known = messages.word_of(row), row.home_id, sync.network(session, node)
    revision = row.revision
    entry = known.trust.nodes.get(home) if known else None
    release(session)
    if home == own:
        outgoing.take(session, node, booking_id, messages.load_word(word))
        return revision, True
    if entry is None or entry["state"] == "left":  # nobody is there to be told
        return revision, True
    if entry["state"] == "suspended":  # it is told once it is back
        return revision, False
    token = messages.sign(node, messages.WORD_TYP, own, entry["url"], word)
    url = f"{entry['url']}/api/v1/trips/{booking_id}"
    try:
        answer = node.peers.request(
            "PUT", url, json={"word": token}, timeout=outgoing.TIMEOUT_SECONDS
        )
    except PeerError:
        return revision, False
    return revision, answer.status in (200, 404, 422)


def _note(session: Session, node: Node, booking_id: str, revision: int | None) -> None:
    with write(session):
        row = session.get_one(Booking, booking_id, with_for_update=True)
        if revision is not None:
            row.told = max(row.told, revision)
        else:
            row.attempts += 1
            row.next_attempt_at = next_attempt(node.clock.real(), row.attempts)
