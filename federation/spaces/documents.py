"""One document of a publication: what is wrong with it, and the space that accepted ones make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError

from federation.spaces.models import LISTED_PREFIX, Document
from shared.wire.documents import OPERATOR, SHEET, space_of
from shared.wire.spaces import PublicationSchema, SpaceSchema

_operator = PublicationSchema(only=("name", "plans"))
_space = SpaceSchema()
# One subject's fields alone; within them nothing that is required may be missing.
_subject = SpaceSchema(partial=tuple(_space.fields))


def faults(name: str, body: Mapping[str, Any], taken: set[str]) -> dict[str, Any]:
    """Return what is wrong with a document, by field; ``taken`` are other nodes' spaces."""
    space_id = space_of(name)
    if space_id in taken and space_id.startswith(LISTED_PREFIX):
        return {"id": ["Ids that begin with listed- are those of spaces without a node."]}
    if space_id in taken:
        return {"id": ["This space already belongs to another node."]}
    try:
        if name == OPERATOR:
            _operator.load(body)
        elif name != f"{space_id}/{SHEET}":
            _subject.load(body)
        elif _space.load(body)["id"] != space_id:
            return {"id": ["The document’s name says another space."]}
    except ValidationError as error:
        return dict(error.normalized_messages())
    return {}


def compose(rows: Iterable[Document]) -> dict[str, Any] | None:
    """Return the space that its accepted documents make; None while they make none."""
    merged: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: row.name):
        merged.update(row.body or {})
    try:
        return dict(_space.load(merged))
    except ValidationError:  # its sheet was never accepted
        return None


def verdict(row: Document) -> dict[str, Any]:
    """Return what the hub says of a document to the node that published it."""
    if row.refused:
        return {"state": "refused", **row.refused}
    return {
        "state": "accepted",
        "sha256": row.sha256,
        "version": row.version,
        "at": row.accepted_at.isoformat() if row.accepted_at else None,
        "errors": {},
    }
