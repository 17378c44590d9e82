"""JSON of the directory: enrolment, publications, free places, the trust list, the nodes."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from marshmallow import ValidationError, fields, validate, validates_schema

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import enrolment, keys, service, url_change
from federation.spaces import availability, publications
from federation.trust import suspension
from federation.trust import trust_list as trusted
from shared.base.schemas import JwkSchema, WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.application import limiter
from shared.web.open_data import LICENCE_URL
from shared.web.paging import page_of
from shared.wire.availability import AvailabilitySchema

blp = Blueprint("directory", __name__, url_prefix="/api/v1", description="Nodes and spaces")


class EnrolmentSchema(WireSchema):
    invitation = text(200)
    url = text(300)
    jwk = fields.Nested(JwkSchema, required=True)
    proof = text(4096, metadata={"description": "JWS by the key: aud, url, SHA-256 of invitation."})


class EnrolledSchema(WireSchema):
    node_id = fields.String(required=True)
    hub = fields.String(required=True)
    name = fields.String(required=True)
    kid = fields.String(
        required=True,
        metadata={"description": "The number by which the key goes, whatever the JWK said."},
    )


class SignedSchema(WireSchema):
    """One of the two."""

    publication = text(
        900_000,
        required=False,
        metadata={"description": "The whole publication, a JWS by the node: taken whole or not."},
    )
    documents = text(
        900_000,
        required=False,
        metadata={
            "description": "A JWS by the node with typ passerelle-documents+jwt: the index of all "
            "documents, and in “bodies” at least those that the hub lacks. Each is taken or not."
        },
    )

    @validates_schema
    def _one(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if len(data) != 1:
            raise ValidationError({"publication": ["Missing data for required field."]})


class VerdictSchema(WireSchema):
    state = fields.String(required=True, validate=validate.OneOf(["accepted", "refused"]))
    sha256 = fields.String(required=True)
    version = fields.Integer(required=True)
    at = fields.String(required=True, metadata={"description": "RFC 3339"})
    errors = fields.Dict(required=True, metadata={"description": "Faults by field, if refused."})


class PublishedSchema(WireSchema):
    revision = fields.Integer(required=True)
    sha256 = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of the JSON object that has each document’s sha256 by name."},
    )
    published_at = fields.String(required=True, allow_none=True)
    documents = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(VerdictSchema),
        required=True,
        metadata={"description": "What became of each document, by name."},
    )


class HeardSchema(WireSchema):
    spaces = fields.List(fields.String(), required=True)
    harvested_at = fields.AwareDateTime(required=True, allow_none=True)
    harvest_fault = fields.String(required=True, allow_none=True)


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
    leaving_on = fields.Date(
        required=True, allow_none=True, metadata={"description": "Its last day, once announced."}
    )


NodesSchema = page_of("Nodes", NodeSchema)


class StateSchema(WireSchema):
    state = fields.String(
        required=True,
        validate=validate.OneOf(["connected", "suspended", "left"]),
        metadata={"description": "“left” is for good."},
    )
    reason = text(300)


class InstantSchema(WireSchema):
    """What goes with withdrawing a key."""

    reason = text(300)
    since = fields.AwareDateTime(
        load_default=None,
        metadata={
            "description": "From when on nothing the key signs is believed: now, unless said; "
            "not before the key was added, and not in the future."
        },
    )


class NodeKeySchema(WireSchema):
    kid = fields.String(required=True)
    added_at = fields.AwareDateTime(required=True)
    withdrawn_at = fields.AwareDateTime(required=True, allow_none=True)
    withdrawn_reason = fields.String(required=True)


class UrlSchema(WireSchema):
    url = text(300, metadata={"description": "The address that the node asks for."})


@blp.route("/trust-list")
@blp.response(200, content_type="application/jwt", description="A JWT signed by the hub")
@allow("public")
def trust_list() -> Response:
    """Every node's id, state, keys and signed charter: what makes a door work alone.

    The bytes stay the same until something in it changes; the ETag is their SHA-256 in hex, and
    304 says that the list one has is good.
    """
    head = trusted.current(db.session(), hub())
    response = Response(mimetype="application/jwt")
    if not request.if_none_match.contains_weak(head.etag):
        token = trusted.body(db.session(), head.etag)
        while token is None:  # another took its place just then
            head = trusted.current(db.session(), hub())
            token = trusted.body(db.session(), head.etag)
        response.set_data(token)
    response.set_etag(head.etag)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "no-cache"
    response.headers["Link"] = f'<{LICENCE_URL}>; rel="license"'
    response.make_conditional(request)
    return response


@blp.route("/enrolments", methods=["POST"])
@limiter.limit("60 per minute")
@blp.arguments(EnrolmentSchema)
@blp.response(201, EnrolledSchema)
@allow("public")
def enrol(data: dict[str, Any]) -> dict[str, Any]:
    """Admit the node that holds this invitation, key and URL; the hub calls it back."""
    found = enrolment.enrol(
        db.session(),
        hub().clock.now(),
        hub().peers,
        hub().ring,
        hub().url,
        allow_private=hub().settings.allow_private_peers,
        **data,
    )
    return {"node_id": found.node_id, "hub": hub().url, "name": found.name, "kid": found.kid}


@blp.route("/publications", methods=["POST"])
@blp.arguments(SignedSchema)
@blp.response(200, PublishedSchema)
@allow("node")
def publish(data: dict[str, Any]) -> dict[str, Any]:
    """Take a node's publication, or the documents that changed; every field at fault is named."""
    session, now = db.session(), hub().clock.now()
    if "documents" in data:
        return publications.publish_documents(session, now, current().id, data["documents"])
    return publications.publish(session, now, current().id, data["publication"])


@blp.route("/availability", methods=["POST"])
@blp.arguments(AvailabilitySchema)
@blp.response(200, HeardSchema)
@allow("node")
def hear_availability(data: dict[str, Any]) -> dict[str, Any]:
    """Note how many places are free at a node's spaces; answered with which were taken."""
    return availability.take(db.session(), hub().clock.now(), current().id, data)


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
@allow(*STAFF, "node")
def list_nodes() -> dict[str, Any]:
    """Every node and its state."""
    if current().kind == "node":
        service.active_node(db.session(), current().id)
    return {"items": service.nodes(db.session()), "next_cursor": None}


@blp.route("/nodes/<node_id>/state", methods=["PUT"])
@blp.arguments(StateSchema)
@blp.response(200, NodeSchema)
@allow("coordinator")
def set_state(data: dict[str, Any], node_id: str) -> Any:
    """Suspend a node, take it back, or note that it has left for good."""
    return suspension.set_state(
        db.session(), hub(), node_id, data["state"], current().id, data["reason"]
    )


@blp.route("/nodes/<node_id>/keys/<kid>", methods=["DELETE"])
@blp.arguments(InstantSchema, location="query")
@blp.response(200, NodeKeySchema)
@allow("coordinator")
def withdraw_key(data: dict[str, Any], node_id: str, kid: str) -> Any:
    """Withdraw a node's key: passes by it are refused everywhere from the next list on.

    Again with an earlier instant: that one holds. The last key too: the node is out until it has
    registered another (``POST …/invitation``).
    """
    actor = f"account:{current().id}"
    return keys.withdraw(db.session(), hub(), node_id, kid, actor=actor, **data)


@blp.route("/nodes/<node_id>/invitation", methods=["POST"])
@blp.response(201, InvitationSchema)
@allow("coordinator")
def invite_again(node_id: str) -> dict[str, Any]:
    """Invite a node of the network to register another key, for one that has none any more."""
    now = hub().clock.now()
    token, row = enrolment.invite_again(db.session(), now, node_id, current().id)
    return {"token": token, "node_id": row.node_id, "expires_at": row.expires_at}


@blp.route("/nodes/<node_id>/url", methods=["PUT"])
@blp.arguments(UrlSchema)
@blp.response(200, NodeSchema)
@allow("coordinator")
def confirm_url(data: dict[str, Any], node_id: str) -> Any:
    """Confirm the address that a node asked for, where nobody answers at its present one."""
    return url_change.confirm(db.session(), hub(), node_id, data["url"], int(current().id))


@blp.route("/nodes/<node_id>/url", methods=["DELETE"])
@blp.response(204)
@allow("coordinator")
def refuse_url(node_id: str) -> None:
    """Leave a node where it is: it asks for another address, and nobody knows why."""
    url_change.refuse(db.session(), hub(), node_id, int(current().id))
