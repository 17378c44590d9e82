"""JSON for members: their passes, and what they may do where."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_babel import get_locale
from marshmallow import ValidationError, fields, validate

from node.context import node
from node.db import db
from node.members import service as members
from node.members.models import Member
from node.passes import cards, devices, digits, rights, service
from shared.base.schemas import DecisionSchema, PhoneJwkSchema, WireSchema, moment, text
from shared.crypto import jose
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.paging import page_of

blp = Blueprint("passes", __name__, url_prefix="/api/v1", description="Passes and rights")


class NewPassSchema(WireSchema):
    jwk = fields.Nested(
        PhoneJwkSchema, required=True, metadata={"description": "The phone's public key."}
    )
    replaces = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=64),
        metadata={"description": "A pass of one's own whose key is lost: it is ended."},
    )


class IssuedSchema(WireSchema):
    pass_id = fields.String(required=True)
    credential = fields.String(
        required=True, metadata={"description": "Append ~ and a key binding to show it."}
    )
    expires_at = fields.AwareDateTime(required=True)


class PassSchema(WireSchema):
    pass_id = fields.String(required=True, attribute="id")
    status = fields.String(required=True)
    issued_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True)
    device = fields.String(required=True)


PassesSchema = page_of("Passes", PassSchema)


class RightsQuerySchema(WireSchema):
    space = fields.String(load_default=None, validate=validate.Length(max=64))
    at = moment(load_default=None)


class RightSchema(WireSchema):
    space = fields.String(required=True)
    decision = fields.Nested(DecisionSchema, required=True)


RightsSchema = page_of(
    "Rights",
    RightSchema,
    decision=fields.Nested(
        DecisionSchema,
        metadata={"description": "The one decision, when one space was asked for."},
    ),
)


class ShowingAskedSchema(WireSchema):
    request = text(
        2000,
        metadata={"description": "iss, aud, space, card, pin, iat, jti: a JWS by the host."},
    )


class NewCodeSchema(WireSchema):
    space = text(64, metadata={"description": "The space whose desk will type the digits."})
    binding = text(
        2000, metadata={"description": "A key binding for the door over one of one's passes."}
    )


class CodeSchema(WireSchema):
    code = fields.String(required=True, metadata={"description": "Six digits, good once."})
    expires_at = fields.AwareDateTime(required=True)


class CodeAskedSchema(WireSchema):
    request = text(
        2000, metadata={"description": "iss, aud, space, code, iat and jti, a JWS by the host."}
    )


ShowingSchema = WireSchema.from_dict({"pass": fields.String(required=True)}, name="ShowingSchema")


def me() -> Member:
    """Return the member who is asking."""
    session = db.session()
    return members.member_of(session, current().id, members.today(session, node()))


@blp.route("/me/passes", methods=["POST"])
@blp.arguments(NewPassSchema)
@blp.response(201, IssuedSchema)
@allow("member")
def issue(data: dict[str, Any]) -> dict[str, Any]:
    """Make this phone a pass: the credential is bound to its key."""
    try:
        jose.phone_jwk(data["jwk"])
    except ValueError as error:
        raise ValidationError({"jwk": [str(error)]}) from None
    device = devices.named(request.user_agent.string)
    credential, row = service.issue(
        db.session(), node(), me(), data["jwk"], device=device, replaces=data["replaces"]
    )
    if current().by == "login":
        devices.remember(row.id)
    return {"pass_id": row.id, "credential": credential, "expires_at": row.expires_at}


@blp.route("/me/passes")
@blp.response(200, PassesSchema)
@allow("member")
def list_passes() -> dict[str, Any]:
    """My passes, the latest first."""
    return {"items": service.passes_of(db.session(), me().id), "next_cursor": None}


@blp.route("/me/passes/<pass_id>", methods=["DELETE"])
@blp.response(204)
@allow("member", "admin")
def revoke(pass_id: str) -> None:
    """End one of my passes: a lost phone, a new one. The space's admin ends anybody's."""
    whose = None if "admin" in current().roles else me().id
    service.revoke(db.session(), node(), pass_id, whose)


@blp.route("/me/codes", methods=["POST"])
@blp.arguments(NewCodeSchema)
@blp.response(201, CodeSchema)
@allow("member")
def make_code(data: dict[str, Any]) -> dict[str, Any]:
    """Have six digits stand for a pass at one space's desk that has no camera."""
    code, until = digits.make(db.session(), node(), me(), data["space"], data["binding"])
    return {"code": code, "expires_at": until}


@blp.route("/codes", methods=["POST"])
@blp.arguments(CodeAskedSchema)
@blp.response(200, ShowingSchema)
@allow("public")
def hand_over(data: dict[str, Any]) -> dict[str, Any]:
    """Hand over the pass that six digits stand for, to the host they were made for."""
    return {"pass": digits.answer_host(db.session(), node(), data["request"])}


@blp.route("/cards/<pass_id>/showings", methods=["POST"])
@blp.arguments(ShowingAskedSchema)
@blp.response(200, ShowingSchema)
@allow("public")
def show_card(data: dict[str, Any], pass_id: str) -> dict[str, Any]:
    """Show a paper card for its PIN, to a host of the network: it signs what it asks."""
    return {"pass": cards.answer_host(db.session(), node(), pass_id, data["request"])}


@blp.route("/me/rights")
@blp.arguments(RightsQuerySchema, location="query")
@blp.response(200, RightsSchema)
@allow("member")
def my_rights(query: dict[str, Any]) -> dict[str, Any] | Response:
    """What each partner space's door would tell me, and why."""
    found = rights.rights(
        db.session(), node(), me(), str(get_locale()), query["space"], query["at"]
    )
    one = {"decision": found[0]["decision"]} if query["space"] and found else {}
    return {"items": found, "next_cursor": None, **one}
