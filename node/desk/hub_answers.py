"""What the hub answers about a visit. Anything that is not in its own form is no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from shared.base.schemas import DecisionSchema, VisitSchema, WireSchema, moment
from shared.net.http import Answer, PeerError
from shared.wire.reports import MAX_RECEIPT_BYTES


class _ToldVisitSchema(VisitSchema):
    started_at = moment(required=True)
    ended_at = moment(required=True, allow_none=True)
    held = fields.String(allow_none=True, validate=validate.Length(max=20))


class _RecordedSchema(WireSchema):
    visit = fields.Nested(_ToldVisitSchema, required=True)
    decision = fields.Nested(DecisionSchema, required=True)
    receipt = fields.String(allow_none=True, validate=validate.Length(max=MAX_RECEIPT_BYTES))


_schema = _RecordedSchema()
_decision = DecisionSchema()


def recorded(answer: Answer) -> Mapping[str, Any] | None:
    """Return the ``visit``, ``decision`` and ``receipt`` of a 200 or 201; None if it has none."""
    try:
        document = answer.json()
    except PeerError:
        return None
    if not isinstance(document, dict) or _schema.validate(document):
        return None
    return {**document, "receipt": document.get("receipt") or ""}


def decided(answer: Answer) -> Mapping[str, Any] | None:
    """Return the ``decision`` in an answer; None if it has none in its own form."""
    document = answer.json() if answer.body else None
    found = document.get("decision") if isinstance(document, dict) else None
    return found if isinstance(found, dict) and not _decision.validate(found) else None
