"""JSON of the charter's sandbox: recorded visits decided again under another version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response
from marshmallow import fields, validate

from federation.charters import service
from federation.charters.api import acting_node, blp
from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.simulation import service as simulation
from shared.base.schemas import WireSchema
from shared.web import allow, current
from shared.wire.problems import Problem

__all__ = ["blp"]  # the charter's own: these operations are of it too


class SimulationQuerySchema(WireSchema):
    first = fields.Date(
        data_key="from", load_default=None, metadata={"description": "Else this month's first."}
    )
    last = fields.Date(
        data_key="to", load_default=None, metadata={"description": "Inclusive; else today."}
    )
    limit = fields.Integer(load_default=1000, validate=validate.Range(0, 100_000))
    format = fields.String(load_default="json", validate=validate.OneOf(["json", "csv"]))


class TrialSchema(WireSchema):
    rules = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 50_000),
        metadata={"description": "TOML to try in place of the version's own."},
    )


class SimulationSchema(WireSchema):
    version = fields.String(required=True)
    first = fields.String(required=True, data_key="from")
    last = fields.String(required=True, data_key="to")
    total = fields.Integer(required=True)
    changed = fields.Integer(required=True)
    half_days = fields.List(fields.Integer(), required=True)
    causes = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "Code, article, and how many of the visits that change."},
    )
    visits = fields.List(fields.Dict(), required=True)
    spaces = fields.Dict(required=True)
    homes = fields.Dict(required=True)
    plans = fields.Dict(required=True)
    days = fields.Dict(required=True)
    balances = fields.Dict(required=True)
    compensation = fields.Dict(required=True)
    currency = fields.String(required=True)


def _check_signed(node_id: str) -> None:
    """Raise Problem unless a node has signed the charter: what it asks for is the account."""
    in_force = service.in_force(db.session()).version
    if node_id not in service.signed_versions(db.session(), in_force):
        raise Problem("charter-unsigned")


def _simulated(version: str, query: Mapping[str, Any], rules: str | None) -> Any:
    if current().kind == "node":
        _check_signed(acting_node())
    today = hub().clock.now().date()
    first, last = query["first"] or today.replace(day=1), query["last"] or today
    for day in (first, last):
        if not 2000 <= day.year <= 2200:
            raise Problem("validation", errors={"from": ["Not a valid date."]})
    found = simulation.run(db.session(), version, first, last, rules)
    if query["format"] == "csv":
        return Response(simulation.as_csv(found), mimetype="text/csv")
    result = simulation.as_json(found, query["limit"])
    return {"version": version, "first": str(first), "last": str(last), **result}


@blp.route("/charters/<version>/simulation")
@blp.arguments(SimulationQuerySchema, location="query")
@blp.response(200, SimulationSchema)
@allow(*STAFF, "node")
def simulate(query: dict[str, Any], version: str) -> Any:
    """Decide the recorded visits of a period again under a version: what would change."""
    return _simulated(version, query, None)


@blp.route("/charters/<version>/simulation", methods=["POST"])
@blp.arguments(SimulationQuerySchema, location="query")
@blp.arguments(TrialSchema)
@blp.response(200, SimulationSchema)
@allow(*STAFF, "node")
def try_rules(query: dict[str, Any], data: dict[str, Any], version: str) -> Any:
    """The same, under a version's text with other rules."""
    return _simulated(version, query, data["rules"])
