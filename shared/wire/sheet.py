"""What a space's identity sheet may say besides its name and place: words, codes, wire schemas."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext
from marshmallow import ValidationError, fields, validate, validates_schema

from shared.base.schemas import WireSchema, text

KINDS = {
    "coworking": lazy_gettext("coworking: people work together"),
    "telecentre": lazy_gettext("telecentre: people work side by side"),
    "both": lazy_gettext("coworking and telework"),
    "fablab": lazy_gettext("fablab or workshop"),
    "other": lazy_gettext("another kind of place"),
}
ACCESS = {
    "step_free": lazy_gettext("step-free entrance"),
    "lift": lazy_gettext("lift, or everything on one level"),
    "toilet": lazy_gettext("accessible toilet"),
    "parking": lazy_gettext("reserved parking place"),
    "hearing_loop": lazy_gettext("hearing loop"),
    "guide_dogs": lazy_gettext("guide dogs welcome"),
    "quiet_room": lazy_gettext("quiet room"),
}
# Whom a preferential price is for; "" is everybody.
AUDIENCES = {
    "": lazy_gettext("everybody"),
    "subscriber": lazy_gettext("subscribers"),
    "student": lazy_gettext("students"),
    "job_seeker": lazy_gettext("job seekers"),
    "association": lazy_gettext("associations"),
}
HALF_DAYS = tuple(
    f"{day}-{half}" for day in ("mo", "tu", "we", "th", "fr", "sa", "su") for half in ("am", "pm")
)
MOST_SHARES, MOST_PARTNERS = 20, 60


def line(longest: int) -> fields.String:
    return fields.String(load_default="", validate=validate.Length(max=longest))


class ShareSchema(WireSchema):
    """A part of the people who use a space."""

    label = text(80)
    percent = fields.Integer(required=True, validate=validate.Range(0, 100))


class AboutSchema(WireSchema):
    """Who runs a space, since when, with whom and for whom. What is not known is null or empty."""

    kind = fields.String(load_default="", validate=validate.OneOf(["", *KINDS]))
    opened_year = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(1800, 2200)
    )
    owner = line(200)
    manager = line(200)
    team = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(0, 10_000))
    governance = line(1000)
    partners = fields.List(
        text(120), load_default=list, validate=validate.Length(max=MOST_PARTNERS)
    )
    virtual_visit = line(300)
    fibre = fields.Boolean(load_default=None, allow_none=True)
    average_age = fields.Integer(
        load_default=None, allow_none=True, validate=validate.Range(1, 120)
    )
    by_profile = fields.List(
        fields.Nested(ShareSchema), load_default=list, validate=validate.Length(max=MOST_SHARES)
    )
    by_town = fields.List(
        fields.Nested(ShareSchema), load_default=list, validate=validate.Length(max=MOST_SHARES)
    )
    audience = line(1000)

    @validates_schema
    def _check(self, data: dict[str, Any], **_kwargs: Any) -> None:
        link = data.get("virtual_visit")
        if link and not link.startswith(("https://", "http://")):
            fault = "A web address starting with https:// is expected."
            raise ValidationError({"virtual_visit": [fault]})
        for name in ("by_profile", "by_town"):
            if sum(share["percent"] for share in data.get(name, ())) > 100:
                raise ValidationError({name: ["These come to more than 100 %."]})


class AccessSchema(WireSchema):
    """How somebody with a disability gets in and about; an empty list says nothing."""

    features = fields.List(
        fields.String(validate=validate.OneOf(list(ACCESS))),
        load_default=list,
        validate=validate.Length(max=len(ACCESS)),
    )
    note = line(1000)
