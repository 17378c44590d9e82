"""A publication as named documents, each with its hash: what is unchanged is not sent again.

``operator`` says who publishes; each space has a few documents by subject, named
``<space>/<subject>``. Fields that no subject names are the sheet’s.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import fields, validate

from charter.canonical import canonical
from shared.base.schemas import WireSchema, text

DOCUMENTS_TYP = "passerelle-documents+jwt"
OPERATOR = "operator"
SHEET = "sheet"
SUBJECTS: dict[str, tuple[str, ...]] = {
    "hours": (
        *("timezone", "week", "exceptions", "occasions", "capacities", "opening_hours", "until"),
    ),
    "conditions": ("guest_cap", "conditions", "paused"),
    "rooms": ("rooms",),
    "prices": ("prices",),
    "offer": ("services", "values", "stories", "assessments"),
    "events": ("events",),
}
_SUBJECT_OF = {field: subject for subject, fields_ in SUBJECTS.items() for field in fields_}
MOST_DOCUMENTS = 2000


def split(
    name: str, plans: Mapping[str, Any], spaces: Iterable[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the documents of an operator and its spaces, by name."""
    found: dict[str, dict[str, Any]] = {OPERATOR: {"name": name, "plans": dict(plans)}}
    for space in spaces:
        for subject in (SHEET, *SUBJECTS):
            found[f"{space['id']}/{subject}"] = {}
        for field, value in space.items():
            found[f"{space['id']}/{_SUBJECT_OF.get(field, SHEET)}"][field] = value
    return found


def space_of(name: str) -> str | None:
    """Return the id of the space that a document is about; None for the operator's own."""
    space, slash, _ = name.partition("/")
    return space if slash else None


def fingerprint(body: Any) -> str:
    """Return the SHA-256 (hex) of a document as canonical JSON (RFC 8785).

    Raises ValueError for what has no canonical form: half a surrogate pair, or a number that
    programs do not read alike.
    """
    return hashlib.sha256(canonical(body)).hexdigest()


def index_hash(hashes: Mapping[str, str]) -> str:
    """Return the hash of a whole publication, made of its documents' hashes by name: its ETag."""
    return fingerprint(dict(hashes))


class EntrySchema(WireSchema):
    """What the index says of one document."""

    sha256 = fields.String(required=True, validate=validate.Regexp(r"^[0-9a-f]{64}\Z"))
    version = fields.Integer(required=True, validate=validate.Range(1, 2**31 - 1))


def _name() -> fields.String:
    return fields.String(validate=validate.Regexp(r"^(operator|[a-z0-9-]{1,64}/[a-z_]{1,20})\Z"))


def index_field(**kwargs: Any) -> fields.Dict:
    """Return the field that has every document's hash and version, by name."""
    return fields.Dict(
        keys=_name(),
        values=fields.Nested(EntrySchema),
        validate=validate.Length(max=MOST_DOCUMENTS),
        metadata={"description": "Every document's hash and version, by name."},
        **kwargs,
    )


class DocumentsSchema(WireSchema):
    """What a node sends when some of its documents changed: the index of all, and those."""

    iss = text(64)
    iat = fields.Integer(required=True)
    revision = fields.Integer(required=True, validate=validate.Range(0, 2**31 - 1))
    documents = index_field(required=True)
    bodies = fields.Dict(
        keys=_name(), values=fields.Dict(), required=True, validate=validate.Length(max=2000)
    )
