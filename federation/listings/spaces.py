"""One listed space by hand: edited, taken off the map, or known to have joined the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.listings.dry_run import others
from federation.listings.models import Listing, ListingChoice
from federation.listings.similarity import Index, Known, Like
from federation.listings.storing import show
from federation.nodes.models import Node
from federation.spaces.models import LISTED_PREFIX, Space
from shared.store.db import write
from shared.wire.problems import Problem

_HOPS = 5


def listed(session: Session, space_id: str) -> tuple[Space, Listing]:
    """Return a listed space, on the map or not. Raises Problem("not-found")."""
    space, listing = session.get(Space, space_id), session.get(Listing, space_id)
    if space is None or listing is None:
        raise Problem("not-found")
    return space, listing


@contextmanager
def _changing(session: Session, space_id: str) -> Iterator[tuple[Space, Listing]]:
    """Begin to change a listed space, its row locked. Raises Problem("not-found")."""
    with write(session):
        query = select(Space).where(Space.id == space_id).with_for_update(of=Space)
        space = session.scalars(query.execution_options(populate_existing=True)).first()
        listing = session.get(Listing, space_id, populate_existing=True)
        if space is None or listing is None:
            raise Problem("not-found")
        yield space, listing


def edit(
    session: Session, now: datetime, actor: str, space_id: str, edits: Mapping[str, Any]
) -> None:
    """Set what was edited by hand, in place of what was before: it stands over the source's facts.

    A field that is None is taken away. Raises Problem("not-found").
    """
    with _changing(session, space_id) as (space, listing):
        before = listing.edits
        if before == edits:
            return
        off = space.withdrawn_at
        listing.edits = dict(edits)
        show(space, listing, now)
        space.withdrawn_at = off
        audit(session, now, actor, "listing-edit", space_id, before=before, after=dict(edits))


def remove(session: Session, now: datetime, actor: str, account_id: int, space_id: str) -> None:
    """Take a listed space off the map; imports leave it off. Raises Problem("not-found")."""
    with _changing(session, space_id) as (space, _):
        if space.withdrawn_at is None:
            space.withdrawn_at = now
            _choose(session, now, account_id, space, "skip")
            audit(session, now, actor, "listing-remove", space_id, before="shown", after="removed")


def restore(session: Session, now: datetime, actor: str, space_id: str) -> None:
    """Put a listed space back on the map that was removed, or had become another by mistake."""
    with _changing(session, space_id) as (space, listing):
        if space.withdrawn_at is not None:
            before = {"became": listing.became_id}
            listing.became_id = None
            show(space, listing, now)
            session.execute(
                delete(ListingChoice).where(
                    ListingChoice.source_id == space.source_id,
                    ListingChoice.source_key == space.source_key,
                    ListingChoice.choice == "skip",
                )
            )
            audit(session, now, actor, "listing-restore", space_id, before=before, after="shown")


def become(session: Session, now: datetime, actor: str, space_id: str, new_id: str) -> None:
    """Say that a listed space is another one now: its address leads there. Raises Problem."""
    with _changing(session, space_id) as (space, listing):
        target = session.get(Space, new_id)
        if target is None or target.withdrawn_at is not None or new_id == space_id:
            raise Problem("conflict", "there is no such space on the map")
        if listing.became_id != new_id:
            before = listing.became_id
            listing.became_id = new_id
            space.withdrawn_at = space.withdrawn_at or now
            audit(session, now, actor, "listing-became", space_id, before=before, after=new_id)


def keep_apart(
    session: Session, now: datetime, actor: str, account_id: int, space_id: str, other_id: str
) -> None:
    """Say that a listed space and another are two, however alike. Raises Problem("not-found")."""
    with _changing(session, space_id) as (space, _):
        if session.get(Space, other_id) is None:
            raise Problem("not-found")
        before = _choose(session, now, account_id, space, "apart", other_id)
        audit(session, now, actor, "listing-apart", space_id, before=before, after=other_id)


def _choose(
    session: Session,
    now: datetime,
    account_id: int,
    space: Space,
    choice: str,
    other_id: str | None = None,
) -> str | None:
    """Note what was decided of a space's row; return which space an earlier choice was about."""
    key = space.source_id, space.source_key
    row = session.get(ListingChoice, key)
    before = row.space_id if row is not None else None
    if row is None:
        row = ListingChoice(source_id=space.source_id, source_key=space.source_key)
        session.add(row)
    row.choice, row.space_id = choice, other_id
    row.chosen_by, row.chosen_at = account_id, now
    return before


def now_at(session: Session, space_id: str) -> str | None:
    """Return the space that a listed one became, as long as that one is on the map."""
    if not space_id.startswith(LISTED_PREFIX):
        return None
    for _ in range(_HOPS):  # it may have become another listed one first
        listing = session.get(Listing, space_id)
        if listing is None or listing.became_id is None:
            return None
        space_id = listing.became_id
        query = (
            select(Space.id)
            .outerjoin(Node, Node.id == Space.node_id)
            .where(Space.id == space_id, Space.withdrawn_at.is_(None))
            .where(or_(Node.id.is_(None), Node.state != "left"))
        )
        if session.scalar(query):
            return space_id
    return None


def joined(session: Session) -> list[tuple[Known, Like]]:
    """Return listed spaces that seem to have joined the network: each with what it may be now.

    What was said to be apart is left out.
    """
    spaces = others(session, None, set())
    network = Index(space for space in spaces if not space.listed)
    query = (
        select(Space.id, ListingChoice.space_id)
        .join(
            ListingChoice,
            and_(
                ListingChoice.source_id == Space.source_id,
                ListingChoice.source_key == Space.source_key,
            ),
        )
        .where(ListingChoice.choice == "apart")
    )
    apart = {(listed_id, other_id) for listed_id, other_id in session.execute(query)}
    return [
        (space, like)
        for space in spaces
        if space.listed
        for like in network.like(space)
        if (space.id, like.space.id) not in apart
    ]
