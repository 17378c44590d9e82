"""JSON of the directory: enrolment, publications, the trust list, and the open data of spaces."""

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
from federation.directory import enrolment, marks, moving, presenter, publications, search, service
from federation.visits import service as visits
from shared.marks import PATTERN
from shared.schemas import JwkSchema, WireSchema, moment, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.application import limiter
from shared.web.open_data import open_data

blp = Blueprint("directory", __name__, url_prefix="/api/v1", description="Nodes and spaces")

LICENCE = "Licence Ouverte 2.0"


class EnrolmentSchema(WireSchema):
    invitation = text(200)
    url = text(300)
    jwk = fields.Nested(JwkSchema, required=True)
    proof = text(4096, metadata={"description": "JWS by the key: aud, url, SHA-256 of invitation."})


class EnrolledSchema(WireSchema):
    node_id = fields.String(required=True)
    hub = fields.String(required=True)
    name = fields.String(required=True)


class SignedSchema(WireSchema):
    publication = text(900_000, metadata={"description": "The publication, a JWS by the node."})


class PublishedSchema(WireSchema):
    revision = fields.Integer(required=True)
    sha256 = fields.String(required=True, allow_none=True)
    published_at = fields.String(required=True, allow_none=True)


class InviteSchema(WireSchema):
    operator = text(120)


class InvitationSchema(WireSchema):
    token = fields.String(required=True, metadata={"description": "Shown once."})
    node_id = fields.String(required=True)
    expires_at = fields.AwareDateTime(required=True)


class NodeSchema(WireSchema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    url = fields.String(required=True)
    state = fields.String(required=True)
    enrolled_at = fields.AwareDateTime(required=True)
    last_seen_at = fields.AwareDateTime(required=True)
    published_at = fields.AwareDateTime(required=True, allow_none=True)


class NewKeySchema(WireSchema):
    jwk = fields.Nested(JwkSchema, required=True)
    proof = text(4096, metadata={"description": "JWS by that key: iss, aud, iat."})


class NodeKeySchema(WireSchema):
    kid = fields.String(required=True)
    added_at = fields.AwareDateTime(required=True)


class MarkSchema(WireSchema):
    mark = fields.String(required=True, validate=validate.Regexp(PATTERN))
    last = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(PATTERN),
        metadata={"description": "The last mark that the hub has, for all that the node knows."},
    )


class HeardSchema(WireSchema):
    heard = fields.String(required=True, allow_none=True)
    heard_at = fields.AwareDateTime(required=True, allow_none=True)
    copies = fields.Boolean(
        required=True, metadata={"description": "This node seems to run in two places at once."}
    )


class MoveSchema(WireSchema):
    url = text(300)
    proof = text(4096, metadata={"description": "JWS by a key of the node: iss, aud, url, iat."})


class NodesSchema(WireSchema):
    items = fields.List(fields.Nested(NodeSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class StateSchema(WireSchema):
    state = fields.String(
        required=True,
        validate=validate.OneOf(["connected", "suspended", "left"]),
        metadata={"description": "“left” is for good."},
    )
    reason = text(300)


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
    guests = visits.guests_by_space(session)
    found = search.find(session, wanted, now, guests, hub().url, after=query["cursor"])
    shown = list(islice(found, limit + 1))
    return shown[:limit], (shown[limit - 1]["id"] if len(shown) > limit else None)


@blp.route("/spaces")
@blp.arguments(SpacesQuerySchema, location="query")
@blp.response(200, SpacesSchema)
@allow("public")
def list_spaces(query: dict[str, Any]) -> Response:
    """Every space of the network, by id."""
    shown, cursor = _page(query)
    page = {"items": shown, "next_cursor": cursor, "licence": LICENCE}
    return open_data(orjson.dumps(page), "application/json")


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
    return open_data(orjson.dumps(page), "application/geo+json")


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
    return open_data(out.getvalue().encode(), "text/csv")


@blp.route("/spaces/<space_id>")
@blp.response(
    200, fields.Dict(), description="The space as it was published, and what is known now"
)
@allow("public")
def one_space(space_id: str) -> Response:
    """One space."""
    space = service.space(db.session(), space_id)
    guests = visits.guests_by_space(db.session()).get(space.id, 0)
    signed = service.signed(db.session())
    shown = presenter.present(space, hub().clock.now(), guests, hub().url, signed)
    return open_data(orjson.dumps({**shown, "licence": LICENCE}), "application/json")


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


@blp.route("/trust-list")
@blp.response(200, content_type="application/jwt", description="A JWT signed by the hub")
@allow("public")
def trust_list() -> Response:
    """Every node's id, state, keys and signed charter: what makes a door work alone."""
    token = service.trust_list(db.session(), hub().clock.now(), hub().ring, hub().url)
    return Response(token, mimetype="application/jwt", headers={"Cache-Control": "no-cache"})


@blp.route("/enrolments", methods=["POST"])
@limiter.limit("60 per minute")
@blp.arguments(EnrolmentSchema)
@blp.response(201, EnrolledSchema)
@allow("public")
def enrol(data: dict[str, Any]) -> dict[str, Any]:
    """Admit the node that holds this invitation, key and URL; the hub calls it back."""
    node = enrolment.enrol(
        db.session(),
        hub().clock.now(),
        hub().peers,
        hub().ring,
        hub().url,
        allow_private=hub().settings.allow_private_peers,
        **data,
    )
    return {"node_id": node.id, "hub": hub().url, "name": node.name}


@blp.route("/publications", methods=["POST"])
@blp.arguments(SignedSchema)
@blp.response(200, PublishedSchema)
@allow("node")
def publish(data: dict[str, Any]) -> dict[str, Any]:
    """Take a node's publication; every field at fault is named."""
    return publications.publish(db.session(), hub().clock.now(), current().id, data["publication"])


@blp.route("/invitations", methods=["POST"])
@blp.arguments(InviteSchema)
@blp.response(201, InvitationSchema)
@allow("coordinator")
def invite(data: dict[str, Any]) -> dict[str, Any]:
    """Invite an operator; the token works once."""
    now = hub().clock.now()
    token, row = enrolment.invite(db.session(), now, data["operator"], current().id)
    return {"token": token, "node_id": row.node_id, "expires_at": row.expires_at}


@blp.route("/nodes")
@blp.response(200, NodesSchema)
@allow("coordinator", "node")
def list_nodes() -> dict[str, Any]:
    """Every node and its state."""
    if current().kind == "node":
        service.active_node(db.session(), current().id)
    return {"items": service.nodes(db.session()), "next_cursor": None}


@blp.route("/nodes/me/keys", methods=["POST"])
@blp.arguments(NewKeySchema)
@blp.response(200, NodeKeySchema)
@allow("node")
def add_key(data: dict[str, Any]) -> Any:
    """Announce a further key of one's own: both are good from now on."""
    now, hub_url = hub().clock.now(), hub().url
    service.active_node(db.session(), current().id)
    return enrolment.add_key(db.session(), now, hub_url, current().id, data["jwk"], data["proof"])


@blp.route("/nodes/me/mark", methods=["POST"])
@blp.arguments(MarkSchema)
@blp.response(200, HeardSchema)
@allow("node")
def hear_mark(data: dict[str, Any]) -> dict[str, Any]:
    """Tell one's mark and the last that the hub should have, and hear which it has.

    Another: one of us was restored from a backup, or the node runs twice.
    """
    session, now = db.session(), hub().clock.now()
    service.active_node(session, current().id)
    return marks.hear(session, now, current().id, data["mark"], data["last"])


@blp.route("/nodes/me/url", methods=["PUT"])
@blp.arguments(MoveSchema)
@blp.response(200, NodeSchema)
@allow("node")
def move(data: dict[str, Any]) -> Any:
    """Take a node's new address: it proves its key, and answers there and nowhere else."""
    service.active_node(db.session(), current().id)
    return moving.move(
        db.session(),
        hub().clock.now(),
        hub().peers,
        hub().ring,
        hub().url,
        current().id,
        allow_private=hub().settings.allow_private_peers,
        **data,
    )


@blp.route("/nodes/<node_id>/state", methods=["PUT"])
@blp.arguments(StateSchema)
@blp.response(200, NodeSchema)
@allow("coordinator")
def set_state(data: dict[str, Any], node_id: str) -> Any:
    """Suspend a node, take it back, or note that it has left for good."""
    who = f"account:{current().id}"
    return service.set_state(
        db.session(), hub().clock.now(), node_id, data["state"], who, data["reason"]
    )
