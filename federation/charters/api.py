"""JSON of the charter: its versions, proposing, voting, signing and comparing."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

from flask import Response, g, request

from charter.voting import MOST_EDITS
from federation.charters import proposals, schemas, service, votes
from federation.charters.models import Ballot, CharterVersion
from federation.context import hub
from federation.db import db
from federation.nodes import service as nodes
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.open_data import share
from shared.wire import comparison
from shared.wire.problems import Problem

blp = Blueprint("charters", __name__, url_prefix="/api/v1", description="The charter")

KEPT_SECONDS = 5


@blp.after_request
def _share(response: Response) -> Response:
    """What nobody in particular was told is open data."""
    if request.method == "GET" and response.status_code == 200 and g.get("principal") is None:
        return share(response, seconds=KEPT_SECONDS)
    return response


def _sources(data: Mapping[str, Any]) -> dict[str, str]:
    found = data["sources"]
    return {"rules.toml": found["rules"], "fr.md": found["fr"], "en.md": found["en"]}


def acting_node() -> str:
    return nodes.active_node(db.session(), current().id).id


def _reader() -> str | None:
    principal = g.get("principal")
    return principal.id if principal is not None and principal.kind == "node" else None


SUMMARY = (
    "version",
    "sha256",
    "state",
    "adopted_at",
    "effective_at",
    "proposed_by",
    "opened_at",
    "closes_at",
    "closed_at",
)


def to_dict(row: CharterVersion, reader: str | None = None) -> dict[str, Any]:
    """Return a version's JSON; ``reader`` is the node that asks, if it is one."""
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
        **_shown_vote(row, reader),
        "signatures": service.signatures(db.session(), row.version, limit=schemas.PAGE),
        "signatures_total": service.number_of_signatures(db.session(), row.version),
        "own": _own(row, reader) if reader else None,
    }


def _shown_vote(row: CharterVersion, reader: str | None) -> dict[str, Any]:
    session = db.session()
    out = votes.out_of_network(session, row, hub().clock.now())
    edits = len(proposals.former_texts(session, row.version))
    cast = votes.ballots(session, row, limit=schemas.PAGE)
    promised = votes.terms(row)
    return {
        "argument": row.argument,
        "proposal_sha256": row.proposal_sha256,
        "base": row.base,
        "vote_rule": promised and promised.rule,
        "electors": promised and len(promised.electorate),
        "edits": edits,
        "edits_left": MOST_EDITS - edits if row.state == "open" else 0,
        "withdrawn_because": row.withdrawn_because,
        "votes": [_shown_ballot(row, ballot, out, reader) for ballot in cast],
        "votes_total": votes.number_of_ballots(session, row),
        "votes_suspended": votes.number_of_ballots(session, row, among=out),
        "outcome": row.outcome,
    }


def _shown_ballot(
    row: CharterVersion, ballot: Ballot, out: frozenset[str], reader: str | None
) -> dict[str, Any]:
    """Return a vote's JSON. How others voted is told once the vote is closed."""
    told = {"node": ballot.node_id, "at": ballot.at, "suspended": ballot.node_id in out}
    if row.state == "open" and ballot.node_id != reader:
        return told
    return {**told, "choice": ballot.choice, "reason": ballot.reason}


def _own(row: CharterVersion, reader: str) -> dict[str, Any]:
    session = db.session()
    out = votes.out_of_network(session, row, hub().clock.now())
    cast = votes.ballots(session, row, only=reader)
    return {
        "elector": reader in (row.electorate or ()),
        "signed": bool(service.signatures(session, row.version, only=reader)),
        "vote": _shown_ballot(row, cast[0], out, reader) if cast else None,
    }


@blp.route("/charters")
@blp.arguments(schemas.ChartersQuerySchema, location="query")
@blp.response(200, schemas.ChartersSchema)
@allow("public")
def list_charters(query: dict[str, Any]) -> dict[str, Any]:
    """Every version, proposals too: the last proposed first."""
    limit = query["limit"]
    rows = service.page(db.session(), query["state"], query["cursor"], limit + 1)
    return schemas.CHARTERS.page(rows, limit)


@blp.route("/charters/<version>")
@blp.response(200, schemas.CharterSchema)
@allow("public", "node")
def read_charter(version: str) -> dict[str, Any]:
    """One version; ``current`` is the one in force. A node sees its own vote."""
    return to_dict(service.find(db.session(), version), _reader())


@blp.route("/charters", methods=["POST"])
@blp.arguments(schemas.ProposalSchema)
@blp.response(201, schemas.CharterSchema)
@allow("node")
def propose(data: dict[str, Any]) -> dict[str, Any]:
    """Put a charter to the vote; an operator has one open proposal at most."""
    session, node = db.session(), acting_node()
    now = hub().clock.now()
    return to_dict(proposals.propose(session, now, node, _sources(data), data["argument"]), node)


@blp.route("/charters/<version>", methods=["PUT"])
@blp.arguments(schemas.ProposalSchema)
@blp.response(200, schemas.CharterSchema)
@allow("node")
def edit(data: dict[str, Any], version: str) -> dict[str, Any]:
    """Change one's own proposal, three times at most: the vote starts anew."""
    session, node, now = db.session(), acting_node(), hub().clock.now()
    row = proposals.edit(session, now, node, version, _sources(data), data["argument"])
    return to_dict(row, node)


@blp.route("/charters/<version>", methods=["DELETE"])
@blp.response(204)
@allow("node")
def withdraw(version: str) -> None:
    """Take one's own proposal back while its vote is open."""
    proposals.withdraw(db.session(), hub().clock.now(), acting_node(), version)


@blp.route("/charters/<version>/texts")
@blp.response(200, schemas.FormerTextsSchema)
@allow("public")
def list_texts(version: str) -> dict[str, Any]:
    """What a proposal said before each edit, the first one first."""
    row = service.find(db.session(), version)
    return {"items": proposals.former_texts(db.session(), row.version), "next_cursor": None}


@blp.route("/charters/<version>/electorate")
@blp.arguments(schemas.ElectorateQuerySchema, location="query")
@blp.response(200, schemas.ElectorateSchema)
@allow("public")
def list_electorate(query: dict[str, Any], version: str) -> dict[str, Any]:
    """The operators with a voice when the vote opened, by their ids; none without such a vote."""
    row, limit = service.find(db.session(), version), query["limit"]
    rows = [node for node in row.electorate or () if node > query["cursor"]]
    return schemas.ELECTORATE.page(rows, limit, lambda node: {"node": node})


@blp.route("/charters/<version>/votes")
@blp.arguments(schemas.VotesQuerySchema, location="query")
@blp.response(200, schemas.VotesSchema)
@allow("public", "node")
def list_votes(query: dict[str, Any], version: str) -> dict[str, Any]:
    """Each operator's last vote on the proposal as it stands, by the operators' ids."""
    session, limit = db.session(), query["limit"]
    row = service.find(session, version)
    out = votes.out_of_network(session, row, hub().clock.now())
    rows = votes.ballots(session, row, after=query["cursor"], limit=limit + 1)
    reader = _reader()
    return schemas.VOTES.page(rows, limit, lambda cast: _shown_ballot(row, cast, out, reader))


@blp.route("/charters/<version>/votes", methods=["POST"])
@blp.arguments(schemas.BallotSchema)
@blp.response(201, schemas.VoteSchema)
@allow("node")
def vote(data: dict[str, Any], version: str) -> dict[str, Any]:
    """Vote on the proposal as it stands: one operator, one vote, the last one counts."""
    session, node, now = db.session(), acting_node(), hub().clock.now()
    cast = votes.vote(
        session, now, node, version, data["choice"], data["reason"], data["proposal_sha256"]
    )
    told = {"node": cast.node_id, "choice": cast.choice, "reason": cast.reason, "at": cast.at}
    return {**told, "suspended": False}


@blp.route("/charters/<version>/signatures")
@blp.arguments(schemas.SignaturesQuerySchema, location="query")
@blp.response(200, schemas.SignaturesSchema)
@allow("public")
def list_signatures(query: dict[str, Any], version: str) -> dict[str, Any]:
    """Who signed a version, by the operators' ids."""
    limit, version = query["limit"], service.find(db.session(), version).version
    rows = service.signatures(db.session(), version, after=query["cursor"], limit=limit + 1)
    return schemas.SIGNATURES.page(rows, limit)


@blp.route("/charters/<version>/signatures", methods=["POST"])
@blp.arguments(schemas.SignSchema)
@blp.response(201, schemas.SignatureSchema)
@allow("node")
def sign(data: dict[str, Any], version: str) -> Any:
    """Sign a version with the node's own key: the one in force, or the one adopted."""
    node = nodes.active_node(db.session(), current().id)
    if service.find(db.session(), version).state not in ("in_force", "adopted"):
        raise Problem("conflict", "only the version in force or adopted can be signed")
    return service.sign(db.session(), hub().clock.now(), node, version, data["jws"])


@blp.route("/charters/<before>/diff/<after>")
@blp.response(200, schemas.DiffSchema)
@allow("public")
def diff(before: str, after: str) -> dict[str, Any]:
    """What differs between two versions: each figure with its article, and the words."""
    one, other = (service.find(db.session(), version) for version in (before, after))
    return {
        "before": one.version,
        "after": other.version,
        **comparison.compare(service.as_charter(one), service.as_charter(other)),
    }
