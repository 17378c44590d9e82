"""What a coordinator types of a source, and of one listed space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import (
    BooleanField,
    DecimalField,
    FileField,
    IntegerField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from federation.listings import mapping as mappings
from federation.listings.mapping import LONGEST, LONGEST_DESCRIPTION, LONGEST_URL
from shared.base.mail_server import is_address
from shared.web.forms import Form
from shared.wire.events import is_web_address

MOST_CHARACTERS = lazy_gettext("At most %(max)d characters.")
LICENCES = (
    "Licence Ouverte 2.0",
    "ODbL 1.0",
    "CC BY 4.0",
    "CC BY-SA 4.0",
    "CC0 1.0",
)


def line(label: Any, longest: int, *checks: Any, required: bool = False, hint: Any = "") -> Any:
    first = DataRequired(lazy_gettext("This is needed.")) if required else Optional()
    return StringField(
        label,
        filters=[lambda text: " ".join((text or "").split())],
        validators=[first, Length(max=longest, message=MOST_CHARACTERS), *checks],
        description=hint,
    )


def _web(_form: Any, field: Any) -> None:
    if not is_web_address(field.data or ""):
        raise ValidationError(gettext("A web address starting with https:// is expected."))


def _mail(_form: Any, field: Any) -> None:
    if not is_address(field.data or ""):
        raise ValidationError(gettext("An address like contact@space.org is expected."))


class SourceForm(Form):
    name = line(
        lazy_gettext("Name of the source"),
        120,
        required=True,
        hint=lazy_gettext("Shown beside each of its spaces: who tells this?"),
    )
    licence = line(
        lazy_gettext("Licence"),
        120,
        required=True,
        hint=lazy_gettext("Under which its facts may be shown and passed on, like ODbL 1.0."),
    )
    attribution = line(
        lazy_gettext("Whom to name"),
        300,
        hint=lazy_gettext("As the licence asks for it, like © OpenStreetMap contributors."),
    )


class ExistingSourceForm(SourceForm):
    url = line(lazy_gettext("Address on the web"), 500, _web)
    refreshed = BooleanField(
        lazy_gettext("Read it again by itself, once a day"),
        description=lazy_gettext("For SpaceAPI documents; other lists are read when you ask."),
    )


class NewSourceForm(SourceForm):
    file = FileField(lazy_gettext("A file"))
    url = line(lazy_gettext("Or its address on the web"), 500, _web)


class SpaceForm(Form):
    name = line(lazy_gettext("Name"), LONGEST["name"], required=True)
    street = line(lazy_gettext("Number and street"), LONGEST["street"])
    postcode = line(lazy_gettext("Postcode"), LONGEST["postcode"])
    town = line(lazy_gettext("Town"), LONGEST["town"])
    latitude = DecimalField(
        lazy_gettext("Latitude"),
        places=6,
        validators=[
            Optional(),
            NumberRange(-90, 90, lazy_gettext("A number from -90 to 90 is expected.")),
        ],
    )
    longitude = DecimalField(
        lazy_gettext("Longitude"),
        places=6,
        validators=[
            Optional(),
            NumberRange(-180, 180, lazy_gettext("A number from -180 to 180 is expected.")),
        ],
    )
    description = TextAreaField(
        lazy_gettext("Description"),
        validators=[Length(max=LONGEST_DESCRIPTION, message=MOST_CHARACTERS)],
    )
    website = line(lazy_gettext("Web site"), LONGEST_URL, _web)
    email = line(lazy_gettext("E-mail"), 254, _mail)
    services = line(
        lazy_gettext("Services"),
        1000,
        hint=lazy_gettext("Separated by semicolons."),
    )
    capacity = IntegerField(
        lazy_gettext("Capacity"),
        validators=[
            Optional(),
            NumberRange(0, mappings.MOST_PEOPLE, lazy_gettext("Not a number of people.")),
        ],
    )
    opening_hours = line(lazy_gettext("Opening hours"), LONGEST["opening_hours"])

    def validate_longitude(self, field: Any) -> None:
        if (field.data is None) != (self.latitude.data is None):
            raise ValidationError(gettext("Latitude and longitude go together."))

    def validate_town(self, field: Any) -> None:
        if not field.data and self.latitude.data is None:
            raise ValidationError(gettext("Neither a town nor a place on the map."))

    def edits(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return what differs from the source's facts; None where a fact is taken away."""
        typed = {name: self[name].data for name in FIELDS}
        for name in ("latitude", "longitude"):
            typed[name] = None if typed[name] is None else round(float(typed[name]), 6)
        parts = [part.strip() for part in (typed["services"] or "").split(";")]
        typed["services"] = [p[: mappings.LONGEST_SERVICE] for p in dict.fromkeys(parts) if p]
        typed["description"] = (typed["description"] or "").strip()
        found = {name: None if value in ("", []) else value for name, value in typed.items()}
        return {name: value for name, value in found.items() if value != told.get(name)}


FIELDS = (
    *("name", "street", "postcode", "town", "latitude", "longitude", "description"),
    *("website", "email", "services", "capacity", "opening_hours"),
)


def space_form(facts: Mapping[str, Any], **more: Any) -> SpaceForm:
    """Return the form of a space that says these facts."""
    values = {name: facts.get(name) for name in FIELDS}
    return SpaceForm(data={**values, "services": "; ".join(facts.get("services", ()))}, **more)
