"""Adding photos, saying what they show, their order, and removing them; published at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from secrets import token_hex

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.photos import files
from node.photos.listing import photos
from node.photos.models import Photo
from node.photos.pictures import Picture
from node.spaces import service as spaces
from node.spaces.models import Space
from shared.store.db import begin_write
from shared.wire.problems import Problem
from shared.wire.spaces import MOST_PHOTOS


def find(session: Session, space_id: str, photo_id: str) -> Photo:
    """Return one photo of a space. Raises Problem("not-found")."""
    row = session.get(Photo, photo_id)
    if row is None or row.space_id != space_id:
        raise Problem("not-found")
    return row


def add(session: Session, node: Node, space_id: str, pictures: Sequence[Picture]) -> None:
    """Add photos after those there are: all of them or none. Raises Problem.

    They are published once it is said what they show. The files are written first: what a crash
    leaves of them is swept away later.
    """
    _begin(session, space_id)
    held = photos(session, space_id)
    if len(held) + len(pictures) > MOST_PHOTOS:
        session.rollback()
        raise Problem("conflict", "a space has at most 12 photos: remove one first")
    after = max((photo.place for photo in held), default=0)
    written: list[str] = []
    try:
        for place, picture in enumerate(pictures, after + 1):
            photo_id = token_hex(16)
            written.append(photo_id)
            files.write(node.settings.data_dir, photo_id, picture)
            session.add(
                Photo(
                    id=photo_id,
                    space_id=space_id,
                    place=place,
                    width=picture.width,
                    height=picture.height,
                    created_at=node.clock.now(),
                )
            )
        session.commit()
    except Exception as error:
        session.rollback()
        for photo_id in written:
            files.remove(node.settings.data_dir, photo_id)
        if isinstance(error, OSError):
            raise Problem(
                "unavailable", "the pictures cannot be stored: is the disk full?"
            ) from None
        raise


def _begin(session: Session, space_id: str) -> None:
    """Start writing; whoever else changes this space's photos waits. Raises Problem."""
    begin_write(session)
    query = select(Space.id).where(Space.id == space_id).with_for_update()
    if session.scalar(query) is None:
        session.rollback()
        raise Problem("not-found")


def describe(
    session: Session, node: Node, space_id: str, photo_id: str, values: Mapping[str, str]
) -> None:
    """Say what a photo shows, and whose it is. Raises Problem."""
    _begin(session, space_id)
    row = find(session, space_id, photo_id)
    for name, value in values.items():
        setattr(row, name, value)
    _publish(session, node)


def move(session: Session, node: Node, space_id: str, photo_id: str, *, up: bool) -> None:
    """Put a photo one place up or down; at the end of the list nothing happens. Raises Problem."""
    _begin(session, space_id)
    find(session, space_id, photo_id)
    order = photos(session, space_id)
    before = next(n for n, photo in enumerate(order) if photo.id == photo_id)
    after = before + (-1 if up else 1)
    if 0 <= after < len(order):
        order.insert(after, order.pop(before))
    for place, photo in enumerate(order, 1):
        photo.place = place
    _publish(session, node)


def remove(session: Session, node: Node, space_id: str, photo_id: str) -> None:
    """Remove a photo, then its files. Raises Problem."""
    _begin(session, space_id)
    session.delete(find(session, space_id, photo_id))
    _publish(session, node)
    files.remove(node.settings.data_dir, photo_id)


def _publish(session: Session, node: Node) -> None:
    spaces.queue_publication(session, node)
    session.commit()


def sweep(session: Session, node: Node) -> None:
    """Remove files that no photo has any more, or never came to have."""
    known = set(session.scalars(select(Photo.id)))
    session.rollback()
    files.sweep(node.settings.data_dir, known)
