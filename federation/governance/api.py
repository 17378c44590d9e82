"""JSON of the charter: its versions, proposing, voting, signing, comparing and simulating."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Response, g, request
from marshmallow import fields, validate

from federation.console.desk import STAFF
from federation.context import hub
from federation.db import db
from federation.directory import service as directory
from federation.governance import proposals, service, simulation
from federation.governance.models import CharterVersion
from shared import comparison
from shared.problems import Problem
from shared.schemas import WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.open_data import share

blp = Blueprint("charters", __name__, url_prefix="/api/v1", description="The charter")

KEPT_SECONDS = 5


@blp.after_request
def _share(response: Response) -> Response:
    """What nobody in particular was told is open data."""
    if request.method == "GET" and response.status_code == 200 and g.get("principal") is None:
        return share(response, seconds=KEPT_SECONDS)
    return response


class CharterSummarySchema(WireSchema):
    version = fields.String(required=True)
    sha256 = fields.String(required=True)
    state = fields.String(
        required=True,
        validate=validate.OneOf(
            ["open", "rejected", "withdrawn", "adopted", "in_force", "past"],
        ),
    )
    adopted_at = fields.AwareDateTime(required=True, allow_none=True)
    effective_at = fields.AwareDateTime(required=True, allow_none=True)
    proposed_by = fields.String(required=True, allow_none=True)


class SignatureSchema(WireSchema):
    node = fields.String(required=True, attribute="node_id")
    jws = fields.String(required=True)
    signed_at = fields.AwareDateTime(required=True)


class VoteSchema(WireSchema):
    node = fields.String(required=True)
    choice = fields.String(
        metadata={"description": "Public once the vote is closed; one's own before, too."}
    )
    reason = fields.String()
    at = fields.AwareDateTime(required=True)


class CharterSchema(CharterSummarySchema):
    sources = fields.Dict(
        required=True,
        metadata={"description": "rules.toml, fr.md, en.md: exactly what the hash is over."},
    )
    rules = fields.Dict(required=True)
    text = fields.Dict(required=True, metadata={"description": "Articles by language."})
    argument = fields.String(required=True)
    opened_at = fields.AwareDateTime(required=True, allow_none=True)
    closes_at = fields.AwareDateTime(required=True, allow_none=True)
    votes = fields.List(fields.Nested(VoteSchema), required=True)
    outcome = fields.Dict(
        required=True, allow_none=True, metadata={"description": "The count, once it is closed."}
    )
    signatures = fields.List(fields.Nested(SignatureSchema), required=True)


class ChartersSchema(WireSchema):
    items = fields.List(fields.Nested(CharterSummarySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class SignSchema(WireSchema):
    jws = text(4096, metadata={"description": "JWS by the node's key: iss, version, sha256."})


class SourcesSchema(WireSchema):
    fr = fields.String(required=True, data_key="fr.md", validate=validate.Length(1, 200_000))
    en = fields.String(required=True, data_key="en.md", validate=validate.Length(1, 200_000))
    rules = fields.String(required=True, data_key="rules.toml", validate=validate.Length(1, 50_000))


class ProposalSchema(WireSchema):
    sources = fields.Nested(SourcesSchema, required=True)
    argument = text(4000, metadata={"description": "Why: the operators read it before they vote."})


class BallotSchema(WireSchema):
    choice = fields.String(required=True, validate=validate.OneOf(["yes", "no", "abstain"]))
    reason = fields.String(load_default="", validate=validate.Length(max=2000))
    sha256 = fields.String(
        load_default=None,
        validate=validate.Length(equal=64),
        metadata={"description": "Of the text that was read: refused once it is another."},
    )


def _sources(data: Mapping[str, Any]) -> dict[str, str]:
    found = data["sources"]
    return {"rules.toml": found["rules"], "fr.md": found["fr"], "en.md": found["en"]}


def _node() -> str:
    return directory.active_node(db.session(), current().id).id


def shown(row: CharterVersion, reader: str | None = None) -> dict[str, Any]:
    """Return a version's JSON. How others voted is told once the vote is closed."""
    session = db.session()
    charter = service.as_charter(row)
    return {
        **{name: getattr(row, name) for name in SUMMARY},
        "sources": row.sources,
        "rules": tomllib.loads(row.sources["rules.toml"]),
        "text": {
            language: {
                "title": found.title,
                "preamble": found.preamble,
                "articles": [
                    {"number": a.number, "title": a.title, "body": a.body} for a in found.articles
                ],
            }
            for language, found in charter.texts.items()
        },
        "argument": row.argument,
        "opened_at": row.opened_at,
        "closes_at": closes_at(row),
        "votes": [
            {"node": ballot.node_id, "at": ballot.at}
            | (
                {"choice": ballot.choice, "reason": ballot.reason}
                if row.state != "open" or ballot.node_id == reader
                else {}
            )
            for ballot in proposals.ballots(session, row)
        ],
        "outcome": row.outcome,
        "signatures": service.signatures(session, row.version),
    }


SUMMARY = ("version", "sha256", "state", "adopted_at", "effective_at", "proposed_by")


def closes_at(row: CharterVersion) -> datetime | None:
    """Return the end of the vote: as it was, or as it will be."""
    if row.opened_at is None:
        return None
    return row.closed_at or proposals.closes_at(db.session(), row)


@blp.route("/charters")
@blp.response(200, ChartersSchema)
@allow("public")
def list_charters() -> dict[str, Any]:
    """Every version, proposals too."""
    return {"items": service.versions(db.session()), "next_cursor": None}


@blp.route("/charters", methods=["POST"])
@blp.arguments(ProposalSchema)
@blp.response(201, CharterSchema)
@allow("node")
def propose(data: dict[str, Any]) -> dict[str, Any]:
    """Put a text and its rules to the vote; its version is given here."""
    session, node, now = db.session(), _node(), hub().clock.now()
    return shown(proposals.propose(session, now, node, _sources(data), data["argument"]))


@blp.route("/charters/<version>")
@blp.response(200, CharterSchema)
@allow("public", "node")
def one_charter(version: str) -> dict[str, Any]:
    """One version, or ``current``: text, rules, hash, votes and signatures."""
    principal = g.get("principal")
    reader = principal.id if principal is not None and principal.kind == "node" else None
    return shown(service.find(db.session(), version), reader)


@blp.route("/charters/<version>", methods=["PUT"])
@blp.arguments(ProposalSchema)
@blp.response(200, CharterSchema)
@allow("node")
def edit(data: dict[str, Any], version: str) -> dict[str, Any]:
    """Change one's own proposal while its vote is open: the vote starts anew."""
    session, node, now = db.session(), _node(), hub().clock.now()
    return shown(proposals.edit(session, now, node, version, _sources(data), data["argument"]))


@blp.route("/charters/<version>", methods=["DELETE"])
@blp.response(204)
@allow("node")
def withdraw(version: str) -> None:
    """Take one's own proposal back while its vote is open."""
    proposals.withdraw(db.session(), hub().clock.now(), _node(), version)


@blp.route("/charters/<version>/votes", methods=["POST"])
@blp.arguments(BallotSchema)
@blp.response(201, VoteSchema)
@allow("node")
def vote(data: dict[str, Any], version: str) -> dict[str, Any]:
    """Vote on the text as it stands: one operator, one vote, the last one counts."""
    session, node, now = db.session(), _node(), hub().clock.now()
    cast = proposals.vote(
        session, now, node, version, data["choice"], data["reason"], data["sha256"]
    )
    return {"node": cast.node_id, "choice": cast.choice, "reason": cast.reason, "at": cast.at}


@blp.route("/charters/<version>/signatures", methods=["POST"])
@blp.arguments(SignSchema)
@blp.response(201, SignatureSchema)
@allow("node")
def sign(data: dict[str, Any], version: str) -> Any:
    """Sign a version with the node's own key: the one in force, or the one adopted."""
    node = directory.active_node(db.session(), current().id)
    if service.find(db.session(), version).state not in ("in_force", "adopted"):
        raise Problem("conflict", "only the version in force or adopted can be signed")
    return service.sign(db.session(), hub().clock.now(), node, version, data["jws"])


class DiffSchema(WireSchema):
    before = fields.String(required=True, data_key="from")
    after = fields.String(required=True, data_key="to")
    rules = fields.List(fields.Dict(), required=True)
    texts = fields.Dict(
        required=True,
        metadata={"description": "By language, the articles that differ, word by word."},
    )


@blp.route("/charters/<before>/diff/<after>")
@blp.response(200, DiffSchema)
@allow("public")
def diff(before: str, after: str) -> dict[str, Any]:
    """What differs between two versions: each figure with its article, and the words."""
    one, other = (service.find(db.session(), version) for version in (before, after))
    return {
        "before": one.version,
        "after": other.version,
        **comparison.compare(service.as_charter(one), service.as_charter(other)),
    }


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


def _simulated(version: str, query: Mapping[str, Any], rules: str | None) -> Any:
    if current().kind == "node":
        _node()
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
