"""JSON for a node about itself: keys, address, what it remembers, a check-up, its leaving."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from marshmallow import fields, validate

from federation.context import hub
from federation.db import db
from federation.nodes import findings, keys, rollback_detection, service, url_change
from federation.trust import diagnostics, leaving
from federation.trust.api import InstantSchema, NodeKeySchema, NodeSchema
from shared.base.schemas import JwkSchema, WireSchema, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.application import limiter
from shared.wire.checkpoints import PATTERN

blp = Blueprint("own", __name__, url_prefix="/api/v1", description="A node about itself")


class LeavingSchema(WireSchema):
    last_day = fields.Date(required=True, metadata={"description": "In the spaces’ own time."})
    reason = fields.String(load_default="", validate=validate.Length(max=500))


class LeavesSchema(WireSchema):
    last_day = fields.Date(required=True)
    reason = fields.String(required=True)
    announced_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(
        required=True, metadata={"description": "From then on the node has left, for good."}
    )


class NewKeySchema(WireSchema):
    jwk = fields.Nested(JwkSchema, required=True)
    proof = text(4096, metadata={"description": "JWS by that key: iss, aud, iat."})


class FindingSchema(WireSchema):
    name = fields.String(required=True, validate=validate.OneOf(diagnostics.NAMES))
    state = fields.String(required=True, validate=validate.OneOf(findings.STATES))
    code = fields.String(required=True, metadata={"description": "Why; “ok” if all is well."})
    params = fields.Dict(required=True)


class CheckedSchema(WireSchema):
    url = fields.String(required=True)
    checked_at = fields.AwareDateTime(required=True)
    items = fields.List(fields.Nested(FindingSchema), required=True)


def _count(description: str) -> fields.Integer:
    return fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": description},
    )


class MarkSchema(WireSchema):
    mark = fields.String(required=True, validate=validate.Regexp(PATTERN))
    last = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Regexp(PATTERN),
        metadata={"description": "The last mark that the hub has, for all that the node knows."},
    )

    version = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=40),
        metadata={"description": "Of the node’s software, for the coordination to see."},
    )
    outbox_pending = _count("Messages to the hub that wait.")
    outbox_dead = _count("Messages that the hub refused for good.")
    clock = fields.AwareDateTime(
        load_default=None, allow_none=True, metadata={"description": "The node’s time, now."}
    )


class RememberedSchema(WireSchema):
    heard = fields.String(required=True, allow_none=True)
    heard_at = fields.AwareDateTime(required=True, allow_none=True)
    copies = fields.Boolean(
        required=True, metadata={"description": "This node seems to run in two places at once."}
    )


class MoveSchema(WireSchema):
    url = text(300)
    proof = text(4096, metadata={"description": "JWS by a key of the node: iss, aud, url, iat."})


@blp.route("/nodes/me/keys", methods=["POST"])
@blp.arguments(NewKeySchema)
@blp.response(200, NodeKeySchema)
@allow("node")
def add_key(data: dict[str, Any]) -> Any:
    """Announce a further key of one's own: both are good from now on.

    The hub asks at the node's registered address for an answer by the new key.
    """
    session, now = db.session(), hub().clock.now()
    service.active_node(session, current().id)
    return keys.add_key(session, now, hub(), current().id, data["jwk"], data["proof"])


@blp.route("/nodes/me/keys/<kid>", methods=["DELETE"])
@blp.arguments(InstantSchema, location="query")
@blp.response(200, NodeKeySchema)
@allow("node")
def withdraw_key(data: dict[str, Any], kid: str) -> Any:
    """Withdraw a key of one's own, but not the last: passes by it are refused everywhere.

    Again with an earlier instant: that one holds.
    """
    service.settling_node(db.session(), current().id)
    return keys.withdraw(db.session(), hub(), current().id, kid, **data)


@blp.route("/nodes/me/check", methods=["POST"])
@limiter.limit("6 per minute", key_func=lambda: str(current().id))
@blp.response(200, CheckedSchema)
@allow("node")
def look_at_node() -> dict[str, Any]:
    """Call the node back at its own address, and say what a visitor or the hub finds there."""
    clock = hub().clock
    return diagnostics.look(db.session(), clock.now(), clock.real(), hub().peers, current().id)


@blp.route("/nodes/me/leaving", methods=["POST"])
@blp.arguments(LeavingSchema)
@blp.response(200, LeavesSchema)
@allow("node")
def announce_leaving(data: dict[str, Any]) -> dict[str, Any]:
    """Give notice: until the last day is over everything goes on, then the node has left.

    Another day may be said until then; the same one again changes nothing.
    """
    session = db.session()
    row = leaving.announce(session, hub(), current().id, data["last_day"], data["reason"])
    return {
        "last_day": row.leaving_on,
        "reason": row.leaving_reason,
        "announced_at": row.leaving_announced_at,
        "ends_at": leaving.ends_at(session, row.id, data["last_day"]),
    }


@blp.route("/nodes/me/leaving", methods=["DELETE"])
@blp.response(204)
@allow("node")
def stay() -> None:
    """Take the notice back, until the last day is over."""
    leaving.withdraw(db.session(), hub(), current().id)


@blp.route("/nodes/me/mark", methods=["POST"])
@blp.arguments(MarkSchema)
@blp.response(200, RememberedSchema)
@allow("node")
def hear_mark(data: dict[str, Any]) -> dict[str, Any]:
    """Tell one's mark and the last that the hub should have, and hear which it has.

    Another: one of us was restored from a backup, or the node runs twice.
    """
    session, now = db.session(), hub().clock.now()
    service.active_node(session, current().id)
    said = {name: data.get(name) for name in rollback_detection.SAID}
    if data["clock"] is not None:
        said["skew"] = skew(data["clock"], hub().clock.real())
    return rollback_detection.hear(session, now, current().id, data["mark"], data["last"], said)


def skew(theirs: datetime, ours: datetime) -> int:
    """Return by how many seconds a node's clock is ahead of ours, within what a column holds."""
    return max(-(2**31) + 1, min(round((theirs - ours).total_seconds()), 2**31 - 1))


@blp.route("/nodes/me/url", methods=["PUT"])
@blp.arguments(MoveSchema)
@blp.response(200, NodeSchema)
@allow("node")
def move(data: dict[str, Any]) -> Any:
    """Take a node's new address: it proves its key, answers there, and is confirmed.

    By its present address, if the node answers there that it moves; else by a coordinator:
    ``url-unconfirmed`` until then.
    """
    service.active_node(db.session(), current().id)
    return url_change.move(db.session(), hub(), current().id, **data)
