"""Adding photos, saying what they show, their order, and removing them; published at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from shared.store.db import release, write
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
    written: list[str] = []
    try:
        with _locked(session, space_id):
            first = _first_place(photos(session, space_id), len(pictures))
            for place, picture in enumerate(pictures, first):
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
    except Exception as error:
        for photo_id in written:
            files.remove(node.settings.data_dir, photo_id)
        if isinstance(error, OSError):
            raise Problem(
                "unavailable", "the pictures cannot be stored: is the disk full?"
            ) from None
        raise


def _first_place(held: Sequence[Photo], more: int) -> int:
    """Return the place of the first of some more photos. Raises Problem for too many."""
    if len(held) + more > MOST_PHOTOS:
        raise Problem("conflict", "a space has at most 12 photos: remove one first")
    return max((photo.place for photo in held), default=0) + 1


@contextmanager
def _locked(session: Session, space_id: str) -> Iterator[None]:
    """Write; whoever else changes this space's photos waits. Raises Problem."""
    with write(session):
        query = select(Space.id).where(Space.id == space_id).with_for_update()
        if session.scalar(query) is None:
            raise Problem("not-found")
        yield


def describe(
    session: Session, node: Node, space_id: str, photo_id: str, values: Mapping[str, str]
) -> None:
    """Say what a photo shows, and whose it is. Raises Problem."""
    with _locked(session, space_id):
        row = find(session, space_id, photo_id)
        for name, value in values.items():
            setattr(row, name, value)
        spaces.queue_publication(session, node)


def move(session: Session, node: Node, space_id: str, photo_id: str, *, up: bool) -> None:
    """Put a photo one place up or down; at the end of the list nothing happens. Raises Problem."""
    with _locked(session, space_id):
        find(session, space_id, photo_id)
        order = photos(session, space_id)
        before = next(n for n, photo in enumerate(order) if photo.id == photo_id)
        after = before + (-1 if up else 1)
        if 0 <= after < len(order):
            order.insert(after, order.pop(before))
        for place, photo in enumerate(order, 1):
            photo.place = place
        spaces.queue_publication(session, node)


def remove(session: Session, node: Node, space_id: str, photo_id: str) -> None:
    """Remove a photo, then its files. Raises Problem."""
    with _locked(session, space_id):
        session.delete(find(session, space_id, photo_id))
        spaces.queue_publication(session, node)
    files.remove(node.settings.data_dir, photo_id)


def sweep(session: Session, node: Node) -> None:
    """Remove files that no photo has any more, or never came to have."""
    known = set(session.scalars(select(Photo.id)))
    release(session)
    files.sweep(node.settings.data_dir, known)
