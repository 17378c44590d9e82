"""The rows of the sheet's tables: a special day, a room, a price."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import (
    BooleanField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.widgets import CheckboxInput, ListWidget

from node.spaces.forms import (
    DayField,
    HoursField,
    MayBeEmpty,
    parse_hours,
    parse_money,
    text_field,
    whole_field,
)
from shared.web.forms import Form
from shared.wire.sheet import AUDIENCES, HALF_DAYS
from shared.wire.spaces import PRICE_UNITS, ROOM_KINDS

EMPTY_ROWS = 1

_UNIT_NAMES = {
    "hour": lazy_gettext("an hour"),
    "half_day": lazy_gettext("a half-day"),
    "day": lazy_gettext("a day"),
    "month": lazy_gettext("a month"),
    "quarter": lazy_gettext("a quarter"),
    "year": lazy_gettext("a year"),
    "pack": lazy_gettext("a pack of half-day tickets"),
}
_ROOM_NAMES = {
    "open_space": lazy_gettext("open space"),
    "office": lazy_gettext("office"),
    "meeting": lazy_gettext("meeting room"),
    "kitchen": lazy_gettext("kitchen"),
    "lockers": lazy_gettext("lockers"),
    "event": lazy_gettext("event room"),
    "other": lazy_gettext("other"),
}


class RowForm(Form):
    class Meta:
        csrf = False  # the sheet's own token covers its rows


class RemovableRow(RowForm):
    remove = BooleanField(lazy_gettext("Remove this row"))


class RoomForm(RemovableRow):
    name = text_field(lazy_gettext("Name"), 120)
    kind = SelectField(
        lazy_gettext("Kind"), choices=[SelectChoice(k, _ROOM_NAMES[k]) for k in ROOM_KINDS]
    )
    seats = whole_field(lazy_gettext("Seats"), 0, 10_000)
    area_m2 = whole_field(lazy_gettext("Area, m²"), 0, 1_000_000)
    visitors = SelectField(
        lazy_gettext("For visitors of the network"),
        choices=[
            SelectChoice("always", lazy_gettext("whenever it is open")),
            SelectChoice("some", lazy_gettext("on the half-days ticked below")),
            SelectChoice("never", lazy_gettext("never")),
        ],
        default="always",
    )
    half_days = SelectMultipleField(
        lazy_gettext("Half-days"),
        choices=[SelectChoice(code, code) for code in HALF_DAYS],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )

    def when(self) -> list[str] | None:
        """Return the half-days on which visitors may use it; None: whenever it is open."""
        if self.visitors.data == "always":
            return None
        return list(self.half_days.data or []) if self.visitors.data == "some" else []

    def validate_half_days(self, field: Any) -> None:
        if self.name.data and self.visitors.data == "some" and not field.data:
            raise ValidationError(gettext("Tick a half-day, or choose “never”."))

    def validate_name(self, field: Any) -> None:
        if not field.data and (self.seats.data is not None or self.area_m2.data is not None):
            raise ValidationError(gettext("Name this room, or empty the whole row."))


class PriceForm(RemovableRow):
    label = text_field(lazy_gettext("What for"), 120)
    amount = StringField(lazy_gettext("Price, €"))
    unit = SelectField(
        lazy_gettext("For"), choices=[SelectChoice(u, _UNIT_NAMES[u]) for u in PRICE_UNITS]
    )
    quantity = whole_field(lazy_gettext("Number"), 1, 1000, default=1)
    audience = SelectField(
        lazy_gettext("For whom"), choices=[SelectChoice(k, v) for k, v in AUDIENCES.items()]
    )

    def validate_label(self, field: Any) -> None:
        if not field.data and self.amount.data:
            raise ValidationError(gettext("Say what this price is for, or empty the whole row."))

    def validate_amount(self, field: Any) -> None:
        if not field.data and not self.label.data:
            return
        try:
            parse_money(field.data or "")
        except ValueError:
            raise ValidationError(gettext("Write an amount like 179 or 8.50.")) from None


class SpecialDayForm(RemovableRow):
    """Dates that differ from the week; an empty first date leaves the row out."""

    first = DayField(lazy_gettext("From"), [MayBeEmpty()])
    last = DayField(lazy_gettext("To"), [MayBeEmpty()])
    yearly = BooleanField(lazy_gettext("Every year"))
    what = SelectField(
        lazy_gettext("The space is"),
        choices=[
            SelectChoice("closed", lazy_gettext("closed")),
            SelectChoice("hours", lazy_gettext("open at these hours")),
            SelectChoice("usual", lazy_gettext("open as usual")),
        ],
    )
    hours = HoursField(lazy_gettext("Hours that day"))
    capacity = whole_field(lazy_gettext("Capacity that day"), 0, 10_000)
    label = text_field(lazy_gettext("What happens"), 120)

    def entry(self) -> dict[str, Any] | None:
        """Return the special day of a valid row (see ``node.spaces.hours``), or None."""
        if self.first.data is None or self.remove.data:
            return None
        hours = {"closed": [], "usual": None}
        return {
            "from": self.first.data.isoformat(),
            "to": (self.last.data or self.first.data).isoformat(),
            "yearly": bool(self.yearly.data),
            "hours": hours.get(self.what.data, parse_hours(self.hours.data or "")),
            "capacity": self.capacity.data,
            "label": self.label.data or "",
        }

    def validate_first(self, field: Any) -> None:
        others = (self.last.data, self.hours.data, self.label.data, self.capacity.data)
        if (
            field.data is None
            and not field.errors
            and any(each not in (None, "") for each in others)
        ):
            raise ValidationError(gettext("Say which date, or empty the whole row."))

    def validate_last(self, field: Any) -> None:
        if field.data and self.first.data:
            if field.data < self.first.data:
                raise ValidationError(gettext("The end is before the beginning."))
            if field.data - self.first.data > timedelta(days=366):
                raise ValidationError(gettext("At most a year."))

    def validate_hours(self, field: Any) -> None:
        if self.what.data == "hours" and not field.data and self.first.data:
            raise ValidationError(gettext("Write hours like 9:00–12:30, 14:00–19:00."))


def special_row(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row of the form is filled with."""
    hours = entry["hours"]
    return {
        "first": date.fromisoformat(entry["from"]),
        "last": date.fromisoformat(entry["to"]) if entry["to"] != entry["from"] else None,
        "yearly": entry["yearly"],
        "what": "usual" if hours is None else "hours" if hours else "closed",
        "hours": hours,
        "capacity": entry["capacity"],
        "label": entry["label"],
    }
