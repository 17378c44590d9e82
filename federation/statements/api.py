"""The month's statement as JSON, CSV, PDF and JWS; issuing it, and contesting its lines."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, request
from flask_babel import get_locale
from marshmallow import fields, validate

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import service as nodes
from federation.statements import disputes, documents, exports, logs, service
from federation.statements.composing import NETWORK
from federation.statements.models import Dispute, Statement
from shared.base.schemas import WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.paging import Paging, number, page_limit, page_of
from shared.wire.problems import Problem

blp = Blueprint("statements", __name__, url_prefix="/api/v1", description="The account")


class LineSchema(WireSchema):
    id = fields.String(required=True)
    home = fields.String(required=True)
    host = fields.String(required=True)
    space = fields.String(required=True)
    day = fields.Date(required=True)
    halves = fields.List(fields.String(validate=validate.OneOf(["am", "pm"])), required=True)
    half_days = fields.Integer(required=True)
    charter = fields.String(required=True)
    flags = fields.List(fields.String(), required=True)


class CorrectionSchema(LineSchema):
    reason = fields.String(required=True)
    recorded_on = fields.Date(required=True)


class TransferSchema(WireSchema):
    payer = fields.String(data_key="from", required=True)
    payee = fields.String(data_key="to", required=True)
    cents = fields.Integer(required=True)


class StatementSchema(WireSchema):
    month = fields.String(required=True)
    node = fields.String()
    state = fields.String(required=True, validate=validate.OneOf(["open", "issued", "final"]))
    revision = fields.Integer(
        required=True,
        metadata={"description": "Goes up when a dispute changes what an issued month has."},
    )
    issued_at = fields.String(required=True, allow_none=True)
    charter = fields.String(required=True)
    currency = fields.String(required=True)
    visits = fields.List(fields.Nested(LineSchema), required=True)
    corrections = fields.List(fields.Nested(CorrectionSchema), required=True)
    disputed = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Visits whose lines are kept out until a dispute is settled."},
    )
    balances = fields.Dict(
        required=True, metadata={"description": "Half-days given minus received; sums to zero."}
    )
    carried = fields.Dict(
        required=True,
        metadata={"description": "With barter: half-days brought forward, and these."},
    )
    compensation = fields.Dict(required=True, metadata={"description": "Cents, + to receive."})
    transfers = fields.List(fields.Nested(TransferSchema), required=True)


MIMETYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "pdf": "application/pdf",
    "jws": "application/jose",
}


class FormatSchema(WireSchema):
    format = fields.String(
        load_default=None,
        validate=validate.OneOf(list(MIMETYPES)),
        metadata={"description": "Else by the Accept header."},
    )


class MonthSchema(WireSchema):
    month = fields.String(required=True)
    state = fields.String(required=True)
    revision = fields.Integer(required=True)
    charter = fields.String(required=True)
    issued_at = fields.AwareDateTime(required=True)
    final_at = fields.AwareDateTime(required=True, allow_none=True)


MONTHS = Paging("statements", lambda row: str(row.month))
DISPUTES = Paging("disputes", lambda row: str(row.id), number, 0)


class MonthsQuerySchema(WireSchema):
    limit = page_limit(50)
    cursor = MONTHS.field


MonthsSchema = page_of("Months", MonthSchema)


class MonthStateSchema(WireSchema):
    state = fields.String(required=True, validate=validate.OneOf(["issued", "final"]))


class DisputesQuerySchema(WireSchema):
    month = text(7)
    limit = page_limit(50)
    cursor = DISPUTES.field


class NewDisputeSchema(WireSchema):
    month = text(7)
    visit = text(32)
    reason = text(500)


class DisputeSchema(WireSchema):
    id = fields.Integer(required=True)
    month = fields.String(required=True)
    visit = fields.String(required=True, attribute="visit_id")
    by = fields.String(required=True, attribute="node_id")
    reason = fields.String(required=True)
    state = fields.String(required=True)
    opened_at = fields.AwareDateTime(required=True)
    decision = fields.String(required=True, allow_none=True)
    decided_at = fields.AwareDateTime(required=True, allow_none=True)


DisputesSchema = page_of("Disputes", DisputeSchema)


class DecisionOnDisputeSchema(WireSchema):
    outcome = fields.String(
        required=True, validate=validate.OneOf(["upheld", "rejected", "withdrawn"])
    )
    reason = text(500)


class LogSchema(WireSchema):
    month = text(7)
    visits = fields.Integer(required=True, validate=validate.Range(0, 10**9))
    sha256 = fields.String(required=True, validate=validate.Regexp(r"^[0-9a-f]{64}\Z"))


class LogAnswerSchema(WireSchema):
    agrees = fields.Boolean(required=True)
    visits = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "What the hub has, where the two differ."},
    )


def _suffix(name: str) -> tuple[str, str | None]:
    stem, _, suffix = name.rpartition(".")
    return (stem, suffix) if stem and suffix in MIMETYPES else (name, None)


def _month(month: str) -> str:
    """Return a month that is one. Raises Problem; of a node that may not act, too."""
    if not service.is_month(month):
        raise Problem("not-found", "a month is written 2026-11")
    if current().kind == "node":
        nodes.settling_node(db.session(), current().id)
    return month


def _check_reader() -> None:
    """Raise Problem unless whoever asks may read the account: staff, and who signed the charter."""
    if current().kind != "node":
        return
    session = db.session()
    node = nodes.settling_node(session, current().id)
    if not service.may_read(session, node):
        raise Problem("charter-unsigned")


def _answer(month: str, node_id: str, wanted: str | None) -> Response:
    """Answer with a month's statement in the form that is wanted."""
    session = db.session()
    _check_reader()
    if node_id != NETWORK:
        nodes.find(session, node_id)
    if wanted not in MIMETYPES:
        accepted = request.accept_mimetypes.best_match(list(MIMETYPES.values()))
        wanted = next((name for name, kind in MIMETYPES.items() if kind == accepted), "json")
    name = "-".join(part for part in ("passerelle", month, node_id) if part)
    content: Any
    if wanted == "jws":
        content = documents.as_jws(session, month, node_id)
    else:
        content = documents.as_bytes(session, month, node_id)
    if wanted == "csv":
        content = exports.as_csv(content)
    elif wanted == "pdf":
        names = {node.id: node.name for node in nodes.nodes(session)}
        content = exports.as_pdf(content, names, str(get_locale()), hub().clock.now())
    response = Response(content, mimetype=MIMETYPES[wanted])
    if wanted in ("csv", "pdf"):
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.{wanted}"'
    return response


@blp.route("/statements")
@blp.arguments(MonthsQuerySchema, location="query")
@blp.response(200, MonthsSchema)
@allow(*STAFF, "node")
def list_statements(query: dict[str, Any]) -> dict[str, Any]:
    """The months that were issued, the latest first."""
    _check_reader()
    found = service.issued(db.session(), query["cursor"], query["limit"] + 1)
    return MONTHS.page(found, query["limit"])


@blp.route("/statements/<month>")
@blp.arguments(FormatSchema, location="query")
@blp.response(200, StatementSchema)
@allow(*STAFF, "node")
def network_statement(query: dict[str, Any], month: str) -> Response:
    """Who hosted whom in a month, in half-days; a node sees it whole, to recompute it.

    Of a month that was issued it is the same bytes for all, until a dispute changes it; once it
    is final, for good. Nodes that have signed the charter in force read it.
    """
    month, suffix = _suffix(month)
    return _answer(_month(month), NETWORK, suffix or query["format"])


@blp.route("/statements/<month>/<node_id>")
@blp.arguments(FormatSchema, location="query")
@blp.response(200, StatementSchema)
@allow(*STAFF, "node")
def node_statement(query: dict[str, Any], month: str, node_id: str) -> Response:
    """One node's own lines and balance."""
    node_id, suffix = _suffix(node_id)
    if current().kind == "node" and node_id != current().id:
        raise Problem("forbidden")
    return _answer(_month(month), node_id, suffix or query["format"])


@blp.route("/statements/<month>", methods=["PUT"])
@blp.arguments(MonthStateSchema)
@blp.response(200, MonthSchema)
@allow("coordinator")
def set_state(data: dict[str, Any], month: str) -> Statement:
    """Issue a month that is over; make it final once its lines can no longer be contested."""
    session, now = db.session(), hub().clock.now()
    if data["state"] == "final":
        return service.finalise(session, now, _month(month), _actor())
    return service.issue(session, now, _month(month), _actor())


@blp.route("/disputes")
@blp.arguments(DisputesQuerySchema, location="query")
@blp.response(200, DisputesSchema)
@allow(*STAFF, "node")
def list_disputes(query: dict[str, Any]) -> dict[str, Any]:
    """What was said against a month's lines: a node's own, or all for a coordinator."""
    node_id = current().id if current().kind == "node" else None
    month, after, limit = _month(query["month"]), query["cursor"], query["limit"]
    found = disputes.disputes(db.session(), month, node_id, after, limit + 1)
    return DISPUTES.page(found, limit)


@blp.route("/disputes", methods=["POST"])
@blp.arguments(NewDisputeSchema)
@blp.response(201, DisputeSchema)
@blp.alt_response(200, schema=DisputeSchema, description="Contested by this node already")
@allow("node")
def open_dispute(data: dict[str, Any]) -> Any:
    """Contest a visit's lines, as its home or its host, while the charter allows it."""
    now, node_id, month = hub().clock.now(), current().id, _month(data["month"])
    row, new = disputes.dispute(db.session(), now, month, node_id, data["visit"], data["reason"])
    return row, 201 if new else 200


@blp.route("/disputes/<dispute_id>/decision", methods=["POST"])
@blp.arguments(DecisionOnDisputeSchema)
@blp.response(200, DisputeSchema)
@allow("coordinator", "node")
def settle(data: dict[str, Any], dispute_id: str) -> Dispute:
    """Decide a dispute; whoever opened it may withdraw it."""
    session, now, dispute = db.session(), hub().clock.now(), _number(dispute_id)
    if dispute is None:
        raise Problem("not-found")
    if current().kind == "node":
        nodes.settling_node(session, current().id)
        if disputes.dispute_by(session, dispute).node_id != current().id:
            raise Problem("not-found")
        if data["outcome"] != disputes.WITHDRAWN:
            raise Problem("forbidden")
    return disputes.settle(session, now, dispute, data["outcome"], data["reason"], _actor())


def _number(written: str) -> int | None:
    return int(written) if re.fullmatch("[0-9]{1,9}", written) else None


@blp.route("/log-checks", methods=["POST"])
@blp.arguments(LogSchema)
@blp.response(200, LogAnswerSchema)
@allow("node")
def check_log(data: dict[str, Any]) -> dict[str, Any]:
    """Compare the host's own log with the hub's: how many visits, and the hash of their ids."""
    session, now = db.session(), hub().clock.now()
    month = _month(data["month"])
    agrees, ids = logs.check_log(session, now, month, current().id, data["visits"], data["sha256"])
    return {"agrees": agrees, "visits": ids}


def _actor() -> str:
    return f"{current().kind}:{current().id}"
