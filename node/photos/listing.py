"""The photos of a space, and how they are published."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.photos.files import name
from node.photos.models import Photo
from node.photos.pictures import LARGE, SMALL


def photos(session: Session, space_id: str) -> list[Photo]:
    query = select(Photo).where(Photo.space_id == space_id)
    return list(session.scalars(query.order_by(Photo.place, Photo.id)))


def published(session: Session, space_id: str, node_url: str) -> list[dict[str, Any]]:
    """Return a space's photos as its document has them: those that say what they show."""
    return [
        {
            "url": f"{node_url}/photos/{name(photo.id, LARGE)}",
            "thumbnail": f"{node_url}/photos/{name(photo.id, SMALL)}",
            "alt_fr": photo.alt_fr,
            "alt_en": photo.alt_en,
            "credit": photo.credit,
            "width": photo.width,
            "height": photo.height,
        }
        for photo in photos(session, space_id)
        if photo.alt_fr
    ]
