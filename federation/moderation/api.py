"""JSON for a node: what is reported about its spaces, which are off the map, and its answers."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from federation.context import hub
from federation.db import db
from federation.moderation import hiding, reports
from federation.nodes import service as nodes
from shared.base.schemas import WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.wire.page_reports import ANSWERS

blp = Blueprint("moderation_api", __name__, url_prefix="/api/v1", description="Reports")


class ReportSchema(WireSchema):
    id = fields.String(required=True)
    space = fields.String(required=True)
    kind = fields.String(required=True)
    words = fields.String(required=True)
    at = fields.AwareDateTime(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["open", "answered", "closed"]))
    answer = fields.String(required=True, allow_none=True)
    answer_words = fields.String(required=True)
    answered_at = fields.AwareDateTime(required=True, allow_none=True)
    closed_words = fields.String(required=True, metadata={"description": "The moderator's words."})
    closed_at = fields.AwareDateTime(required=True, allow_none=True)


class HiddenSchema(WireSchema):
    space = fields.String(required=True)
    reason = fields.String(required=True)
    hidden_at = fields.AwareDateTime(required=True, allow_none=True)
    reply = fields.String(required=True)
    replied_at = fields.AwareDateTime(required=True, allow_none=True)


class ModerationSchema(WireSchema):
    reports = fields.List(fields.Nested(ReportSchema), required=True)
    hidden = fields.List(fields.Nested(HiddenSchema), required=True)


class ReportAnswerSchema(WireSchema):
    answer = fields.String(required=True, validate=validate.OneOf(list(ANSWERS)))
    words = fields.String(load_default="", validate=validate.Length(max=reports.MOST_WORDS))


class HiddenReplySchema(WireSchema):
    words = text(hiding.MOST_REPLY)


@blp.route("/nodes/me/reports")
@blp.response(200, ModerationSchema)
@allow("node")
def own_reports() -> dict[str, Any]:
    """The reports of 90 days about the node's spaces, and those of them that are off the map."""
    session, now, node_id = db.session(), hub().clock.now(), current().id
    nodes.active_node(session, node_id)
    return {
        "reports": reports.of_node(session, now, node_id),
        "hidden": [hiding.to_dict(row) for row in hiding.hidden(session, node_id)],
    }


@blp.route("/nodes/me/reports/<report_id>/answer", methods=["PUT"])
@blp.arguments(ReportAnswerSchema)
@blp.response(200, ReportSchema)
@allow("node")
def answer_report(data: dict[str, Any], report_id: str) -> dict[str, Any]:
    """Say to a report that it is corrected, or is no error; the first answer stands."""
    args = (current().id, report_id, data["answer"], data["words"].strip())
    return reports.to_dict(reports.answer(db.session(), hub(), *args))


@blp.route("/nodes/me/hidden/<space_id>/reply", methods=["PUT"])
@blp.arguments(HiddenReplySchema)
@blp.response(200, HiddenSchema)
@allow("node")
def reply_to_hiding(data: dict[str, Any], space_id: str) -> dict[str, Any]:
    """Reply to a space being kept off the map; the last words count."""
    now, words = hub().clock.now(), data["words"].strip()
    return hiding.to_dict(hiding.reply(db.session(), now, current().id, space_id, words))
