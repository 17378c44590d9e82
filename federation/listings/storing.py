"""Writing what is said of listed spaces into their rows, within the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.listings import document
from federation.listings.dry_run import Line
from federation.listings.models import Listing, ListingChoice
from federation.spaces.models import Space


def store(session: Session, now: datetime, source_id: int, batch: Sequence[Line]) -> None:
    """Make a source's spaces what its rows say; rows are known by their keys.

    What somebody took off the map since the trial stays off.
    """
    keys = [line.key for line in batch]
    query = (
        select(Space, Listing)
        .join(Listing, Listing.space_id == Space.id)
        .where(Space.source_id == source_id, Space.source_key.in_(keys))
        .with_for_update(of=Space)
    )
    held = {space.source_key: (space, listing) for space, listing in session.execute(query)}
    off = _skipped(session, source_id, keys)
    for line in batch:
        if line.key in held:
            space, listing = held[line.key]
            listing.facts = dict(line.facts)
            if line.key not in off and listing.became_id is None:
                show(space, listing, now)
    new = [line for line in batch if line.key not in held and line.key not in off]
    ids = [document.space_id(source_id, line.key, line.name) for line in new]
    session.add_all(
        Space(
            id=listed_id,
            source_id=source_id,
            source_key=line.key,
            published_at=now,
            **document.columns(listed_id, line.facts),
        )
        for listed_id, line in zip(ids, new, strict=True)
    )
    session.flush()
    session.add_all(
        Listing(space_id=listed_id, facts=dict(line.facts), edits={})
        for listed_id, line in zip(ids, new, strict=True)
    )


def _skipped(session: Session, source_id: int, keys: Sequence[str]) -> set[str]:
    query = select(ListingChoice.source_key).where(
        ListingChoice.source_id == source_id,
        ListingChoice.source_key.in_(keys),
        ListingChoice.choice == "skip",
    )
    return set(session.scalars(query))


def show(space: Space, listing: Listing, now: datetime) -> None:
    """Make a listed space what its facts and edits say, and put it on the map."""
    values = document.columns(space.id, document.merged(listing.facts, listing.edits))
    if space.document != values["document"] or space.withdrawn_at is not None:
        space.published_at = now
    for name, value in values.items():
        setattr(space, name, value)
    space.withdrawn_at = None
