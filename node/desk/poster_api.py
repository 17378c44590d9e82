"""Checking oneself in by the poster: a public call, made by the visitor's own phone."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_babel import get_locale
from marshmallow import fields

from charter import localise
from node.context import node
from node.db import db
from node.desk import service
from node.desk.api import AdmittedSchema, ScanSchema, to_dict
from node.desk.offline_bundle import welcome
from node.spaces.space_row import find_space
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.application import limiter
from shared.wire.problems import problem_response

blp = Blueprint("arrivals", __name__, url_prefix="/api/v1", description="The poster")


class ArrivedSchema(AdmittedSchema):
    welcome = fields.String(
        required=True, metadata={"description": "What the host tells whoever was admitted."}
    )


@blp.after_request
def _from_any_home(response: Response) -> Response:
    """The page that calls is the visitor's home's; no cookie goes with it."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type, Accept-Language"
    response.headers["Access-Control-Allow-Methods"] = "POST"
    return response


@blp.route("/arrivals", methods=["POST"])
@blp.arguments(ScanSchema)
@blp.response(201, ArrivedSchema)
@blp.alt_response(200, schema=ArrivedSchema, description="Here already")
@allow("public")
@limiter.limit("30 per minute")
def arrive(data: dict[str, Any]) -> Any:
    """Check in by the poster: the key binding's nonce is the poster's code."""
    session, language = db.session(), str(get_locale())
    outcome = service.arrive(session, node(), data["space"], data["pass"])
    decision = localise(outcome.decision, language) if outcome.decision else {}
    if outcome.visit is None:
        return problem_response("visit-refused", decision=decision)
    brief = welcome(find_space(session, data["space"]), language)
    body = {"visit": to_dict(outcome.visit), "decision": decision, "welcome": brief}
    return body, 201 if outcome.kind == "admitted" else 200
