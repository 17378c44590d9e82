"""The agenda as open data: JSON, page by page."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from marshmallow import ValidationError, fields, validate

from federation.context import hub
from federation.db import db
from federation.public import agenda
from federation.search.api import LICENCE
from shared.base.schemas import EARLIEST, LATEST, WireSchema
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.open_data import open_data
from shared.web.paging import page_limit, page_of
from shared.wire.events import OPEN_TO

blp = Blueprint("events", __name__, url_prefix="/api/v1", description="The network’s agenda")

MOST_WORDS = 100


def _day(key: str, description: str) -> fields.Date:
    return fields.Date(
        data_key=key,
        load_default=None,
        validate=validate.Range(EARLIEST.date(), LATEST.date()),
        metadata={"description": description},
    )


class WantedSchema(WireSchema):
    """What of the agenda is asked for; the same at ``/agenda`` and ``/agenda.ics``."""

    first = _day("from", "A day, in each space’s own time; without it, what is not over.")
    last = _day("to", "The last day.")
    words = fields.String(
        data_key="q",
        load_default="",
        validate=validate.Length(max=MOST_WORDS),
        metadata={"description": "Beginnings of words of the event, its space or its town."},
    )
    town = fields.String(load_default="", validate=validate.Length(max=MOST_WORDS))
    open_to = fields.String(load_default="", validate=validate.OneOf(["", *OPEN_TO]))
    space = fields.String(load_default="", validate=validate.Length(max=64))
    near = fields.String(load_default="", metadata={"description": "latitude,longitude"})
    radius_km = fields.Float(load_default=20.0, validate=validate.Range(0.1, 1000.0))


class EventsQuerySchema(WantedSchema):
    limit = page_limit(100)
    cursor = agenda.PAGING.field


EventsSchema = page_of("Events", fields.Dict(), licence=fields.String(required=True))


def wanted_of(query: dict[str, Any]) -> agenda.Filters:
    """Return what a loaded query asks for. Raises ValidationError."""
    names = ("first", "last", "words", "town", "open_to", "space", "radius_km")
    return agenda.Filters(**{name: query[name] for name in names}, near=_place(query["near"]))


def _place(text: str) -> tuple[float, float] | None:
    if not text:
        return None
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        latitude = longitude = 999.0
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValidationError({"near": ["Two numbers are expected: latitude,longitude."]})
    return latitude, longitude


@blp.route("/events")
@blp.arguments(EventsQuerySchema, location="query")
@blp.response(200, EventsSchema)
@allow("public")
def list_events(query: dict[str, Any]) -> Response:
    """The events of all spaces, in the order in which they begin."""
    rows, following = agenda.page(
        db.session(),
        wanted_of(query),
        hub().clock.now(),
        after=query["cursor"],
        limit=query["limit"],
    )
    items = [agenda.to_dict(row, hub().url) for row in rows]
    body = {"items": items, "next_cursor": following, "licence": LICENCE}
    return open_data(orjson.dumps(body), "application/json", seconds=60)
