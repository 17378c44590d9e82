"""The open feeds, as RPDE pages."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response
from marshmallow import fields, validate

from federation.context import hub
from federation.db import db
from federation.feeds import service
from shared.problems import Problem
from shared.schemas import WireSchema
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.open_data import open_data

blp = Blueprint("feeds", __name__, url_prefix="/feeds", description="Feeds (RPDE)")

LICENCE_URL = "https://www.etalab.gouv.fr/licence-ouverte-open-licence"
MEDIA_TYPE = "application/vnd.openactive.rpde+json; version=1"


class FeedQuerySchema(WireSchema):
    afterChangeNumber = fields.Integer(  # noqa: N815 - the specification's name
        load_default=0, validate=validate.Range(0, 2**63 - 1)
    )


class FeedItemSchema(WireSchema):
    state = fields.String(required=True, validate=validate.OneOf(["updated", "deleted"]))
    kind = fields.String(required=True)
    id = fields.String(required=True)
    modified = fields.Integer(required=True)
    data = fields.Dict()


class FeedPageSchema(WireSchema):
    next = fields.String(required=True, metadata={"description": "The same, at the end."})
    items = fields.List(fields.Nested(FeedItemSchema), required=True)
    license = fields.String(required=True)


@blp.route("/<feed>")
@blp.arguments(FeedQuerySchema, location="query")
@blp.response(200, FeedPageSchema, content_type="application/json")
@allow("public")
def feed_page(query: dict[str, Any], feed: str) -> Response:
    """One page of spaces, availability or events: what changed after a change number."""
    if feed not in service.FEEDS:
        raise Problem("not-found")
    after = query["afterChangeNumber"]
    rows = service.page(db.session(), feed, after)
    kind = service.FEEDS[feed][0]
    items = [
        {"state": "deleted", "kind": kind, "id": row.item_id, "modified": row.change}
        if row.data is None
        else {
            "state": "updated",
            "kind": kind,
            "id": row.item_id,
            "modified": row.change,
            "data": row.data,
        }
        for row in rows
    ]
    following = rows[-1].change if rows else after
    address = f"{hub().url}/feeds/{feed}"
    document = {
        "next": f"{address}?afterChangeNumber={following}",
        "items": items,
        "license": LICENCE_URL,
    }
    response = open_data(orjson.dumps(document), "application/json")
    response.headers["Content-Type"] = MEDIA_TYPE
    return response
