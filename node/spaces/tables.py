"""The sections of the identity sheet that are tables: hours, rooms, prices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext
from wtforms import BooleanField, FieldList, FormField, SelectChoice, SelectField

from charter.hours import WEEKDAYS
from node.spaces.forms import (
    MAX_LINES,
    MAX_ROWS,
    HoursField,
    parse_hours,
    parse_money,
    text_field,
    whole_field,
)
from node.spaces.hours import REGIONS
from node.spaces.models import Room, Space
from node.spaces.rows import EMPTY_ROWS, PriceForm, RoomForm, SpecialDayForm, special_row
from node.spaces.section import Section
from node.spaces.whereabouts import whereabouts

_ALL_OF_FRANCE = lazy_gettext("France, without local holidays")
_REGION_NAMES = {
    "57": "Moselle",
    "6AE": "Alsace",
    "971": "Guadeloupe",
    "972": "Martinique",
    "973": "Guyane",
    "974": "La Réunion",
    "976": "Mayotte",
    "BL": "Saint-Barthélemy",
    "MF": "Saint-Martin",
    "NC": "Nouvelle-Calédonie",
    "PF": "Polynésie française",
    "PM": "Saint-Pierre-et-Miquelon",
    "TF": "Terres australes et antarctiques françaises",
    "WF": "Wallis-et-Futuna",
}


class HoursForm(Section):
    columns = ("closed_on_holidays", "holidays_region")
    proposed = ""

    osm = text_field(lazy_gettext("Hours as OpenStreetMap writes them"), 500)
    mo = HoursField(lazy_gettext("Monday"))
    tu = HoursField(lazy_gettext("Tuesday"))
    we = HoursField(lazy_gettext("Wednesday"))
    th = HoursField(lazy_gettext("Thursday"))
    fr = HoursField(lazy_gettext("Friday"))
    sa = HoursField(lazy_gettext("Saturday"))
    su = HoursField(lazy_gettext("Sunday"))
    closed_on_holidays = BooleanField(lazy_gettext("Closed on public holidays"))
    holidays_region = SelectField(
        lazy_gettext("Public holidays of"),
        choices=[
            SelectChoice("", _ALL_OF_FRANCE),
            *(SelectChoice(code, _REGION_NAMES[code]) for code in REGIONS),
        ],
    )
    special = FieldList(FormField(SpecialDayForm), max_entries=MAX_ROWS)

    @classmethod
    def filled(cls, space: Space) -> dict[str, Any]:
        return {
            **super().filled(space),
            **cls.of_hours({"week": space.week, "special_days": space.special_days}),
        }

    @staticmethod
    def of_hours(found: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a week and its special days, with an empty row at the end."""
        rows: list[Any] = [special_row(entry) for entry in found["special_days"]]
        week = {name: found["week"].get(name, []) for name in WEEKDAYS}
        return {**week, "special": rows + [{}] * EMPTY_ROWS}

    def offer(self, space: Space) -> None:
        """Say whose holidays the place has, where they are not those that were chosen."""
        region = whereabouts(space.postcode, space.latitude, space.longitude).region
        if region != space.holidays_region:
            self.proposed = region_name(region)

    def days(self) -> list[Any]:
        return [self[name] for name in WEEKDAYS]

    def values(self) -> dict[str, Any]:
        entries = (row.form.entry() for row in self.special)
        return {
            **super().values(),
            "week": {
                name: spans for name in WEEKDAYS if (spans := parse_hours(self[name].data or ""))
            },
            "special_days": [entry for entry in entries if entry is not None],
        }

    def asked(self) -> list[bool]:
        return [any(day.data for day in self.days())]


def region_name(code: str) -> str:
    return _REGION_NAMES.get(code, str(_ALL_OF_FRANCE))


def _some_or_never(room: Room) -> str:
    return "some" if room.half_days else "never"


class RoomsForm(Section):
    columns = ("capacity", "area_m2")

    capacity = whole_field(lazy_gettext("Capacity, people"), 0, 10_000)
    area_m2 = whole_field(lazy_gettext("Area, m²"), 0, 1_000_000)
    rooms = FieldList(FormField(RoomForm), max_entries=MAX_LINES)

    @classmethod
    def filled(cls, space: Space) -> dict[str, Any]:
        rows: list[Any] = [
            {
                "name": room.name,
                "kind": room.kind,
                "seats": room.seats,
                "area_m2": room.area_m2,
                "visitors": "always" if room.half_days is None else _some_or_never(room),
                "half_days": room.half_days or [],
            }
            for room in space.rooms
        ]
        return {**super().filled(space), "rooms": (rows + [{}] * EMPTY_ROWS)[:MAX_LINES]}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        rooms = [
            {
                "name": row.form.name.data,
                "kind": row.form.kind.data,
                "seats": row.form.seats.data,
                "area_m2": row.form.area_m2.data,
                "half_days": row.form.when(),
            }
            for row in self.rooms
            if row.form.name.data and not row.form.remove.data
        ]
        return {"rooms": rooms}


class PricesForm(Section):
    prices = FieldList(FormField(PriceForm), max_entries=MAX_ROWS)

    @classmethod
    def filled(cls, space: Space) -> dict[str, Any]:
        rows: list[Any] = [
            {
                "label": price.label,
                "amount": f"{price.cents / 100:.2f}".removesuffix(".00"),
                "unit": price.unit,
                "quantity": price.quantity,
                "audience": price.audience,
            }
            for price in space.prices
        ]
        return {"prices": rows + [{"quantity": 1}] * EMPTY_ROWS}

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        prices = [
            {
                "label": row.form.label.data,
                "cents": parse_money(row.form.amount.data or ""),
                "unit": row.form.unit.data,
                "quantity": row.form.quantity.data or 1,
                "audience": row.form.audience.data,
            }
            for row in self.prices
            if row.form.label.data and not row.form.remove.data
        ]
        return {"prices": prices}
