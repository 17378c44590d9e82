"""What a space's node says of its free places: short-lived, and apart from what the space is."""

from __future__ import annotations

from marshmallow import fields, validate

from shared.base.schemas import SPACE_ID, WireSchema, moment

# For how long it holds when nothing more is heard, and how often it is said again unchanged.
TTL_SECONDS = 300
SAY_AGAIN_SECONDS = 60
MOST_PLACES = 100_000


class SpaceAvailabilitySchema(WireSchema):
    id = fields.String(required=True, validate=[SPACE_ID, validate.Length(max=64)])
    open = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "null: hours are not known."}
    )
    paused = fields.Boolean(
        required=True, metadata={"description": "Nobody new from other spaces is admitted today."}
    )
    guest_places = fields.Integer(
        required=True,
        validate=validate.Range(0, MOST_PLACES),
        metadata={"description": "For members of other spaces, today."},
    )
    guest_places_free = fields.Integer(
        required=True,
        validate=validate.Range(0, MOST_PLACES),
        metadata={"description": "Of these, neither taken nor kept for who has booked."},
    )


class AvailabilitySchema(WireSchema):
    """The free places of a node’s spaces at one moment; counts, and nothing about anybody."""

    as_of = moment(required=True)
    ttl = fields.Integer(
        required=True,
        validate=validate.Range(10, 900),
        metadata={"description": "Seconds after which it is not known any more."},
    )
    spaces = fields.List(
        fields.Nested(SpaceAvailabilitySchema), required=True, validate=validate.Length(max=200)
    )
