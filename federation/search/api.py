"""The open data of spaces: JSON, GeoJSON, CSV, the map's points, and a directory of SpaceAPI."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import orjson
from flask import Response, redirect
from marshmallow import fields, validate
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from federation.charters import service as charters
from federation.context import hub
from federation.db import db
from federation.search import clusters, features
from federation.search import query as queries
from federation.search import service as search
from federation.search.index import Entry
from federation.search.response_cache import KEPT_SECONDS, Made, kept
from federation.spaces import presenter
from federation.spaces import queries as published
from shared.base.schemas import WireSchema
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.open_data import open_data
from shared.web.paging import Paging, page_limit, page_of

blp = Blueprint("spaces", __name__, url_prefix="/api/v1", description="Spaces, for everybody")

LICENCE = "Licence Ouverte 2.0"
# Asked in turn which space another one is now; rooms above add what they know.
SUCCESSORS: list[Callable[[Session, str], str | None]] = []


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


PAGING = Paging("spaces", lambda entry: str(entry.id))


class SpacesQuerySchema(queries.FilterSchema):
    limit = page_limit(500, 1000)
    cursor = PAGING.field


class PointsQuerySchema(queries.FilterSchema):
    zoom = fields.Integer(
        load_default=None,
        validate=validate.Range(clusters.WIDEST_ZOOM, clusters.CLOSEST_ZOOM),
        metadata={"description": "The map's; without it, what suits the box."},
    )


SpacesSchema = page_of("Spaces", fields.Dict(), licence=fields.String(required=True))


class PointsSchema(WireSchema):
    as_of = fields.DateTime(required=True)
    total = fields.Integer(
        required=True, metadata={"description": "How many the list says for the same filters."}
    )
    unplaced = fields.Integer(
        required=True, metadata={"description": "Of these, how many have no place on the map."}
    )
    points = fields.List(
        fields.List(fields.Raw()),
        required=True,
        metadata={
            "description": "Each is [id, name, town, latitude, longitude, state, free guest places "
            "or null, whether it is in the reciprocity, whether it is only listed]; "
            "the state is open, closed or unknown."
        },
    )
    clusters = fields.List(
        fields.List(fields.Raw()),
        required=True,
        metadata={
            "description": "Where more than 1,000 are found, those close to each other: "
            "[how many, latitude, longitude, [west, south, east, north]]."
        },
    )
    licence = fields.String(required=True)


def _entries(query: dict[str, Any], now: datetime) -> tuple[Sequence[Entry], str | None]:
    found = search.matches(db.session(), queries.filters(query), now)
    left, limit = search.behind(query["cursor"], found), query["limit"]
    page = PAGING.page(left, limit)
    return page["items"], page["next_cursor"]


def _credited(heard: features.Heard | None) -> tuple[str | None, str | None]:
    source = heard.source if heard else None
    return (source["name"], source["licence"]) if source else (None, None)


@blp.route("/spaces")
@blp.response(200, SpacesSchema, example=EXAMPLE)
@kept
@blp.arguments(SpacesQuerySchema, location="query")
@allow("public")
def list_spaces(query: dict[str, Any]) -> Made:
    """Every space on the map, by id; of words the best first, ``near`` the nearest.

    One that runs no node is ``listed``: its ``source`` says who tells of it, under which licence.
    """
    page = search.page(
        db.session(),
        queries.filters(query),
        hub().clock.now(),
        hub().url,
        after=query["cursor"],
        limit=query["limit"],
    )
    following = PAGING.cursor(page.next_cursor)
    body = {"items": page.shown, "next_cursor": following, "licence": LICENCE}
    return Made(orjson.dumps(body), "application/json")


@blp.route("/spaces.geojson")
@blp.response(200, content_type="application/geo+json")
@kept
@blp.arguments(SpacesQuerySchema, location="query")
@allow("public")
def spaces_geojson(query: dict[str, Any]) -> Made:
    """The spaces as a GeoJSON feature collection."""
    now = hub().clock.now()
    found, cursor = _entries(query, now)
    heard = features.heard_of(db.session(), found)
    page = {
        "type": "FeatureCollection",
        "features": [features.feature(entry, now, hub().url, heard) for entry in found],
        "next_cursor": cursor,
        "licence": LICENCE,
    }
    return Made(orjson.dumps(page), "application/geo+json")


CSV_COLUMNS = (
    "id",
    "name",
    "town",
    "latitude",
    "longitude",
    "open",
    "guest_places_free",
    "as_of",
    "url",
    "listed",
    "source",
    "source_licence",
)


@blp.route("/spaces.csv")
@blp.response(200, content_type="text/csv")
@kept
@blp.arguments(SpacesQuerySchema, location="query")
@allow("public")
def spaces_csv(query: dict[str, Any]) -> Made:
    """The spaces as a table."""
    now = hub().clock.now()
    found, _ = _entries(query, now)
    heard = features.heard_of(db.session(), found)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    words = {True: "true", False: "false", None: "unknown"}
    for entry in found:
        free = entry.free(now)
        row = [
            entry.id,
            entry.name,
            entry.town,
            entry.latitude,
            entry.longitude,
            words[entry.hours.is_open(now)],
            "unknown" if free is None else free,
            features.as_of(entry, heard).isoformat(),
            f"{hub().url}/spaces/{entry.id}",
            words[entry.listed],
            *_credited(heard.get(entry.id)),
        ]
        writer.writerow([f"'{v}" if isinstance(v, str) and v[:1] in "=+-@\t\r" else v for v in row])
    return Made(out.getvalue().encode(), "text/csv")


@blp.route("/spaces/points")
@blp.response(200, PointsSchema)
@kept
@blp.arguments(PointsQuerySchema, location="query")
@allow("public")
def spaces_points(query: dict[str, Any]) -> Made:
    """The spaces for a map: at most about 1,000 points and clusters. All that the list says."""
    now = hub().clock.now()
    wanted = queries.filters(query)
    found = search.anyhow(db.session(), wanted, now)
    placed = [entry for entry in found if entry.latitude is not None]
    zoom = query["zoom"]
    zoom = clusters.zoom_for(wanted.box) if zoom is None else zoom
    alone, together = clusters.cluster(placed, zoom)
    said = {
        "total": len(found),
        "unplaced": len(found) - len(placed),
        "points": [features.point(each, now) for each in sorted(alone, key=lambda e: e.id)],
        "clusters": sorted(map(list, together)),
    }
    etag = hashlib.sha256(orjson.dumps(said)).hexdigest()[:32]
    body = orjson.dumps({"as_of": now.isoformat(), **said, "licence": LICENCE})
    return Made(body, "application/json", etag)


@blp.route("/spaces/<space_id>")
@blp.response(
    200, fields.Dict(), description="The space as it was published, and what is known now"
)
@allow("public")
def one_space(space_id: str) -> BaseResponse:
    """One space. A listed one that has joined the network since leads to what it is now."""
    became = next(filter(None, (find(db.session(), space_id) for find in SUCCESSORS)), None)
    if became is not None:
        return redirect(f"{hub().url}/api/v1/spaces/{became}", 301)
    space = published.space(db.session(), space_id)
    signed = charters.signatories(db.session())
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
    found = presenter.spaceapi_directory(published.spaces(db.session(), limit=10_000))
    return open_data(orjson.dumps(found), "application/json")
