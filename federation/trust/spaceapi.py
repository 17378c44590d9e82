"""What SpaceAPI, version 15, asks of the parts of its document that directories look at."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from shared.base.schemas import WireSchema

VERSION = "15"


INTERVALS = ("yearly", "quarterly", "monthly", "weekly", "daily", "hourly", "other")


def _text() -> fields.String:
    return fields.String(required=True)


class LocationSchema(WireSchema):
    address = fields.String()
    lat = fields.Float(validate=validate.Range(-90, 90))
    lon = fields.Float(validate=validate.Range(-180, 180))
    timezone = fields.String()


class StateSchema(WireSchema):
    open = fields.Boolean()
    lastchange = fields.Float()


class PlanSchema(WireSchema):
    name = _text()
    value = fields.Float(required=True)
    currency = _text()
    billing_interval = fields.String(required=True, validate=validate.OneOf(INTERVALS))


class LinkSchema(WireSchema):
    name = _text()
    url = _text()


class CalendarSchema(WireSchema):
    type = fields.String()
    url = _text()


class FeedsSchema(WireSchema):
    calendar = fields.Nested(CalendarSchema)


class SpaceApiSchema(WireSchema):
    api_compatibility = fields.List(fields.String(), required=True)
    space = _text()
    logo = _text()
    url = _text()
    contact = fields.Dict(required=True)
    location = fields.Nested(LocationSchema)
    state = fields.Nested(StateSchema)
    membership_plans = fields.List(fields.Nested(PlanSchema))
    links = fields.List(fields.Nested(LinkSchema))
    feeds = fields.Nested(FeedsSchema)


_schema = SpaceApiSchema()


def faults(document: Any) -> dict[str, Any]:
    """Return what is wrong with a SpaceAPI document, by field; nothing when it is as required."""
    try:
        found = _schema.load(document)
    except ValidationError as error:
        return dict(error.normalized_messages())
    if VERSION not in found["api_compatibility"]:
        return {"api_compatibility": ["Must be one of: 15."]}
    return {}
