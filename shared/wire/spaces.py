"""A space's published document: its wire schema, and the facts that the door takes from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from charter.conditions import (
    CANCEL_HOURS,
    RELEASE_MINUTES,
    ConditionsError,
    read_conditions,
)
from charter.hours import HoursError, Schedule, read_schedule
from charter.values import LEVELS
from shared.base.schemas import DEFAULT_ZONE, SPACE_ID, WireSchema, iso_date, text
from shared.wire.documents import index_field
from shared.wire.events import MOST_EVENTS, EventSchema, is_web_address
from shared.wire.sheet import HALF_DAYS, AboutSchema, AccessSchema

PRICE_UNITS = ("hour", "half_day", "day", "month", "quarter", "year", "pack")
ROOM_KINDS = ("open_space", "office", "meeting", "kitchen", "lockers", "event", "other")
MOST_DATES = 800
MOST_PHOTOS = 12
MOST_PRICES = 60


class AddressSchema(WireSchema):
    street = fields.String(allow_none=True, validate=validate.Length(max=200))
    postcode = fields.String(allow_none=True, validate=validate.Length(max=12))
    town = text(120)
    country = fields.String(load_default="FR", validate=validate.Length(equal=2))


class RoomSchema(WireSchema):
    name = text(120)
    kind = fields.String(required=True, validate=validate.OneOf(ROOM_KINDS))
    seats = fields.Integer(allow_none=True, validate=validate.Range(0, 10_000))
    area_m2 = fields.Integer(allow_none=True, validate=validate.Range(0, 1_000_000))
    half_days = fields.List(
        fields.String(validate=validate.OneOf(HALF_DAYS)),
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=len(HALF_DAYS)),
        metadata={"description": "When visitors may use it; null: whenever it is open."},
    )


class PriceSchema(WireSchema):
    label = text(120)
    cents = fields.Integer(required=True, validate=validate.Range(0, 100_000_000))
    currency = fields.String(load_default="EUR", validate=validate.Length(equal=3))
    unit = fields.String(required=True, validate=validate.OneOf(PRICE_UNITS))
    quantity = fields.Integer(load_default=1, validate=validate.Range(1, 1000))
    audience = fields.String(
        load_default="",
        validate=validate.Length(max=20),
        metadata={"description": "Whom a preferential price is for; empty: everybody."},
    )


class PhotoSchema(WireSchema):
    """A picture of the space, at its node's address; the texts say what it shows."""

    url = text(300, metadata={"description": "At most 1600 pixels a side."})
    thumbnail = text(300, metadata={"description": "At most 480 pixels a side."})
    alt_fr = text(300)
    alt_en = fields.String(load_default="", validate=validate.Length(max=300))
    credit = fields.String(load_default="", validate=validate.Length(max=120))
    width = fields.Integer(required=True, validate=validate.Range(1, 20_000))
    height = fields.Integer(required=True, validate=validate.Range(1, 20_000))

    @validates_schema
    def _check(self, data: dict[str, Any], **_kwargs: Any) -> None:
        faults = {
            name: ["A web address starting with https:// is expected."]
            for name in ("url", "thumbnail")
            if isinstance(data.get(name), str) and not is_web_address(data[name])
        }
        if faults:
            raise ValidationError(faults)


def photos_at(document: Mapping[str, Any], origin: str) -> list[Mapping[str, Any]]:
    """Return the photos of a document that are at an origin: a page that shows it asks no other."""
    return [
        photo
        for photo in document.get("photos", ())
        if all(photo[name].startswith(f"{origin}/") for name in ("url", "thumbnail"))
    ]


def _strings(longest: int) -> fields.List[Any]:
    return fields.List(text(longest), load_default=list, validate=validate.Length(max=60))


class ConditionsSchema(WireSchema):
    """The house conditions of visitors, within the charter's bounds."""

    guests = fields.Dict(
        load_default=dict,
        metadata={"description": "mo…su: places where they differ, or [morning, afternoon]."},
    )
    release = fields.List(
        fields.String(allow_none=True),
        load_default=None,
        allow_none=True,
        metadata={"description": "When free places go back to the house: [morning, afternoon]."},
    )
    closed = fields.List(
        fields.String(),
        load_default=list,
        metadata={"description": "Dates on which the space is open, but not to visitors."},
    )
    notice_hours = fields.Integer(load_default=0)
    included = fields.List(
        text(120),
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=60),
        metadata={"description": "Services that visitors have; null: all."},
    )
    cancel_hours = fields.Integer(load_default=CANCEL_HOURS)
    release_minutes = fields.Integer(load_default=RELEASE_MINUTES)
    note_fr = fields.String(load_default="", validate=validate.Length(max=1000))
    note_en = fields.String(load_default="", validate=validate.Length(max=1000))


class StorySchema(WireSchema):
    """A value, and the anecdote that proves it."""

    value = text(120)
    text = text(1000)


class AssessmentSchema(WireSchema):
    """Where a space says it stands on a shared value."""

    year = fields.Integer(required=True, validate=validate.Range(2000, 2200))
    value = fields.String(required=True, validate=validate.Regexp(r"^[a-z0-9-]{1,80}\Z"))
    level = fields.Integer(required=True, validate=validate.OneOf(LEVELS))
    evidence = text(1000)


class SpaceSchema(WireSchema):
    """Identity, hours, rooms, prices, services, values and roaming terms of one space."""

    id = text(64, metadata={"description": "Given once, unique in the network."})
    name = text(120)
    description = fields.String(load_default="", validate=validate.Length(max=4000))
    address = fields.Nested(AddressSchema, required=True)
    latitude = fields.Float(allow_none=True, validate=validate.Range(-90, 90))
    longitude = fields.Float(allow_none=True, validate=validate.Range(-180, 180))
    timezone = fields.String(load_default=DEFAULT_ZONE, validate=validate.Length(max=40))
    week = fields.Dict(load_default=dict, metadata={"description": "mo…su: pairs of times."})
    exceptions = fields.Dict(
        load_default=dict, metadata={"description": "Dates that differ; an empty list is closed."}
    )
    until = fields.String(
        load_default=None, allow_none=True, metadata={"description": "A temporary site's last day."}
    )
    opening_hours = fields.String(
        load_default="",
        validate=validate.Length(max=20_000),
        metadata={"description": "The same hours as OpenStreetMap writes them."},
    )
    capacity = fields.Integer(allow_none=True, validate=validate.Range(0, 10_000))
    capacities = fields.Dict(
        keys=fields.String(validate=iso_date),
        values=fields.Integer(validate=validate.Range(0, 10_000)),
        load_default=dict,
        validate=validate.Length(max=MOST_DATES),
        metadata={"description": "Dates on which it holds another number of people."},
    )
    occasions = fields.Dict(
        keys=fields.String(validate=iso_date),
        values=fields.String(validate=validate.Length(max=120)),
        load_default=dict,
        validate=validate.Length(max=MOST_DATES),
        metadata={"description": "What a date that differs is called."},
    )
    area_m2 = fields.Integer(allow_none=True, validate=validate.Range(0, 1_000_000))
    about = fields.Nested(AboutSchema, load_default=dict)
    access = fields.Nested(AccessSchema, load_default=dict)
    legal_form = fields.String(load_default="", validate=validate.Length(max=200))
    transport = fields.String(load_default="", validate=validate.Length(max=500))
    website = fields.String(load_default="", validate=validate.Length(max=300))
    email = fields.String(load_default="", validate=validate.Length(max=254))
    guest_cap = fields.Integer(load_default=1, validate=validate.Range(0, 1000))
    paused = fields.Boolean(load_default=False)
    conditions = fields.Nested(ConditionsSchema, load_default=dict)
    project = fields.Boolean(load_default=False, metadata={"description": "In project."})
    rooms = fields.List(
        fields.Nested(RoomSchema), load_default=list, validate=validate.Length(max=60)
    )
    prices = fields.List(
        fields.Nested(PriceSchema), load_default=list, validate=validate.Length(max=MOST_PRICES)
    )
    services = _strings(120)
    values = _strings(120)
    stories = fields.List(
        fields.Nested(StorySchema), load_default=list, validate=validate.Length(max=60)
    )
    assessments = fields.List(
        fields.Nested(AssessmentSchema), load_default=list, validate=validate.Length(max=200)
    )
    events = fields.List(
        fields.Nested(EventSchema),
        load_default=list,
        validate=validate.Length(max=MOST_EVENTS),
        metadata={"description": "Those that are not over, of the coming year."},
    )
    photos = fields.List(
        fields.Nested(PhotoSchema), load_default=list, validate=validate.Length(max=MOST_PHOTOS)
    )
    page = fields.String(load_default="", validate=validate.Length(max=300))

    @validates_schema
    def _check(self, data: dict[str, Any], **_kwargs: Any) -> None:
        faults: dict[str, list[str]] = {}
        if isinstance(data.get("id"), str):
            try:
                SPACE_ID(data["id"])
            except ValidationError as error:
                faults["id"] = [str(error.messages[0])]
        for name in ("website", "page"):
            if data.get(name) and not data[name].startswith(("https://", "http://")):
                faults[name] = ["A web address starting with https:// is expected."]
        # A document of one subject has only some of these fields.
        try:
            if data.keys() & {"timezone", "week", "exceptions"}:
                read_schedule({"timezone": DEFAULT_ZONE, **data})
        except HoursError as error:
            name, _, message = str(error).partition(": ")
            faults[name.split(".")[0]] = [message]
        try:
            if data.keys() & {"guest_cap", "conditions"}:
                read_conditions({"guest_cap": 1, **data})
        except ConditionsError as error:
            faults["conditions"] = [str(error)]
        if faults:
            raise ValidationError(faults)


class PublicationSchema(WireSchema):
    """What ``/.well-known/passerelle`` carries, signed by the node."""

    iss = text(64)
    iat = fields.Integer(required=True)
    revision = fields.Integer(required=True, validate=validate.Range(0, 2**31 - 1))
    name = text(120)
    plans = fields.Dict(
        keys=fields.String(validate=validate.Length(max=40)),
        values=fields.Integer(allow_none=True, validate=validate.Range(0, 10_000)),
        load_default=dict,
        metadata={"description": "Half-days a month by plan class; null: no limit at home."},
    )
    spaces = fields.List(fields.Dict(), required=True, validate=validate.Length(max=200))
    documents = index_field(load_default=dict)


def is_bookable(kind: str, half_days: Sequence[str] | None) -> bool:
    """Tell whether visitors may book a room: meeting rooms, and those that say when."""
    return kind == "meeting" if half_days is None else bool(half_days)


PUBLICATION_TYP = "passerelle-publication+jwt"


def capacity_on(document: Mapping[str, Any], day: date) -> int | None:
    """Return how many people a space holds on a day: an event may change it."""
    own: int | None = document.get("capacity")
    return (document.get("capacities") or {}).get(day.isoformat(), own)


def is_over(schedule: Schedule, day: date) -> bool:
    """Tell whether a temporary site's last day is before this one."""
    return schedule.until is not None and day > schedule.until


def host_facts(document: Mapping[str, Any], schedule: Schedule, now: datetime) -> dict[str, Any]:
    """Return the part of ``Facts`` that a space says of itself; presence is added by the caller."""
    opening = schedule.opening_at(now)
    conditions = read_conditions(document)
    local = now.astimezone(schedule.zone)
    today, included = local.date(), conditions.included
    return {
        "space": document["id"],
        "paused": bool(document.get("paused")),
        "closed_date": conditions.closed_on(today),
        # That it is over is known, whatever is known of its hours.
        "hours_known": schedule.known or is_over(schedule, today),
        "opening": opening,
        "next_opening": None if opening else schedule.next_opening(now),
        "timezone": str(schedule.zone),
        "guest_cap": conditions.guests_at(local),
        "capacity": capacity_on(document, today),
        "services": tuple(document.get("services", ()) if included is None else included),
    }
