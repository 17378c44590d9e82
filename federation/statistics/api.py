"""JSON for nodes: their own figures of a month, and what they have to say to them."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from federation.context import hub
from federation.db import db
from federation.nodes import service as nodes
from federation.statements.service import is_month
from federation.statistics import admission_rate, service
from shared.base.schemas import WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.wire.problems import Problem

blp = Blueprint("pictures_api", __name__, url_prefix="/api/v1", description="Pictures")


class ReplySchema(WireSchema):
    text = text(1000, required=True, metadata={"description": "Shown beside the figures."})


class OwnFiguresSchema(WireSchema):
    month = fields.String(required=True)
    admitted = fields.Integer(required=True, metadata={"description": "Visits that counted."})
    no_room = fields.Integer(
        required=True, metadata={"description": "Refused: no guest place, full house, or a pause."}
    )
    closed = fields.Integer(required=True)
    visitor = fields.Integer(
        required=True, metadata={"description": "Refused for the pass, or the visitor's rights."}
    )
    kept = fields.Integer(required=True, metadata={"description": "Bookings, as homes tell it."})
    refused = fields.Integer(required=True)
    unanswered = fields.Integer(required=True)
    reply = fields.String(required=True, allow_none=True)
    said_at = fields.String(required=True, allow_none=True)


def _own(month: str) -> tuple[str, service.Period]:
    """Return the node that asks, and the month. Raises Problem."""
    node_id = nodes.settling_node(db.session(), current().id).id
    today = service.today(hub().clock.now())
    if not is_month(month) or month > f"{today:%Y-%m}":
        raise Problem("not-found")
    return node_id, service.Period(month, month, today)


def _figures(node_id: str, period: service.Period) -> dict[str, Any]:
    said = admission_rate.said_by(db.session(), node_id, period.first)
    return {
        "month": period.first,
        **admission_rate.of_node(db.session(), node_id, period),
        "reply": said.text if said else None,
        "said_at": said.said_at.isoformat() if said else None,
    }


@blp.route("/nodes/me/figures/<month>")
@blp.response(200, OwnFiguresSchema)
@allow("node")
def own_figures(month: str) -> dict[str, Any]:
    """The node's own figures of a month, as the coordination's pictures count them."""
    return _figures(*_own(month))


@blp.route("/nodes/me/replies/<month>", methods=["PUT"])
@blp.arguments(ReplySchema)
@blp.response(200, OwnFiguresSchema)
@allow("node")
def reply(data: dict[str, Any], month: str) -> dict[str, Any]:
    """Say something beside one's own figures of a month; said again, it replaces what was said."""
    node_id, period = _own(month)
    admission_rate.reply(db.session(), hub().clock.now(), node_id, month, data["text"])
    return _figures(node_id, period)


@blp.route("/nodes/me/replies/<month>", methods=["DELETE"])
@blp.response(204)
@allow("node")
def take_back(month: str) -> None:
    """Take back what was said; there may be nothing."""
    node_id, _ = _own(month)
    admission_rate.reply(db.session(), hub().clock.now(), node_id, month, "")


class AskedSchema(WireSchema):
    """What became of the places asked of one host, for dates in the month."""

    kept = fields.Integer(required=True, validate=validate.Range(0, 1_000_000))
    refused = fields.Integer(required=True, validate=validate.Range(0, 1_000_000))
    unanswered = fields.Integer(required=True, validate=validate.Range(0, 1_000_000))


class AskedOfHostsSchema(WireSchema):
    hosts = fields.Dict(
        keys=fields.String(validate=validate.Regexp(r"^[!-~]{1,64}\Z")),
        values=fields.Nested(AskedSchema),
        required=True,
        validate=validate.Length(max=2000),
        metadata={"description": "By host; others asked nothing, or are no partners any more."},
    )


@blp.route("/nodes/me/asked/<month>", methods=["PUT"])
@blp.arguments(AskedOfHostsSchema)
@blp.response(204)
@allow("node")
def tell_asked(data: dict[str, Any], month: str) -> None:
    """Tell, in numbers alone, what hosts answered to the bookings of the node's members."""
    node_id, period = _own(month)
    admission_rate.tell_asked(db.session(), node_id, period.first, data["hosts"])
