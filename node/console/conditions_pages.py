"""The house conditions: what an admin sets for visitors, within the charter in force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from wtforms import (
    BooleanField,
    FormField,
    SelectChoice,
    SelectMultipleField,
    TimeField,
    ValidationError,
)
from wtforms.validators import Optional
from wtforms.widgets import CheckboxInput, ListWidget

from charter.conditions import (
    CANCEL_HOURS,
    MOST_HOURS,
    MOST_MINUTES,
    MOST_PLACES,
    NOON,
    RELEASE_MINUTES,
    breaches,
    read_conditions,
)
from charter.hours import WEEKDAYS
from charter.rules import Rules
from node.console.sheet_pages import say_what_is_booked
from node.context import node
from node.db import db
from node.hub import service as sync
from node.spaces import service
from node.spaces.forms import DatesField, text_field, whole_field
from node.spaces.models import Space
from node.spaces.rows import RowForm
from shared.web import allow
from shared.web.forms import Form

pages = Blueprint("conditions_pages", __name__, template_folder="templates")


class _HalfDays(RowForm):
    """How many visitors on one weekday, where it differs."""

    am = whole_field(lazy_gettext("Morning"), 0, MOST_PLACES)
    pm = whole_field(lazy_gettext("Afternoon"), 0, MOST_PLACES)

    def places(self, usual: int) -> int | list[int] | None:
        """Return what is published of a weekday; None where it is as usual."""
        am, pm = (usual if each.data is None else each.data for each in (self.am, self.pm))
        if self.am.data is None and self.pm.data is None:
            return None
        return am if am == pm else [am, pm]


class ConditionsForm(Form):
    guest_cap = whole_field(
        lazy_gettext("Places for roaming members at once"), 0, MOST_PLACES, optional=False
    )
    mo = FormField(_HalfDays, lazy_gettext("Monday"))
    tu = FormField(_HalfDays, lazy_gettext("Tuesday"))
    we = FormField(_HalfDays, lazy_gettext("Wednesday"))
    th = FormField(_HalfDays, lazy_gettext("Thursday"))
    fr = FormField(_HalfDays, lazy_gettext("Friday"))
    sa = FormField(_HalfDays, lazy_gettext("Saturday"))
    su = FormField(_HalfDays, lazy_gettext("Sunday"))
    release_am = TimeField(lazy_gettext("In the morning, from"), [Optional()])
    release_pm = TimeField(lazy_gettext("In the afternoon, from"), [Optional()])
    closed = DatesField(lazy_gettext("Open, but not to visitors: one date a line (2026-12-24)"))
    notice_hours = whole_field(lazy_gettext("Tell us ahead, hours"), 0, MOST_HOURS)
    cancel_hours = whole_field(
        lazy_gettext("A booking is cancelled in time up to so many hours before"), 0, MOST_HOURS
    )
    release_minutes = whole_field(
        lazy_gettext("A booked place is given back after so many minutes"), 0, MOST_MINUTES
    )
    every_service = BooleanField(lazy_gettext("All services are included"))
    included = SelectMultipleField(
        lazy_gettext("Or these alone"),
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    note_fr = text_field(lazy_gettext("What a visitor should know, in French"), 1000, area=True)
    note_en = text_field(lazy_gettext("What a visitor should know, in English"), 1000, area=True)

    def offer(self, services: list[str]) -> None:
        self.included.choices = [SelectChoice(name, name) for name in services]

    def days(self) -> list[Any]:
        return [self[name] for name in WEEKDAYS]

    def conditions(self) -> dict[str, Any]:
        """Return what is published, of a valid form."""
        dates = {date.fromisoformat(line).isoformat() for line in self.closed.entries}
        usual = self.guest_cap.data or 0
        found = {name: self[name].form.places(usual) for name in WEEKDAYS}
        release = [
            each.data and f"{each.data:%H:%M}" for each in (self.release_am, self.release_pm)
        ]
        return {
            "guests": {name: places for name, places in found.items() if places is not None},
            "release": release if any(release) else None,
            "closed": sorted(dates),
            "notice_hours": self.notice_hours.data or 0,
            "cancel_hours": _or(self.cancel_hours.data, CANCEL_HOURS),
            "release_minutes": _or(self.release_minutes.data, RELEASE_MINUTES),
            "included": None if self.every_service.data else list(self.included.data or []),
            "note_fr": self.note_fr.data or "",
            "note_en": self.note_en.data or "",
        }

    def check_dates(self, before: Sequence[str], today: date) -> bool:
        """Visitors read it before it applies: a new date is at the earliest tomorrow's."""
        written = {date.fromisoformat(line) for line in self.closed.entries}
        new = written - {date.fromisoformat(each) for each in before}
        if all(day > today for day in new):
            return True
        said = gettext("A new date is tomorrow at the earliest; for today there is the pause.")
        self.closed.errors = [*self.closed.errors, said]
        return False

    def check(self, rules: Rules | None) -> bool:
        """Add what the charter in force does not let a house set; return whether it all may be."""
        if rules is None:
            return True
        asked = {"guest_cap": self.guest_cap.data, "conditions": self.conditions()}
        faults = list(breaches(rules, read_conditions(asked)))
        for fault in faults:
            field = self._field(fault.field, fault.limit)
            field.errors = [*field.errors, _words(fault.field, fault.article, fault.limit)]
        return not faults

    def _field(self, name: str, limit: int) -> Any:
        if name not in WEEKDAYS:
            return self["guest_cap" if name == "guests" else name]
        row = self[name].form
        return row.am if row.am.data is not None and row.am.data < limit else row.pm

    def validate_release_am(self, field: Any) -> None:
        if field.data and field.data >= NOON:
            raise ValidationError(gettext("Before 13:00."))

    def validate_release_pm(self, field: Any) -> None:
        if field.data and field.data < NOON:
            raise ValidationError(gettext("13:00 or later."))


def _or(value: int | None, usual: int) -> int:
    return usual if value is None else value


def _words(field: str, article: int, limit: int) -> str:
    if field == "closed":
        said = gettext("Article %(n)s lets a house choose %(most)s dates a month at most.")
    elif field == "notice_hours":
        said = gettext("Article %(n)s lets a house ask for %(most)s hours at most.")
    else:
        said = gettext("Article %(n)s asks for at least %(most)s.")
    return said % {"n": article, "most": limit}


def _form(space: Space) -> ConditionsForm:
    given: Mapping[str, Any] = space.conditions
    included, release = given.get("included"), given.get("release") or [None, None]
    return ConditionsForm(
        data={
            **{name: _row(places) for name, places in given.get("guests", {}).items()},
            "release_am": release[0] and time.fromisoformat(release[0]),
            "release_pm": release[1] and time.fromisoformat(release[1]),
            "guest_cap": space.guest_cap,
            "closed": given.get("closed", []),
            "notice_hours": given.get("notice_hours", 0),
            "cancel_hours": given.get("cancel_hours", CANCEL_HOURS),
            "release_minutes": given.get("release_minutes", RELEASE_MINUTES),
            "every_service": included is None,
            "included": space.services if included is None else included,
            "note_fr": given.get("note_fr", ""),
            "note_en": given.get("note_en", ""),
        }
    )


def _row(places: int | list[int]) -> dict[str, int]:
    am, pm = places if isinstance(places, list) else (places, places)
    return {"am": am, "pm": pm}


def _limits(rules: Rules | None) -> Iterator[tuple[int, str]]:
    """Yield each bound of the charter as an article and its words."""
    if rules and rules.guest_cap:
        yield (
            rules.guest_cap.article,
            gettext("at least %(n)s at once, every day", n=rules.guest_cap.at_least),
        )
    if rules and rules.house_conditions:
        house = rules.house_conditions
        yield (
            house.article,
            gettext(
                "%(dates)s dates a month and %(hours)s hours of notice at most",
                dates=house.closed_dates,
                hours=house.notice_hours,
            ),
        )


@pages.route("/console/spaces/<space_id>/conditions", methods=["GET", "POST"])
@allow("admin")
def conditions(space_id: str) -> Any:
    session = db.session()
    space, known = service.space(session, space_id), sync.network(session, node())
    rules = known.charter.rules if known else None
    form = ConditionsForm() if request.method == "POST" else _form(space)
    form.offer(space.services)
    before, today = space.conditions.get("closed", []), service.today(space, node().clock.now())
    if form.validate_on_submit() and form.check_dates(before, today) and form.check(rules):
        changed = {"guest_cap": form.guest_cap.data, "conditions": form.conditions()}
        service.save(session, node(), space_id, changed)
        say_what_is_booked(space_id)
        flash(
            gettext("Saved. Visitors see it before they come, and the door applies it."), "success"
        )
        return redirect(f"/console/spaces/{space_id}/conditions")
    return render_template(
        "spaces/conditions.html", space=space, form=form, limits=list(_limits(rules))
    ), (422 if form.errors else 200)
