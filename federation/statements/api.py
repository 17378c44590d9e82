"""The month's statement, as JSON and CSV."""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, request
from marshmallow import fields

from federation.db import db
from federation.directory import service as directory
from federation.directory.models import Node
from federation.statements import service
from shared.problems import Problem
from shared.schemas import WireSchema
from shared.web import allow, current
from shared.web.api import Blueprint

blp = Blueprint("statements", __name__, url_prefix="/api/v1", description="The account")


class LineSchema(WireSchema):
    id = fields.String(required=True)
    home = fields.String(required=True)
    host = fields.String(required=True)
    space = fields.String(required=True)
    started_at = fields.String(required=True)
    half_days = fields.Integer(required=True)
    charter = fields.String(required=True)
    flags = fields.List(fields.String(), required=True)


class CorrectionSchema(LineSchema):
    reason = fields.String(required=True)
    recorded_at = fields.String(required=True)


class TransferSchema(WireSchema):
    payer = fields.String(data_key="from", required=True)
    payee = fields.String(data_key="to", required=True)
    cents = fields.Integer(required=True)


class StatementSchema(WireSchema):
    month = fields.String(required=True)
    node = fields.String()
    state = fields.String(required=True)
    charter = fields.String(required=True)
    currency = fields.String(required=True)
    visits = fields.List(fields.Nested(LineSchema), required=True)
    corrections = fields.List(fields.Nested(CorrectionSchema), required=True)
    balances = fields.Dict(
        required=True, metadata={"description": "Half-days given minus received; sums to zero."}
    )
    compensation = fields.Dict(required=True, metadata={"description": "Cents, + to receive."})
    transfers = fields.List(fields.Nested(TransferSchema), required=True)


class FormatSchema(WireSchema):
    format = fields.String(
        load_default=None, metadata={"description": "json or csv; else by the Accept header."}
    )


def _answer(month: str, node_id: str | None, wanted: str | None) -> Response:
    if current().kind == "node":
        directory.active_node(db.session(), current().id)
    for suffix in ("csv", "json"):
        if (node_id or month).endswith(f".{suffix}"):
            wanted = suffix
            if node_id:
                node_id = node_id.removesuffix(f".{suffix}")
            else:
                month = month.removesuffix(f".{suffix}")
    if not service.is_month(month):
        raise Problem("not-found", "a month is written 2026-11")
    if node_id is not None and db.session.get(Node, node_id) is None:
        raise Problem("not-found")
    document = service.statement(db.session(), month, node_id)
    accepted = request.accept_mimetypes.best_match(("application/json", "text/csv"))
    if wanted == "csv" or (wanted is None and accepted == "text/csv"):
        name = "-".join(part for part in ("passerelle", month, node_id) if part)
        return Response(
            service.as_csv(document),
            mimetype="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
        )
    return Response(orjson.dumps(document), mimetype="application/json")


@blp.route("/statements/<month>")
@blp.arguments(FormatSchema, location="query")
@blp.response(200, StatementSchema)
@allow("coordinator", "node")
def network_statement(query: dict[str, Any], month: str) -> Response:
    """Who hosted whom in a month, in half-days; a node sees it whole, to recompute it."""
    return _answer(month, None, query["format"])


@blp.route("/statements/<month>/<node_id>")
@blp.arguments(FormatSchema, location="query")
@blp.response(200, StatementSchema)
@allow("coordinator", "node")
def node_statement(query: dict[str, Any], month: str, node_id: str) -> Response:
    """One node's own lines and balance."""
    if current().kind == "node" and node_id.partition(".")[0] != current().id:
        raise Problem("forbidden")
    return _answer(month, node_id, query["format"])
