"""The identity sheet in sections, in the order of an interview: one short form each."""

from __future__ import annotations

import re
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import (
    BooleanField,
    DateField,
    EmailField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from node.spaces.forms import DegreesField, LinesField, SharesField, text_field, whole_field
from node.spaces.models import Space
from node.spaces.section import Section, answered
from node.spaces.tables import HoursForm, PricesForm, RoomsForm
from node.spaces.whereabouts import ZONES, whereabouts
from shared.wire.sheet import ACCESS, KINDS


def _web_address(_form: Any, field: Any) -> None:
    if field.data and not field.data.startswith(("https://", "http://")):
        raise ValidationError(gettext("A web address starting with https:// is expected."))


def _link_field(label: Any) -> StringField:
    return StringField(label, [Optional(), Length(max=300), _web_address])


class IdentityForm(Section):
    columns = ("name", "description", "project", "until")
    about = ("kind", "opened_year")

    name = text_field(lazy_gettext("Name of the space"), 120, required=True)
    description = text_field(lazy_gettext("In a few words"), 4000, area=True)
    kind = SelectField(
        lazy_gettext("Kind of place"),
        choices=[
            SelectChoice("", lazy_gettext("not said")),
            *(SelectChoice(code, words) for code, words in KINDS.items()),
        ],
    )
    opened_year = whole_field(lazy_gettext("Open since (year)"), 1800, 2200)
    project = BooleanField(lazy_gettext("In project: not open yet"))
    until = DateField(lazy_gettext("Temporary site: its last day"), [Optional()])

    def asked(self) -> list[bool]:
        return [answered(self[name]) for name in ("name", "description", "kind", "opened_year")]

    def values(self) -> dict[str, Any]:
        return {**super().values(), "description": self.description.data or ""}


class PlaceForm(Section):
    columns = ("street", "postcode", "town", "transport")

    street = text_field(lazy_gettext("Street"), 200)
    postcode = text_field(lazy_gettext("Postcode"), 12)
    town = text_field(lazy_gettext("Town"), 120, required=True)
    latitude = DegreesField(lazy_gettext("Latitude"), 90)
    longitude = DegreesField(lazy_gettext("Longitude"), 180)
    timezone = SelectField(
        lazy_gettext("Time zone"), choices=[SelectChoice(name, name) for name in ZONES]
    )
    transport = text_field(lazy_gettext("How to get there"), 500)
    features = SelectMultipleField(
        lazy_gettext("Access for people with a disability"),
        choices=[SelectChoice(code, words) for code, words in ACCESS.items()],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    access_note = text_field(lazy_gettext("What else to know to get in"), 1000, area=True)

    @classmethod
    def filled(cls, space: Space) -> dict[str, Any]:
        return {
            **super().filled(space),
            "latitude": space.latitude,
            "longitude": space.longitude,
            "features": space.access.get("features", []),
            "access_note": space.access.get("note", ""),
            "timezone": space.timezone,
        }

    def offer(self, space: Space) -> None:
        """Offer the zone that a space is in, where a source has brought another than ours."""
        if space.timezone not in ZONES:
            names = (*ZONES, space.timezone)
            self.timezone.choices = [SelectChoice(name, name) for name in names]

    def follow(self, space: Space) -> dict[str, Any]:
        """Return the zone and the holidays that follow from the place, where it has moved.

        What an admin chose against the place stays, and so does what is chosen now.
        """
        before = whereabouts(space.postcode, space.latitude, space.longitude)
        typed = self.postcode.data, self.latitude.value, self.longitude.value
        now, found = whereabouts(*typed), dict[str, Any]()
        chosen = self.timezone.data != space.timezone
        if not chosen and space.timezone == before.timezone != now.timezone:
            found["timezone"] = now.timezone
        if space.holidays_region == before.region != now.region:
            found["holidays_region"] = now.region
        return found

    def values(self) -> dict[str, Any]:
        return {
            "street": self.street.data or None,
            "postcode": self.postcode.data or None,
            "town": self.town.data,
            "timezone": self.timezone.data,
            "transport": self.transport.data or "",
            "latitude": self.latitude.value,
            "longitude": self.longitude.value,
            "access": {"features": self.features.data or [], "note": self.access_note.data or ""},
        }

    def validate_longitude(self, field: Any) -> None:
        if (field.value is None) != (self.latitude.value is None) and not self.latitude.errors:
            raise ValidationError(gettext("Give both the latitude and the longitude, or neither."))


class PeopleForm(Section):
    columns = ("email", "website", "legal_form")
    about = ("virtual_visit", "owner", "manager", "team", "governance", "partners")

    email = EmailField(lazy_gettext("Contact e-mail"), [Length(max=254)])
    website = _link_field(lazy_gettext("Web site"))
    virtual_visit = _link_field(lazy_gettext("Virtual visit (web address)"))
    legal_form = text_field(lazy_gettext("Legal form"), 200)
    owner = text_field(lazy_gettext("Owner of the premises"), 200)
    manager = text_field(lazy_gettext("Who runs it"), 200)
    team = whole_field(lazy_gettext("People in the team"), 0, 10_000)
    governance = text_field(lazy_gettext("How decisions are taken"), 1000, area=True)
    partners = LinesField(lazy_gettext("Partners, one a line"))

    def values(self) -> dict[str, Any]:
        return {name: self[name].data or "" for name in self.columns}

    def facts(self) -> dict[str, Any]:
        texts = ("virtual_visit", "owner", "manager", "governance")
        said = {name: self[name].data or "" for name in texts}
        return {**said, "team": self.team.data, "partners": self.partners.entries}

    def validate_email(self, field: Any) -> None:
        if field.data and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", field.data):
            raise ValidationError(gettext("An address like contact@space.org is expected."))


class OfferForm(Section):
    services = LinesField(lazy_gettext("Services, one a line"))
    fibre = SelectField(
        lazy_gettext("Optical fibre"),
        choices=[
            SelectChoice("", lazy_gettext("not said")),
            SelectChoice("yes", lazy_gettext("yes")),
            SelectChoice("no", lazy_gettext("no")),
        ],
    )

    @classmethod
    def filled(cls, space: Space) -> dict[str, Any]:
        fibre = space.about.get("fibre")
        return {
            "services": space.services,
            "fibre": "" if fibre is None else "yes" if fibre else "no",
        }

    def values(self) -> dict[str, Any]:
        return {"services": self.services.entries}

    def facts(self) -> dict[str, Any]:
        return {"fibre": {"yes": True, "no": False}.get(self.fibre.data)}


class UsersForm(Section):
    about = ("average_age", "by_profile", "by_town", "audience")

    average_age = whole_field(lazy_gettext("Average age"), 1, 120)
    by_profile = SharesField(lazy_gettext("Users by profile, in %: one a line"))
    by_town = SharesField(lazy_gettext("Users by town, in %: one a line"))
    audience = text_field(lazy_gettext("Other figures about those who come"), 1000, area=True)

    def facts(self) -> dict[str, Any]:
        return {
            "average_age": self.average_age.data,
            "by_profile": self.by_profile.shares(),
            "by_town": self.by_town.shares(),
            "audience": self.audience.data or "",
        }


class WelcomeForm(Section):
    columns = ("welcome_fr", "welcome_en")

    welcome_fr = text_field(lazy_gettext("Welcome brief, in French"), 2000, area=True)
    welcome_en = text_field(lazy_gettext("Welcome brief, in English"), 2000, area=True)

    def values(self) -> dict[str, Any]:
        return {name: self[name].data or "" for name in self.columns}


SECTIONS: dict[str, tuple[Any, type[Section]]] = {
    "identity": (lazy_gettext("What it is"), IdentityForm),
    "place": (lazy_gettext("Where it is"), PlaceForm),
    "people": (lazy_gettext("Who runs it"), PeopleForm),
    "hours": (lazy_gettext("Opening hours"), HoursForm),
    "rooms": (lazy_gettext("Rooms and desks"), RoomsForm),
    "prices": (lazy_gettext("Prices"), PricesForm),
    "offer": (lazy_gettext("Services"), OfferForm),
    "users": (lazy_gettext("Who comes"), UsersForm),
    "welcome": (lazy_gettext("Welcome at the desk"), WelcomeForm),
}


def completeness(space: Space) -> dict[str, tuple[int, int]]:
    """Return, by section, how many questions have an answer, and how many there are."""
    found = {}
    for key, (_, form) in SECTIONS.items():
        answers = form(formdata=None, data=form.filled(space)).asked()
        found[key] = sum(answers), len(answers)
    return found
