"""The open data of spaces: JSON, GeoJSON, CSV, and a directory of SpaceAPI addresses."""

from __future__ import annotations

import csv
import io
from itertools import islice
from typing import Any

import orjson
from flask import Response
from marshmallow import ValidationError, fields, validate

from federation.context import hub
from federation.db import db
from federation.directory import presenter, search, service
from shared.schemas import WireSchema, moment
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.open_data import open_data

blp = Blueprint("spaces", __name__, url_prefix="/api/v1", description="Spaces, for everybody")

LICENCE = "Licence Ouverte 2.0"
# A check-in is in these within two seconds.
KEPT_SECONDS = 1


EXAMPLE = {
    "items": [
        {
            "id": "troquet-numerique",
            "name": "Troquet numérique",
            "town": "Bourgoin-Jallieu",
            "latitude": 45.586,
            "longitude": 5.274,
            "open": True,
            "closes_at": "2026-11-24T19:00:00+01:00",
            "opens_at": None,
            "availability": {
                "guest_places": 5,
                "guest_places_free": 4,
                "paused": False,
                "state": "known",
                "as_of": "2026-11-24T10:00:00+01:00",
                "ttl": 300,
            },
            "url": "https://hub.example.org/spaces/troquet-numerique",
        }
    ],
    "next_cursor": None,
    "licence": LICENCE,
}


class SpacesQuerySchema(WireSchema):
    bbox = fields.String(metadata={"description": "west,south,east,north in degrees"})
    q = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata={"description": "Beginnings of words of the name or the town; accents aside."},
    )
    service = fields.String(load_default="", validate=validate.Length(max=120))
    value = fields.String(load_default="", validate=validate.Length(max=120))
    open_at = moment(
        load_default=None,
        metadata={"description": "Known to be open then. A plus sign is written %2B."},
    )
    seats = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 10_000),
        metadata={"description": "So many guest places are known to be free now."},
    )
    near = fields.String(metadata={"description": "latitude,longitude; the nearest come first."})
    radius_km = fields.Float(load_default=20.0, validate=validate.Range(0.1, 1000.0))
    limit = fields.Integer(load_default=500, validate=validate.Range(1, 1000))
    cursor = fields.String(load_default="", validate=validate.Length(max=64))


class SpacesSchema(WireSchema):
    items = fields.List(fields.Dict(), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    licence = fields.String(required=True)


def _box(text_: str | None) -> tuple[float, float, float, float] | None:
    if not text_:
        return None
    try:
        west, south, east, north = (float(part) for part in text_.split(","))
    except ValueError:
        raise ValidationError(
            {"bbox": ["Four numbers are expected: west,south,east,north."]}
        ) from None
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ValidationError(
            {"bbox": ["These are not degrees in the order west,south,east,north."]}
        )
    return west, south, east, north


def _place(text_: str | None) -> tuple[float, float] | None:
    if not text_:
        return None
    try:
        latitude, longitude = (float(part) for part in text_.split(","))
    except ValueError:
        latitude = longitude = 999.0
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValidationError({"near": ["Two numbers are expected: latitude,longitude."]})
    return latitude, longitude


def _page(query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    wanted = search.Wanted(
        box=_box(query.get("bbox")),
        words=query["q"],
        service=query["service"],
        value=query["value"],
        open_at=query["open_at"],
        seats=query["seats"],
        near=_place(query.get("near")),
        radius_km=query["radius_km"],
    )
    session, now, limit = db.session(), hub().clock.now(), query["limit"]
    found = search.find(session, wanted, now, hub().url, after=query["cursor"])
    shown = list(islice(found, limit + 1))
    return shown[:limit], (shown[limit - 1]["id"] if len(shown) > limit else None)


@blp.route("/spaces")
@blp.arguments(SpacesQuerySchema, location="query")
@blp.response(200, SpacesSchema, example=EXAMPLE)
@allow("public")
def list_spaces(query: dict[str, Any]) -> Response:
    """Every space of the network, by id."""
    shown, cursor = _page(query)
    page = {"items": shown, "next_cursor": cursor, "licence": LICENCE}
    return open_data(orjson.dumps(page), "application/json", seconds=KEPT_SECONDS)


@blp.route("/spaces.geojson")
@blp.arguments(SpacesQuerySchema, location="query")
@blp.response(200, content_type="application/geo+json")
@allow("public")
def spaces_geojson(query: dict[str, Any]) -> Response:
    """The spaces as a GeoJSON feature collection."""
    shown, cursor = _page(query)
    page = {
        "type": "FeatureCollection",
        "features": [presenter.feature(space) for space in shown],
        "next_cursor": cursor,
        "licence": LICENCE,
    }
    return open_data(orjson.dumps(page), "application/geo+json", seconds=KEPT_SECONDS)


@blp.route("/spaces.csv")
@blp.arguments(SpacesQuerySchema, location="query")
@blp.response(200, content_type="text/csv")
@allow("public")
def spaces_csv(query: dict[str, Any]) -> Response:
    """The spaces as a table."""
    shown, _ = _page(query)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(
        ["id", "name", "town", "latitude", "longitude", "open", "guest_places_free", "as_of", "url"]
    )
    for space in shown:
        free = space["availability"]["guest_places_free"]
        row = [
            space["id"],
            space["name"],
            space["town"],
            space.get("latitude"),
            space.get("longitude"),
            {True: "true", False: "false", None: "unknown"}[space["open"]],
            "unknown" if free is None else free,
            space["availability"]["as_of"],
            space["url"],
        ]
        writer.writerow([f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r" else v for v in row])
    return open_data(out.getvalue().encode(), "text/csv", seconds=KEPT_SECONDS)


@blp.route("/spaces/<space_id>")
@blp.response(
    200, fields.Dict(), description="The space as it was published, and what is known now"
)
@allow("public")
def one_space(space_id: str) -> Response:
    """One space."""
    space = service.space(db.session(), space_id)
    signed = service.signed(db.session())
    shown = presenter.present(space, hub().clock.now(), hub().url, signed)
    body = orjson.dumps({**shown, "licence": LICENCE})
    return open_data(body, "application/json", seconds=KEPT_SECONDS)


@blp.route("/spaceapi")
@blp.response(
    200,
    fields.Dict(keys=fields.String(), values=fields.Url()),
    description="The SpaceAPI address of each space, by its name",
)
@allow("public")
def spaceapi_directory() -> Response:
    """The spaces as a SpaceAPI directory: where each says of itself whether it is open."""
    found = presenter.spaceapi_directory(service.spaces(db.session(), limit=10_000))
    return open_data(orjson.dumps(found), "application/json")
