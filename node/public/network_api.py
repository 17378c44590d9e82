"""What the network reads of a node: keys, publication, status list; and the hub's call back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint as Pages
from flask import Response, jsonify, request
from marshmallow import fields

from node.context import node
from node.db import db
from node.desk import availability as places
from node.hub import callbacks
from node.passes import service as passes
from node.publication import service as published
from shared.base.schemas import WireSchema, text
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.application import limiter
from shared.wire.documents import fingerprint

blp = Blueprint("enrolment", __name__, url_prefix="/api/v1", description="Joining the network")
well_known = Pages("well_known", __name__)


class ChallengeSchema(WireSchema):
    challenge = text(4096, metadata={"description": "A JWS by the hub, meant for this address."})


class AnswerSchema(WireSchema):
    answer = fields.String(required=True)


@blp.route("/enrolment/challenge", methods=["POST"])
@limiter.limit("60 per minute")
@blp.arguments(ChallengeSchema)
@blp.response(200, AnswerSchema)
@allow("public")
def challenge(data: dict[str, Any]) -> dict[str, str]:
    """Prove to the hub that this address holds the node's key."""
    return {"answer": callbacks.answer_challenge(db.session(), node(), data["challenge"])}


class NoticeSchema(WireSchema):
    notice = text(4096, metadata={"description": "A JWS by the hub: iss, iat, exp, changed, etag."})


@blp.route("/hub/notices", methods=["POST"])
@limiter.limit("60 per minute")
@blp.arguments(NoticeSchema)
@blp.response(204)
@allow("public")
def notice(data: dict[str, Any]) -> None:
    """Take the hub's word that its trust list has changed: it is asked for at once."""
    callbacks.hear_notice(db.session(), node(), data["notice"])


@well_known.get("/.well-known/jwks.json")
@allow("public")
def jwks() -> Response:
    response = jsonify(keys=node().ring.public_jwks())
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response


@well_known.get("/.well-known/passerelle")
@allow("public")
def publication() -> Response:
    """The signed publication (a JWT); its ETag is the hash of its documents' hashes."""
    token, sha256 = published.publication(db.session(), node())
    response = Response(token, mimetype="application/jwt")
    response.set_etag(sha256)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@well_known.get("/.well-known/passerelle/availability")
@allow("public")
def availability() -> Response:
    """How many places are free, at each space; the ETag is of the figures, not of their time."""
    said = places.availability(db.session(), node())
    response = jsonify(said)
    response.set_etag(fingerprint(said["spaces"]), weak=True)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@well_known.get("/status-lists/1")
@allow("public")
def status_list() -> Response:
    token = passes.signed_status_list(db.session(), node())
    response = Response(token, mimetype="application/statuslist+jwt")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = "public, max-age=10"
    return response
