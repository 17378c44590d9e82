"""JSON of the desk: check-in, preview, check-out, void, presence (contract, section 3)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response
from flask_babel import get_locale
from flask_wtf.csrf import generate_csrf
from marshmallow import ValidationError, fields, validate, validates_schema

from charter import localise
from node.context import node
from node.db import db
from node.desk import digits, from_home, idempotency, offline_bundle, paper_card, service
from node.desk.from_home import AtHome
from node.spaces.space_row import find_space
from node.visits import presence
from node.visits.scan import at_door
from shared.base.schemas import DecisionSchema, VisitSchema, WireSchema, moment, text
from shared.web import allow, current
from shared.web.api import Blueprint
from shared.web.paging import page_of
from shared.wire.problems import problem_response

blp = Blueprint("desk", __name__, url_prefix="/api/v1", description="The door")


class ScanSchema(WireSchema):
    space = text(64)


# ``pass`` cannot be a Python attribute name. Longer than any pass, so that a wrong code is
# answered as a refused pass rather than as a malformed request.
ScanSchema._declared_fields["pass"] = fields.String(  # noqa: SLF001
    required=True,
    validate=validate.Length(min=1, max=100_000),
    metadata={"description": "The text of the QR."},
)


class PreviewSchema(ScanSchema):
    pin = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=20),
        metadata={"description": "With a paper card: what its bearer says."},
    )


class DoorScanSchema(PreviewSchema):
    """Either the text of a code, or the home and the six digits that a visitor says."""

    home = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=64),
        metadata={"description": "With digits: the id of the visitor's home."},
    )
    code = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=20),
        metadata={"description": "Six digits of the visitor's phone, in place of ``pass``."},
    )

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _one_of_both(self, _data: Any, original: Any, **_kwargs: Any) -> None:
        given = original if isinstance(original, dict) else {}
        typed = [name for name in ("home", "code") if given.get(name) is not None]
        if "pass" in given:
            if typed:
                raise ValidationError({name: ["Not together with a pass."] for name in typed})
        elif not typed:
            raise ValidationError({"pass": ["Missing data for required field."]})
        elif len(typed) == 1:
            missing = "code" if typed == ["home"] else "home"
            raise ValidationError({missing: ["Missing data for required field."]})


DoorScanSchema._declared_fields["pass"] = fields.String(  # noqa: SLF001
    validate=validate.Length(min=1, max=100_000),
    metadata={"description": "The text of the QR, plain or PX1."},
)


class LateScanSchema(ScanSchema):
    at = moment(required=True, metadata={"description": "When the code was scanned, in real time."})


class KitQuerySchema(WireSchema):
    space = text(64)


class KeySchema(WireSchema):
    key = fields.String(
        data_key="Idempotency-Key",
        load_default=None,
        metadata={"description": "Repeats of one request carry the same key."},
    )


class DeskVisitSchema(VisitSchema):
    given_name = fields.String(required=True)
    local = fields.Boolean(required=True, metadata={"description": "A member of this house."})
    delivered = fields.Boolean(required=True, metadata={"description": "The hub has it."})
    held = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why the coordination looks at it before it counts anything."},
    )


class AdmittedSchema(WireSchema):
    visit = fields.Nested(DeskVisitSchema, required=True)
    decision = fields.Nested(DecisionSchema, required=True)


class ClockSchema(WireSchema):
    wrong = fields.String(required=True, validate=validate.OneOf(["hub", "node"]))
    seconds = fields.Integer(required=True, metadata={"description": "How far this node is ahead."})


class AtDoorSchema(AdmittedSchema):
    clock = fields.Nested(
        ClockSchema,
        metadata={"description": "Where hub and node differ, so that the door decides alone."},
    )


class DecidedSchema(WireSchema):
    decision = fields.Nested(DecisionSchema, required=True)


class VoidSchema(WireSchema):
    reason = text(300)


class PresenceQuerySchema(WireSchema):
    space = text(64)


PresenceSchema = page_of("Presence", DeskVisitSchema)


def to_dict(visit: Any) -> dict[str, Any]:
    """Return a visit's JSON, as the desk sees it."""
    return {
        "id": visit.id,
        "space": visit.space_id,
        "home": visit.home_id or "",
        "plan": visit.plan,
        "given_name": visit.given_name,
        "started_at": visit.started_at.isoformat(),
        "ended_at": visit.ended_at.isoformat() if visit.ended_at else None,
        "state": visit.state,
        "online": visit.online,
        "local": visit.local,
        "delivered": visit.delivered,
        "held": visit.held,
    }


@at_door()
def scan(
    space_id: str,
    shown_pass: str,
    key: str | None,
    late: datetime | None = None,
    pin: str | None = None,
    typed: tuple[str, str] | None = None,
) -> tuple[int, dict[str, Any]]:
    """Check in, and return status and body; a key that was used before gets the same body.

    ``late`` is when the scan was, for one that a desk's browser took alone; ``typed`` are a home
    and six digits in place of a pass.
    """
    session, clock, account_id = db.session(), node().clock, current().id
    at_home = _at_home(shown_pass, pin, typed) if late is None else None
    asked = {"space": space_id, "pass": shown_pass}
    secret = node().settings.secret_key
    live = idempotency.fingerprint(asked, secret)
    if late and key and idempotency.is_used(session, account_id, key, live):
        key = None  # of the scan that got no answer in time: the showing is the same visit
    asked |= {"at": late.isoformat()} if late else {}
    asked |= {"pin": pin} if pin else {}
    asked |= {"home": typed[0], "code": typed[1]} if typed else {}
    body_sha256 = idempotency.fingerprint(asked, secret)
    if key is not None:
        idempotency.check_unused(session, account_id, key, body_sha256)
        find_space(session, space_id)  # no key is used up by a space that is not there
        before = idempotency.claim(session, clock.now(), account_id, key, body_sha256)
        if before is not None:
            return before
    if at_home is not None:
        outcome = from_home.check_in(session, node(), space_id, at_home)
    elif late is None:
        outcome = service.check_in(session, node(), space_id, shown_pass)
    else:
        outcome = service.check_in_late(session, node(), space_id, shown_pass, late)
    body = {"decision": dict(outcome.decision)}
    status = 403
    if outcome.visit is not None:
        status = 201 if outcome.kind == "admitted" else 200
        body = {"visit": to_dict(outcome.visit), **body}
    if key is not None:
        idempotency.store(session, account_id, key, status, body)
    return status, body


def _at_home(text: str, pin: str | None, typed: tuple[str, str] | None) -> AtHome | None:
    """Return what its home is asked about, if that is what was shown. Raises ValidationError."""
    if typed is not None:
        return digits.read(db.session(), node(), *typed)
    return paper_card.read(db.session(), node(), text, pin)


def _localised(body: dict[str, Any]) -> dict[str, Any]:
    decision = body["decision"]
    if not decision:
        return body
    return {**body, "decision": localise(decision, str(get_locale()))}


@blp.route("/check-ins", methods=["POST"])
@blp.arguments(DoorScanSchema)
@blp.arguments(KeySchema, location="headers")
@blp.response(201, AtDoorSchema)
@blp.alt_response(200, schema=AtDoorSchema, description="Here already, or answered before")
@allow("desk")
def check_in(data: dict[str, Any], header: dict[str, Any]) -> Any:
    """Decide on a scanned pass and record the visit."""
    key = idempotency.check_key(header["key"])
    typed = None if "pass" in data else (data["home"], data["code"])
    status, body = scan(data["space"], data.get("pass", ""), key, pin=data["pin"], typed=typed)
    body = _localised(body)
    if status == 403:
        return problem_response("visit-refused", decision=body["decision"])
    hub = node().hub
    if hub.wrong_clock:
        body["clock"] = {"wrong": hub.wrong_clock, "seconds": hub.ahead}
    return body, status


@blp.route("/check-ins/late", methods=["POST"])
@blp.arguments(LateScanSchema)
@blp.arguments(KeySchema, location="headers")
@blp.response(201, AdmittedSchema)
@blp.alt_response(200, schema=AdmittedSchema, description="Known already")
@allow("desk")
def check_in_late(data: dict[str, Any], header: dict[str, Any]) -> Any:
    """Record a scan that a desk's browser decided alone while this node did not answer."""
    key = idempotency.check_key(header["key"])
    status, body = scan(data["space"], data["pass"], key, data["at"])
    body = _localised(body)
    if status == 403:
        return problem_response("visit-refused", decision=body["decision"])
    return body, status


@blp.route("/desk-kit")
@blp.arguments(KitQuerySchema, location="query")
@blp.response(200)
@allow("desk")
def desk_kit(query: dict[str, Any]) -> dict[str, Any]:
    """What a desk's browser needs to go on alone: keys, status lists, and decisions by plan."""
    found = offline_bundle.desk_kit(db.session(), node(), query["space"], str(get_locale()))
    return {**found, "csrf": generate_csrf()} if current().by == "login" else found


@blp.route("/check-ins/preview", methods=["POST"])
@blp.arguments(PreviewSchema)
@blp.response(200, DecidedSchema)
@allow("desk")
def preview(data: dict[str, Any]) -> dict[str, Any]:
    """The decision that the door would take; nothing is recorded."""
    session, space_id, shown_pass = db.session(), data["space"], data["pass"]
    paper = paper_card.read(session, node(), shown_pass, data["pin"])
    if paper is not None:
        decision = from_home.preview(session, node(), space_id, paper)
    else:
        decision = service.preview(session, node(), space_id, shown_pass)
    return {"decision": localise(decision, str(get_locale()))}


@blp.route("/check-ins/<visit_id>/check-out", methods=["POST"])
@blp.response(200, DeskVisitSchema)
@allow("desk")
def check_out(visit_id: str) -> dict[str, Any]:
    """End a visit."""
    return to_dict(presence.check_out(db.session(), node(), visit_id))


@blp.route("/check-ins/<visit_id>/void", methods=["POST"])
@blp.arguments(VoidSchema)
@blp.response(200, DeskVisitSchema)
@allow("desk")
def void(data: dict[str, Any], visit_id: str) -> dict[str, Any]:
    """Undo a check-in that was a mistake, while the charter allows it."""
    return to_dict(presence.void(db.session(), node(), visit_id, data["reason"]))


@blp.route("/presence")
@blp.arguments(PresenceQuerySchema, location="query")
@blp.response(200, PresenceSchema)
@allow("desk")
def who_is_here(query: dict[str, Any]) -> dict[str, Any] | Response:
    """Who is here."""
    found = presence.presence(db.session(), query["space"])
    return {"items": [to_dict(visit) for visit in found], "next_cursor": None}
