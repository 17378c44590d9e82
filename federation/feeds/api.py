"""The open feeds, as RPDE pages."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from marshmallow import fields, validate

from federation.context import hub
from federation.db import db
from federation.feeds import service
from shared.base.schemas import WireSchema
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.open_data import LICENCE_URL, open_data
from shared.wire.problems import Problem

blp = Blueprint("feeds", __name__, url_prefix="/feeds", description="Feeds (RPDE)")

KEPT_SECONDS, LAST_KEPT_SECONDS = 3600, 5
MEDIA_TYPE = "application/vnd.openactive.rpde+json; version=1"


EXAMPLE = {
    "next": "https://hub.example.org/feeds/availability?afterChangeNumber=42",
    "items": [
        {
            "state": "updated",
            "kind": "Availability",
            "id": "troquet-numerique",
            "modified": 41,
            "data": {
                "@type": "Availability",
                "space": "https://hub.example.org/spaces/troquet-numerique",
                "open": True,
                "guest_places_free": 4,
                "state": "known",
                "as_of": "2026-11-24T10:00:00+01:00",
                "ttl": 300,
            },
        },
        {"state": "deleted", "kind": "Availability", "id": "le-petit-voisin", "modified": 42},
    ],
    "license": LICENCE_URL,
}


class FeedQuerySchema(WireSchema):
    afterChangeNumber = fields.Integer(  # noqa: N815 - the specification's name
        load_default=None,
        validate=validate.Range(0, 2**63 - 1),
        metadata={"description": "Where the page before ended; the beginning without it."},
    )


class FeedItemSchema(WireSchema):
    state = fields.String(required=True, validate=validate.OneOf(["updated", "deleted"]))
    kind = fields.String(required=True)
    id = fields.String(required=True)
    modified = fields.Integer(required=True)
    data = fields.Dict()


class FeedPageSchema(WireSchema):
    next = fields.String(
        required=True,
        metadata={"description": "To be read next; after the end this very page, to ask again."},
    )
    items = fields.List(fields.Nested(FeedItemSchema), required=True)
    license = fields.String(required=True)


@blp.route("/<feed>")
@blp.arguments(FeedQuerySchema, location="query")
@blp.response(200, FeedPageSchema, content_type="application/json", example=EXAMPLE)
@allow("public")
def feed_page(query: dict[str, Any], feed: str) -> Response:
    """One page of spaces, availability or events: what changed after a change number.

    Begin without a number, follow “next”, and keep the one that had no items: ask it again later.
    What is gone is told as “deleted” for 30 days; who has been away for longer begins again.
    """
    if feed not in service.FEEDS:
        raise Problem("not-found")
    rows = service.page(db.session(), feed, query["afterChangeNumber"] or 0)
    address = f"{hub().url}/feeds/{feed}"
    if rows or query["afterChangeNumber"] is not None:
        last = rows[-1].change if rows else query["afterChangeNumber"]
        address = f"{address}?afterChangeNumber={last}"
    items = [service.to_dict(row) for row in rows]
    document = {"next": address, "items": items, "license": LICENCE_URL}
    # What was changed after a place in the feed may be kept: it leads to what changed since.
    seconds = KEPT_SECONDS if rows else LAST_KEPT_SECONDS
    response = open_data(orjson.dumps(document), "application/json", seconds=seconds)
    response.headers["Content-Type"] = MEDIA_TYPE
    return response
