"""JSON of the charter: every version, its rules and text, and who signed it."""

from __future__ import annotations

import tomllib
from typing import Any

from marshmallow import fields

from federation.context import hub
from federation.db import db
from federation.directory import service as directory
from federation.governance import service
from federation.governance.models import CharterVersion
from shared.problems import Problem
from shared.schemas import WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint

blp = Blueprint("charters", __name__, url_prefix="/api/v1", description="The charter")


class CharterSummarySchema(WireSchema):
    version = fields.String(required=True)
    sha256 = fields.String(required=True)
    state = fields.String(required=True)
    adopted_at = fields.AwareDateTime(required=True)


class SignatureSchema(WireSchema):
    node = fields.String(required=True, attribute="node_id")
    jws = fields.String(required=True)
    signed_at = fields.AwareDateTime(required=True)


class CharterSchema(CharterSummarySchema):
    sources = fields.Dict(
        required=True,
        metadata={"description": "rules.toml, fr.md, en.md: exactly what the hash is over."},
    )
    rules = fields.Dict(required=True)
    text = fields.Dict(required=True, metadata={"description": "Articles by language."})
    votes = fields.List(fields.Dict(), required=True)
    signatures = fields.List(fields.Nested(SignatureSchema), required=True)


class ChartersSchema(WireSchema):
    items = fields.List(fields.Nested(CharterSummarySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


class SignSchema(WireSchema):
    jws = text(4096, metadata={"description": "JWS by the node's key: iss, version, sha256."})


def _shown(row: CharterVersion) -> dict[str, Any]:
    charter = service.as_charter(row)
    return {
        "version": row.version,
        "sha256": row.sha256,
        "state": row.state,
        "adopted_at": row.adopted_at,
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
        "votes": [],
        "signatures": service.signatures(db.session(), row.version),
    }


@blp.route("/charters")
@blp.response(200, ChartersSchema)
@allow("public")
def list_charters() -> dict[str, Any]:
    """Every version that was ever in force."""
    return {"items": service.versions(db.session()), "next_cursor": None}


@blp.route("/charters/<version>")
@blp.response(200, CharterSchema)
@allow("public")
def one_charter(version: str) -> dict[str, Any]:
    """One version, or ``current``: text, rules, hash and signatures."""
    return _shown(service.find(db.session(), version))


@blp.route("/charters/<version>/signatures", methods=["POST"])
@blp.arguments(SignSchema)
@blp.response(201, SignatureSchema)
@allow("node")
def sign(data: dict[str, Any], version: str) -> Any:
    """Sign a version with the node's own key."""
    node = directory.active_node(db.session(), current().id)
    if service.find(db.session(), version).state != "in_force":
        raise Problem("conflict", "only the version in force can be signed")
    return service.sign(db.session(), hub().clock.now(), node, version, data["jws"])
