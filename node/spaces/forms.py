"""The console's form of one space: what an admin types, and what the columns hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import date, time
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    EmailField,
    FieldList,
    FormField,
    IntegerField,
    SelectChoice,
    SelectField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional

from charter.hours import WEEKDAYS
from node.spaces.models import Space
from shared.spaces import PRICE_UNITS, ROOM_KINDS
from shared.web.forms import storable

EMPTY_ROWS = 1
MAX_ROWS = 60

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
    "event": lazy_gettext("event room"),
    "other": lazy_gettext("other"),
}
_SPAN = re.compile(r"(\d{1,2})[h:.](\d{2})?\s*[-–àa]\s*(\d{1,2})[h:.](\d{2})?", re.IGNORECASE)


def parse_hours(text: str) -> list[list[str]]:
    """Read ``9:00-12:00, 14h-19h`` as pairs of HH:MM. Raises ValueError."""
    spans = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[,;]|\bet\b", text))):
        match = _SPAN.fullmatch(part)
        if not match:
            raise ValueError(part)
        start = time(int(match[1]), int(match[2] or 0))
        end = time(int(match[3]), int(match[4] or 0))
        if start == end:
            raise ValueError(part)
        spans.append([f"{start:%H:%M}", f"{end:%H:%M}"])
    return spans


def show_hours(spans: Sequence[Sequence[str]]) -> str:
    return ", ".join(f"{start}–{end}" for start, end in spans)


def parse_money(text: str) -> int:
    """Read ``179``, ``8,50`` or ``1 200.00`` as cents. Raises ValueError."""
    plain = re.sub(r"[\s\u00a0\u202f€]", "", text).replace(",", ".")
    try:
        amount = Decimal(plain)
    except InvalidOperation:
        raise ValueError(text) from None
    cents = amount * 100
    if not amount.is_finite() or cents != cents.to_integral_value() or not 0 <= cents <= 10**8:
        raise ValueError(text)
    return int(cents)


class _MayBeEmpty:
    """Says so on the page. Unlike ``Optional`` it lets a form's own checks of the field run."""

    field_flags: ClassVar = {"optional": True}

    def __call__(self, form: Any, field: Any) -> None:
        pass


def text_field(label: Any, longest: int, *, required: bool = False, area: bool = False) -> Any:
    kind = TextAreaField if area else StringField
    first = DataRequired(lazy_gettext("This is needed.")) if required else _MayBeEmpty()
    return kind(
        label,
        validators=[
            first,
            Length(max=longest, message=lazy_gettext("At most %(max)d characters.")),
            storable,
        ],
    )


class WholeField(IntegerField):
    def process_formdata(self, valuelist: Any) -> None:
        with suppress(ValueError):  # the range says what is expected
            super().process_formdata(valuelist)


def whole_field(label: Any, least: int, most: int, *, optional: bool = True, **kwargs: Any) -> Any:
    message = lazy_gettext("A whole number from %(min)s to %(max)s.")
    bounds = NumberRange(least, most, message=message)
    return WholeField(label, validators=[Optional(), bounds] if optional else [bounds], **kwargs)


class HoursField(StringField):
    def process_data(self, value: Any) -> None:
        self.data = show_hours(value or [])

    def pre_validate(self, form: Any) -> None:
        del form
        try:
            parse_hours(self.data or "")
        except ValueError:
            raise ValidationError(gettext("Write hours like 9:00–12:30, 14:00–19:00.")) from None


class LinesField(TextAreaField):
    """One entry a line."""

    def process_data(self, value: Any) -> None:
        self.data = "\n".join(value or [])

    @property
    def entries(self) -> list[str]:
        return [line.strip() for line in (self.data or "").splitlines() if line.strip()]

    def pre_validate(self, form: Any) -> None:
        storable(form, self)
        if len(self.entries) > MAX_ROWS or any(len(entry) > 120 for entry in self.entries):
            raise ValidationError(gettext("At most 60 lines of 120 characters."))


class DatesField(LinesField):
    """One date a line."""

    def pre_validate(self, form: Any) -> None:
        super().pre_validate(form)
        for line in self.entries:
            try:
                date.fromisoformat(line)
            except ValueError:
                raise ValidationError(
                    gettext("“%(line)s” is not a date like 2026-12-24.", line=line[:40])
                ) from None


class DegreesField(StringField):
    def __init__(self, label: Any, most: int, **kwargs: Any) -> None:
        super().__init__(label, **kwargs)
        self.most = most
        self.value: float | None = None

    def process_data(self, value: Any) -> None:
        self.data = "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")

    def pre_validate(self, form: Any) -> None:
        del form
        text = (self.data or "").strip().replace(",", ".")
        self.value = None
        if not text:
            return
        try:
            number = float(text)
        except ValueError:
            number = float("nan")
        if not -self.most <= number <= self.most:
            raise ValidationError(gettext("Degrees are expected, like 45.5866."))
        self.value = number


class RowForm(FlaskForm):
    class Meta:
        csrf = False  # the sheet's own token covers its rows


class RoomForm(RowForm):
    name = text_field(lazy_gettext("Name"), 120)
    kind = SelectField(
        lazy_gettext("Kind"), choices=[SelectChoice(k, _ROOM_NAMES[k]) for k in ROOM_KINDS]
    )
    seats = whole_field(lazy_gettext("Seats"), 0, 10_000)
    area_m2 = whole_field(lazy_gettext("Area, m²"), 0, 1_000_000)

    def validate_name(self, field: Any) -> None:
        if not field.data and (self.seats.data is not None or self.area_m2.data is not None):
            raise ValidationError(gettext("Name this room, or empty the whole row."))


class PriceForm(RowForm):
    label = text_field(lazy_gettext("What for"), 120)
    amount = StringField(lazy_gettext("Price, €"))
    unit = SelectField(
        lazy_gettext("For"), choices=[SelectChoice(u, _UNIT_NAMES[u]) for u in PRICE_UNITS]
    )
    quantity = whole_field(lazy_gettext("Number"), 1, 1000, default=1)

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


class SpaceForm(FlaskForm):
    """One space's sheet. ``values()``, ``room_rows()`` and ``price_rows()`` are for the service."""

    name = text_field(lazy_gettext("Name of the space"), 120, required=True)
    description = text_field(lazy_gettext("In a few words"), 4000, area=True)
    street = text_field(lazy_gettext("Street"), 200)
    postcode = text_field(lazy_gettext("Postcode"), 12)
    town = text_field(lazy_gettext("Town"), 120, required=True)
    latitude = DegreesField(lazy_gettext("Latitude"), 90)
    longitude = DegreesField(lazy_gettext("Longitude"), 180)
    transport = text_field(lazy_gettext("How to get there"), 500)
    email = EmailField(lazy_gettext("Contact e-mail"), validators=[Length(max=254), storable])
    website = text_field(lazy_gettext("Web site"), 300)
    legal_form = text_field(lazy_gettext("Legal form"), 200)
    capacity = whole_field(lazy_gettext("Capacity, people"), 0, 10_000)
    area_m2 = whole_field(lazy_gettext("Area, m²"), 0, 1_000_000)
    mo = HoursField(lazy_gettext("Monday"))
    tu = HoursField(lazy_gettext("Tuesday"))
    we = HoursField(lazy_gettext("Wednesday"))
    th = HoursField(lazy_gettext("Thursday"))
    fr = HoursField(lazy_gettext("Friday"))
    sa = HoursField(lazy_gettext("Saturday"))
    su = HoursField(lazy_gettext("Sunday"))
    closings = DatesField(lazy_gettext("Exceptional closings, one date a line (2026-12-24)"))
    closed_on_holidays = BooleanField(lazy_gettext("Closed on public holidays"))
    paused = BooleanField(lazy_gettext("Pause: welcome no roaming member for now"))
    welcome_fr = text_field(lazy_gettext("Welcome brief, in French"), 2000, area=True)
    welcome_en = text_field(lazy_gettext("Welcome brief, in English"), 2000, area=True)
    services = LinesField(lazy_gettext("Services, one a line"))
    rooms = FieldList(FormField(RoomForm), max_entries=MAX_ROWS)
    prices = FieldList(FormField(PriceForm), max_entries=MAX_ROWS)

    def validate_website(self, field: Any) -> None:
        if field.data and not field.data.startswith(("https://", "http://")):
            raise ValidationError(gettext("A web address starting with https:// is expected."))

    def validate_email(self, field: Any) -> None:
        if field.data and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", field.data):
            raise ValidationError(gettext("An address like contact@space.org is expected."))

    def days(self) -> list[Any]:
        return [self[name] for name in WEEKDAYS]

    def values(self) -> dict[str, Any]:
        """Return the columns of a valid form."""
        return {
            "name": self.name.data,
            "description": self.description.data or "",
            "street": self.street.data or None,
            "postcode": self.postcode.data or None,
            "town": self.town.data,
            "latitude": self.latitude.value,
            "longitude": self.longitude.value,
            "transport": self.transport.data or "",
            "email": self.email.data or "",
            "website": self.website.data or "",
            "legal_form": self.legal_form.data or "",
            "capacity": self.capacity.data,
            "area_m2": self.area_m2.data,
            "week": {
                name: spans for name in WEEKDAYS if (spans := parse_hours(self[name].data or ""))
            },
            "closings": {
                date.fromisoformat(line).isoformat(): [] for line in self.closings.entries
            },
            "closed_on_holidays": bool(self.closed_on_holidays.data),
            "paused": bool(self.paused.data),
            "welcome_fr": self.welcome_fr.data or "",
            "welcome_en": self.welcome_en.data or "",
            "services": self.services.entries,
        }

    def room_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "name": row.form.name.data,
                "kind": row.form.kind.data,
                "seats": row.form.seats.data,
                "area_m2": row.form.area_m2.data,
            }
            for row in self.rooms
            if row.form.name.data
        ]

    def price_rows(self) -> list[dict[str, Any]]:
        return [
            {
                "label": row.form.label.data,
                "cents": parse_money(row.form.amount.data or ""),
                "unit": row.form.unit.data,
                "quantity": row.form.quantity.data or 1,
            }
            for row in self.prices
            if row.form.label.data
        ]


def form_for(space: Space) -> SpaceForm:
    """Return the form filled from a space, with an empty row at the end of each table."""
    plain = {
        column: getattr(space, column)
        for column in (
            "name",
            "description",
            "street",
            "postcode",
            "town",
            "latitude",
            "longitude",
            "transport",
            "email",
            "website",
            "legal_form",
            "capacity",
            "area_m2",
            "closed_on_holidays",
            "welcome_fr",
            "welcome_en",
            "paused",
            "services",
        )
    }
    rooms: list[Any] = [
        {"name": r.name, "kind": r.kind, "seats": r.seats, "area_m2": r.area_m2}
        for r in space.rooms
    ]
    prices: list[Any] = [
        {
            "label": p.label,
            "amount": f"{p.cents / 100:.2f}".removesuffix(".00"),
            "unit": p.unit,
            "quantity": p.quantity,
        }
        for p in space.prices
    ]
    hours = {name: space.week.get(name, []) for name in WEEKDAYS}
    return SpaceForm(
        data={
            **plain,
            **hours,
            "closings": sorted(space.closings),
            "rooms": rooms + [{}] * EMPTY_ROWS,
            "prices": prices + [{"quantity": 1}] * EMPTY_ROWS,
        }
    )
