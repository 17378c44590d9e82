"""What the API of visits takes and answers."""

from __future__ import annotations

from datetime import UTC, datetime

from marshmallow import fields, validate

from charter import PLAN_CLASSES
from shared.base.schemas import DecisionSchema, VisitSchema, WireSchema, moment, text
from shared.web.paging import Paging, page_limit, page_of


class ReportedSchema(WireSchema):
    report = text(40_000, metadata={"description": "The visit, a JWS by the host node."})


class RecordedVisitSchema(VisitSchema):
    host = fields.String(required=True)
    day = fields.Date(required=True, metadata={"description": "The day on which the house opened."})
    held = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Why it counts nothing until the coordination lets it; else null."
        },
    )
    timezone = fields.String(metadata={"description": "The clock of the space."})
    flags = fields.List(fields.String(), required=True)
    charter = fields.String(required=True)
    changed_at = fields.String(required=True)


class AskedCorrectionSchema(WireSchema):
    reason = fields.String(required=True)
    asked_at = fields.String(required=True)
    answer = fields.String(required=True, allow_none=True)
    answered_at = fields.String(required=True, allow_none=True)


class ListedVisitSchema(RecordedVisitSchema):
    half_days = fields.Integer(required=True, metadata={"description": "Counted so far."})
    correction = fields.Nested(
        AskedCorrectionSchema,
        required=True,
        allow_none=True,
        metadata={"description": "What the visitor asks to have put right."},
    )
    receipt = fields.String(
        metadata={"description": "The hub's receipt, for the host that asks for its own."}
    )


class DayQuerySchema(WireSchema):
    since = fields.Date(required=True)


class DaySchema(WireSchema):
    day = fields.Date(required=True)
    sha256 = fields.String(required=True)


DaysSchema = page_of("Days", DaySchema)


class AskCorrectionSchema(WireSchema):
    member = text(64, metadata={"description": "The home's reference of the visitor."})
    reason = text(500)


class AnswerSchema(WireSchema):
    answer = text(500)
    reason = text(
        500,
        required=False,
        metadata={"description": "What was asked, should the hub have lost it."},
    )
    asked_at = moment()


class RecordedSchema(WireSchema):
    visit = fields.Nested(RecordedVisitSchema, required=True)
    decision = fields.Nested(DecisionSchema, required=True)
    receipt = fields.String(
        required=True,
        metadata={"description": "A JWS by the hub: what a host tells again a hub that lost it."},
    )


class ShowingSchema(WireSchema):
    showing = fields.String(required=True, validate=validate.Regexp(r"^[0-9a-f]{64}\Z"))
    space = text(64)
    at = moment(required=True)


class ShowingsSchema(WireSchema):
    showings = fields.List(
        fields.Nested(ShowingSchema), required=True, validate=validate.Length(1, 100)
    )


class DecidedSchema(WireSchema):
    decision = fields.Nested(DecisionSchema, required=True)


class MomentSchema(WireSchema):
    at = moment(required=True)


class VoidSchema(MomentSchema):
    reason = text(300)


class DecideHeldSchema(WireSchema):
    counts = fields.Boolean(required=True)
    reason = text(300)


def _change(key: str) -> tuple[datetime, str]:
    instant, _, visit_id = key.partition("/")
    return datetime.fromisoformat(instant).astimezone(UTC), visit_id


VISITS = Paging("visits", lambda row: f"{row.changed_at.isoformat()}/{row.id}", _change, None)
PASSES = Paging("passes", lambda row: str(row["id"]))


class VisitsQuerySchema(WireSchema):
    changed_since = moment()
    side = fields.String(load_default="host", validate=validate.OneOf(["host", "home"]))
    member = fields.String(
        validate=validate.Length(min=1, max=64),
        metadata={"description": "With side=home: one of the home's own, by its reference."},
    )
    day = fields.Date(metadata={"description": "Those that began on this day, in UTC."})
    held = fields.Boolean(
        load_default=False, metadata={"description": "Those alone that count nothing yet."}
    )
    receipts = fields.Boolean(
        load_default=False, metadata={"description": "With side=host: a receipt of each."}
    )
    limit = page_limit(50)
    cursor = VISITS.field


VisitsSchema = page_of("Visits", ListedVisitSchema)


class PassSchema(WireSchema):
    member = text(64, metadata={"description": "The home's random reference for the person."})
    member_since = fields.Date(required=True)
    status = fields.String(
        required=True, validate=validate.OneOf(["valid", "revoked", "suspended"])
    )

    changes = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": "Goes up with each change: an earlier word changes nothing."},
    )
    number = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": "Its place in the status list."},
    )
    expires_at = moment(load_default=None, allow_none=True)


class KnownPassSchema(PassSchema):
    id = fields.String(required=True)
    member_since = fields.Date(required=True, allow_none=True)


class PassesQuerySchema(WireSchema):
    cursor = PASSES.field


PassesSchema = page_of("Passes", KnownPassSchema)


class RightsAskedSchema(WireSchema):
    member = text(64)
    plan = fields.String(required=True, validate=validate.OneOf(PLAN_CLASSES))
    member_since = fields.Date(required=True)
    space = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=64))
    at = moment(load_default=None, allow_none=True)


class RightsQuerySchema(WireSchema):
    space = fields.String(load_default=None, validate=validate.Length(max=64))
    at = moment(load_default=None)


class RightSchema(WireSchema):
    space = fields.String(required=True)
    decision = fields.Nested(DecisionSchema, required=True)


RightsSchema = page_of(
    "Rights",
    RightSchema,
    decision=fields.Nested(
        DecisionSchema,
        metadata={"description": "The one decision, when one space was asked for."},
    ),
)
