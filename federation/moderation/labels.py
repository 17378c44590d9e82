"""Published documents and their fields, in words."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext, lazy_gettext

from federation.moderation.difference import Line
from shared.web.formats import money
from shared.wire.documents import OPERATOR, space_of

DOCUMENTS = {
    OPERATOR: lazy_gettext("Operator and plans"),
    "sheet": lazy_gettext("Identity sheet"),
    "hours": lazy_gettext("Opening hours and closings"),
    "conditions": lazy_gettext("House conditions"),
    "rooms": lazy_gettext("Rooms"),
    "prices": lazy_gettext("Prices"),
    "offer": lazy_gettext("Services and values"),
    "events": lazy_gettext("Events"),
}
FIELDS = {
    "id": lazy_gettext("Identifier"),
    "name": lazy_gettext("Name"),
    "description": lazy_gettext("Description"),
    "address": lazy_gettext("Address"),
    "street": lazy_gettext("Street"),
    "postcode": lazy_gettext("Postcode"),
    "town": lazy_gettext("Town"),
    "country": lazy_gettext("Country"),
    "latitude": lazy_gettext("Latitude"),
    "longitude": lazy_gettext("Longitude"),
    "timezone": lazy_gettext("Time zone"),
    "week": lazy_gettext("Weekly hours"),
    "exceptions": lazy_gettext("Dates that differ"),
    "occasions": lazy_gettext("What a date is called"),
    "capacities": lazy_gettext("Capacity on dates"),
    "until": lazy_gettext("Temporary, until"),
    "capacity": lazy_gettext("Capacity"),
    "area_m2": lazy_gettext("Area, m²"),
    "about": lazy_gettext("About the place"),
    "access": lazy_gettext("Access"),
    "legal_form": lazy_gettext("Legal form"),
    "transport": lazy_gettext("How to get there"),
    "website": lazy_gettext("Web site"),
    "email": lazy_gettext("E-mail"),
    "guest_cap": lazy_gettext("Places for visitors of the network"),
    "conditions": lazy_gettext("House conditions"),
    "paused": lazy_gettext("Visits are paused"),
    "project": lazy_gettext("In project"),
    "rooms": lazy_gettext("Rooms"),
    "prices": lazy_gettext("Prices"),
    "services": lazy_gettext("Services"),
    "values": lazy_gettext("Values"),
    "stories": lazy_gettext("Anecdotes"),
    "assessments": lazy_gettext("Where it stands"),
    "events": lazy_gettext("Events"),
    "photos": lazy_gettext("Photos"),
    "page": lazy_gettext("The space’s own page"),
    "plans": lazy_gettext("Plans"),
    "mo": lazy_gettext("Monday"),
    "tu": lazy_gettext("Tuesday"),
    "we": lazy_gettext("Wednesday"),
    "th": lazy_gettext("Thursday"),
    "fr": lazy_gettext("Friday"),
    "sa": lazy_gettext("Saturday"),
    "su": lazy_gettext("Sunday"),
    "cents": lazy_gettext("Price"),
    "seats": lazy_gettext("Seats"),
    "title": lazy_gettext("Title"),
    "starts_at": lazy_gettext("Begins"),
    "ends_at": lazy_gettext("Ends"),
    "place": lazy_gettext("Place"),
}


def document(name: str) -> str:
    """Return what a document is called; ``name`` is as published."""
    subject = name if space_of(name) is None else name.partition("/")[2]
    return str(DOCUMENTS.get(subject, subject))


def path(line: Line) -> str:
    """Return where a fact stands, each step in words where it has any."""
    return " › ".join(str(FIELDS.get(step, step)) for step in line.path)


def value(line: Line, given: Any) -> str:
    """Return a fact as it is read; empty where there was none."""
    if given is None:
        return ""
    if isinstance(given, bool):
        return gettext("yes") if given else gettext("no")
    if line.path[-1] == "cents" and isinstance(given, int):
        return money(given)
    return str(given)
