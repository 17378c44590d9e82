"""A space's events as they are published, and which of them are coming."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from shared.base.schemas import EARLIEST, LATEST, WireSchema, text

OPEN_TO = ("everyone", "subscribers")
MOST_EVENTS = 100
SHOWN_AHEAD = timedelta(days=60)

# RFC 3339, section 5.6; fromisoformat() takes more than that.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)", re.ASCII)
# One line without blanks: a calendar file holds it as it is.
_WEB_ADDRESS = re.compile(r"https?://[^\s\x00-\x1f\x7f]+")


def is_web_address(value: str) -> bool:
    return _WEB_ADDRESS.fullmatch(value) is not None


def _instant(value: str) -> None:
    try:
        instant = datetime.fromisoformat(value) if _INSTANT.fullmatch(value) else None
    except ValueError:
        instant = None
    if instant is None or not EARLIEST <= instant < LATEST:
        raise ValidationError("Not a valid aware datetime.")


class EventSchema(WireSchema):
    """Something that happens at a space. Times stay the texts they were, with their offset."""

    id = fields.String(required=True, validate=validate.Regexp(r"^[A-Za-z0-9_-]{1,64}\Z"))
    title = text(120)
    description = fields.String(load_default="", validate=validate.Length(max=2000))
    starts_at = fields.String(
        required=True, validate=_instant, metadata={"description": "RFC 3339, with its offset."}
    )
    ends_at = fields.String(required=True, validate=_instant)
    place = fields.String(
        load_default="",
        validate=validate.Length(max=200),
        metadata={"description": "Where, if not at the space itself."},
    )
    url = fields.String(load_default="", validate=validate.Length(max=300))
    open_to = fields.String(load_default="everyone", validate=validate.OneOf(OPEN_TO))
    cancelled = fields.Boolean(load_default=False)

    @validates_schema
    def _check(self, data: dict[str, Any], **_kwargs: Any) -> None:
        faults: dict[str, list[str]] = {}
        if data.get("url") and not is_web_address(data["url"]):
            faults["url"] = ["A web address starting with https:// is expected."]
        starts_at, ends_at = span(data)
        if ends_at <= starts_at:
            faults["ends_at"] = ["The end is not after the beginning."]
        if faults:
            raise ValidationError(faults)


def span(event: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return when a published event begins and ends."""
    return datetime.fromisoformat(event["starts_at"]), datetime.fromisoformat(event["ends_at"])


def coming(document: Mapping[str, Any], now: datetime) -> list[Mapping[str, Any]]:
    """Return what a space's page shows: the events that are not over, of the next 60 days."""
    events = document.get("events", ())
    return sorted(
        (e for e in events if span(e)[1] > now and span(e)[0] < now + SHOWN_AHEAD),
        key=lambda event: span(event)[0],
    )
