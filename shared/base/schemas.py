"""Wire schemas that hub and nodes both speak. Unknown fields are ignored: versions may differ."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from marshmallow import EXCLUDE, Schema, ValidationError, fields, pre_load, validate

from charter import PLAN_CLASSES

SPACE_ID = validate.Regexp(
    r"^[a-z0-9]+(-[a-z0-9]+)*\Z", error="Lower-case letters, digits and single dashes."
)
PASS_ID = validate.Regexp(r"^[A-Za-z0-9_-]{16,64}\Z", error="Not a pass number.")


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def unstorable(value: Any) -> bool:
    """NUL cannot be stored everywhere, and half a surrogate pair cannot be encoded."""
    return isinstance(value, str) and _UNSTORABLE.search(value) is not None


def _surely_storable(value: Any) -> bool:
    """Tell at once what nearly everything is; where not sure, each part is looked at."""
    try:
        return b"\\u0000" not in orjson.dumps(value)
    except TypeError:  # half a surrogate pair, or what is no JSON
        return False


def _find_unstorable(value: Any) -> Any:
    if unstorable(value):
        return ["This contains characters that cannot be stored."]
    if isinstance(value, dict):
        faults = {
            str(k).encode(errors="replace").decode(): fault
            for k, v in value.items()
            if (fault := _find_unstorable(k) or _find_unstorable(v))
        }
        return faults or None
    if isinstance(value, list):
        faults = {str(i): fault for i, v in enumerate(value) if (fault := _find_unstorable(v))}
        return faults or None
    return None


DEFAULT_ZONE = "Europe/Paris"  # where nothing says another
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def moment(**kwargs: Any) -> fields.AwareDateTime:
    """An instant that calendars can reckon with: days can be added to it, and zones applied."""
    return fields.AwareDateTime(validate=validate.Range(EARLIEST, LATEST), **kwargs)


def iso_date(value: str) -> None:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValidationError("A date like 2026-12-24 is expected.") from None


def known_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise ValidationError("A time zone like Europe/Paris is expected.") from None


class WireSchema(Schema):
    class Meta:
        unknown = EXCLUDE
        render_module = None

    @pre_load
    def _refuse_unstorable(self, data: Any, **_kwargs: Any) -> Any:
        if hasattr(data, "keys") and not _surely_storable(given := dict(data)):
            faults = _find_unstorable(given)
            if faults:
                raise ValidationError(faults)
        return data


def _not_blank(value: str) -> None:
    if not str(value).strip():
        raise ValidationError("This may not be blank.")


def text(longest: int, *, required: bool = True, **kwargs: Any) -> fields.String:
    """A string of 1 to ``longest`` characters, not of blanks alone."""
    checks: list[Any] = [validate.Length(min=1, max=longest), _not_blank]
    return fields.String(required=required, validate=checks, **kwargs)


class ProblemSchema(WireSchema):
    """An RFC 9457 problem document."""

    type = fields.Url(required=True, require_tld=False)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String()
    instance = fields.String()
    errors = fields.Dict(metadata={"description": "Faults by field, with 422."})
    decision = fields.Dict(metadata={"description": "The decision, when a visit is refused."})


class ReasonSchema(WireSchema):
    code = fields.String(required=True)
    article = fields.Integer(required=True)
    params = fields.Dict(required=True)
    message = fields.String(required=True)


class HalfDaysLeftSchema(WireSchema):
    host = fields.Integer(required=True, allow_none=True)
    network = fields.Integer(required=True, allow_none=True)


class TermsSchema(WireSchema):
    until = fields.String(
        required=True, allow_none=True, metadata={"description": "RFC 3339; null when closed."}
    )
    services = fields.List(fields.String(), required=True)
    half_days_left = fields.Nested(HalfDaysLeftSchema, required=True)


class DecisionSchema(WireSchema):
    """The outcome of evaluating the charter, as the door gives it."""

    outcome = fields.String(required=True, validate=validate.OneOf(["allowed", "refused"]))
    reasons = fields.List(fields.Nested(ReasonSchema), required=True)
    charter = fields.String(required=True)
    terms = fields.Nested(TermsSchema, required=True)
    online = fields.Boolean(required=True)
    unverified = fields.List(
        fields.String(), metadata={"description": "Codes that could not be checked offline."}
    )


class VisitSchema(WireSchema):
    id = fields.String(required=True)
    space = fields.String(required=True)
    home = fields.String(required=True, metadata={"description": "The member's home node."})
    plan = fields.String(required=True, validate=validate.OneOf(PLAN_CLASSES))
    started_at: fields.Field[Any] = fields.String(
        required=True, metadata={"description": "RFC 3339"}
    )
    ended_at: fields.Field[Any] = fields.String(required=True, allow_none=True)
    state = fields.String(required=True, validate=validate.OneOf(["open", "closed", "void"]))
    online = fields.Boolean(required=True)


class JwkSchema(WireSchema):
    """A public key. A private one was told to others already: it is refused, not trimmed."""

    kty = fields.String(required=True, validate=validate.Equal("OKP"))
    crv = fields.String(required=True, validate=validate.Equal("Ed25519"))
    x = text(64)
    kid = text(64, required=False)
    use = fields.String()

    @pre_load
    def _refuse_private(self, data: Any, **_kwargs: Any) -> Any:
        if isinstance(data, dict) and "d" in data:
            raise ValidationError({"d": ["this is a private key: send the public part alone"]})
        return data


class PhoneJwkSchema(JwkSchema):
    """A phone's public key: Ed25519, or P-256 where its browser has no Ed25519."""

    kty = fields.String(required=True, validate=validate.OneOf(["OKP", "EC"]))
    crv = fields.String(required=True, validate=validate.OneOf(["Ed25519", "P-256"]))
    y = text(64, required=False, metadata={"description": "Of a P-256 key."})
