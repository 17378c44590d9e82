"""What the sandbox asks: a version, a period, and the figures to move."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, time
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import (
    DateField,
    Field,
    IntegerField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    TimeField,
    ValidationError,
)
from wtforms.validators import NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from charter import PLAN_CLASSES
from shared.web.forms import Form
from shared.wire.error_messages import translate

YEARS = 2000, 2200
PLANS = {
    "resident": lazy_gettext("resident"),
    "nomad": lazy_gettext("nomad"),
    "ticket": lazy_gettext("ticket"),
}


class _MayBeEmpty(Optional):
    """Unlike its parent it does not mark each field: the legend says once that all may be empty."""

    def __init__(self) -> None:
        super().__init__()
        self.field_flags: dict[str, bool] = {}


def _figure(most: int) -> dict[str, Any]:
    return {"validators": [_MayBeEmpty(), NumberRange(0, most)]}


def _in_time(_form: Any, field: Any) -> None:
    if field.data is not None and not YEARS[0] <= field.data.year <= YEARS[1]:
        raise ValidationError(gettext("Not a valid date."))


class SandboxForm(Form):
    """Read by GET: it changes nothing. A figure that is left empty is that of the version."""

    class Meta:
        csrf = False

    version = SelectField(lazy_gettext("Version"))
    first = DateField(lazy_gettext("From"), [_MayBeEmpty(), _in_time], name="from")
    last = DateField(lazy_gettext("To"), [_MayBeEmpty(), _in_time], name="to")
    seniority__days = IntegerField(lazy_gettext("Seniority, days"), **_figure(3650))
    half_days__per_host = IntegerField(
        lazy_gettext("Half-days a month at one space"), **_figure(100)
    )
    half_days__network = IntegerField(
        lazy_gettext("Half-days a month in the network"), **_figure(100)
    )
    paper_card__half_days = IntegerField(
        lazy_gettext("Half-days a month with a card"), **_figure(100)
    )
    guest_cap__at_least = IntegerField(lazy_gettext("Guest places, at least"), **_figure(1000))
    house_conditions__closed_dates = IntegerField(
        lazy_gettext("Dates a month closed to visitors, at most"), **_figure(31)
    )
    opening_hours__split = TimeField(lazy_gettext("The morning ends at"), [_MayBeEmpty()])
    offline__trust_list_hours = IntegerField(
        lazy_gettext("Without a network, hours"), **_figure(1000)
    )
    offline__visits_per_pass = IntegerField(
        lazy_gettext("Without a network, visits a pass"), **_figure(100)
    )
    balance__tolerance_half_days = IntegerField(
        lazy_gettext("Tolerance, half-days"), **_figure(10_000)
    )
    balance__rate_cents = IntegerField(lazy_gettext("A half-day, in cents"), **_figure(100_000))
    balance__mode = SelectField(
        lazy_gettext("Beyond the tolerance"),
        default="",
        choices=[
            SelectChoice("", lazy_gettext("unchanged")),
            SelectChoice("compensate", lazy_gettext("compensated in money")),
            SelectChoice("barter", lazy_gettext("carried in half-days")),
        ],
    )
    eligible_plans__classes = SelectMultipleField(
        lazy_gettext("Plans that may roam"),
        choices=[SelectChoice(value, label) for value, label in PLANS.items()],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )

    def validate_last(self, field: Any) -> None:
        first = self.first.data
        if first and field.data and field.data < first:
            raise ValidationError(gettext("The end is before the beginning."))

    def figures(self) -> list[Field]:
        return [field for field in self if "__" in field.name]

    def suit(self, rules: Mapping[str, Any]) -> None:
        """Show the version's own figures where none is given; leave out rules it does not have."""
        for field in self.figures():
            kind, _, key = field.name.partition("__")
            if kind not in rules:
                del self[field.name]
            elif isinstance(field, IntegerField):
                field.render_kw = {"placeholder": rules[kind][key], "inputmode": "numeric"}
            elif isinstance(field, TimeField):
                field.description = gettext("In the version: %(value)s", value=rules[kind][key])
            elif isinstance(field, SelectMultipleField):
                names = ", ".join(str(PLANS[each]) for each in rules[kind][key])
                field.description = gettext(
                    "None ticked: as in the version (%(names)s).", names=names
                )

    def point_at(self, faults: Iterable[str]) -> None:
        """Put what is wrong with figures (``table.key: …``) beside their fields."""
        for fault in faults:
            name, _, _words = fault.partition(": ")
            field = self[name.replace(".", "__")]
            field.errors = [*field.errors, translate(fault).partition(":")[2].strip()]

    def moved(self) -> dict[str, str]:
        """Return what TOML writes for each figure that was given, by ``table.key``."""
        given = [field for field in self.figures() if field.data not in (None, "", [])]
        return {field.name.replace("__", "."): _toml(field.data) for field in given}

    def period(self, today: date) -> tuple[date, date] | None:
        """Return the days asked for, if any: from one until today, or a month up to the other."""
        first, last = self.first.data, self.last.data
        if first is None and last is None:
            return None
        return first or last.replace(day=1), last or max(first, today)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' for item in PLAN_CLASSES if item in value) + "]"
    if isinstance(value, time):
        return f'"{value:%H:%M}"'
    return str(value) if isinstance(value, int) else f'"{value}"'
