"""What a member types to book: a day and how long, read by the space's own hours."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from flask_babel import gettext, lazy_gettext
from wtforms import BooleanField, DateField, SelectChoice, SelectField, TimeField, ValidationError
from wtforms.validators import DataRequired

from charter.hours import Opening, Schedule
from shared.web.forms import Form

# Where a space has not given its hours.
_USUAL = ((time(9), time(18)),)
_HOURS = {"1h": 1, "2h": 2}
_DAYS = {"day": 1, "3days": 3}


class MaybeTimeField(TimeField):
    """A time, or nothing; unlike with ``Optional`` the form's own check of it runs."""

    def process_formdata(self, valuelist: Any) -> None:
        if any(each.strip() for each in valuelist):
            super().process_formdata(valuelist)


class BookingForm(Form):
    day = DateField(lazy_gettext("Day"), [DataRequired(lazy_gettext("Choose a day."))])
    length = SelectField(
        lazy_gettext("How long"),
        choices=[
            SelectChoice("day", lazy_gettext("the day")),
            SelectChoice("morning", lazy_gettext("the morning")),
            SelectChoice("afternoon", lazy_gettext("the afternoon")),
            SelectChoice("1h", lazy_gettext("1 hour")),
            SelectChoice("2h", lazy_gettext("2 hours")),
            SelectChoice("3days", lazy_gettext("3 days")),
        ],
    )
    start = MaybeTimeField(lazy_gettext("From (for 1 or 2 hours)"))
    room = SelectField(lazy_gettext("A place or a room"), validate_choice=True)
    wait = BooleanField(lazy_gettext("If it is full, put me on the waiting list"))

    def offer(self, rooms: list[str], *, seat: bool) -> None:
        places = [SelectChoice("", lazy_gettext("a place"))] if seat else []
        self.room.choices = [*places, *(SelectChoice(name, name) for name in rooms)]

    def validate_start(self, field: Any) -> None:
        if self.length.data in _HOURS and field.data is None:
            raise ValidationError(gettext("Say from when."))

    def span(self, schedule: Schedule, split: time) -> tuple[datetime, datetime] | None:
        """Return what a valid form asks for; None where the space is closed then."""
        day = self.day.data or date.min
        return spans(schedule, split, day, self.length.data, self.start.data)


def spans(
    schedule: Schedule, split: time, day: date, length: str, start: time | None
) -> tuple[datetime, datetime] | None:
    """Return the instants of a day and a length, as the space's hours and the charter have it."""
    if length in _HOURS and start is not None:
        begin = datetime.combine(day, start, schedule.zone)
        return begin, begin + timedelta(hours=_HOURS[length])
    last = day
    for _ in range(_DAYS.get(length, 1) - 1):
        last = _next_open(schedule, last)
    noon = datetime.combine(day, split, schedule.zone)
    first, final = _openings(schedule, day), _openings(schedule, last)
    if length == "morning":  # what lies in a lunch break is nobody's to book
        first = final = [(a, min(b, noon)) for a, b in first if a < noon]
    elif length == "afternoon":
        first = final = [(max(a, noon), b) for a, b in first if b > noon]
    return (first[0][0], final[-1][1]) if first and final else None


def _openings(schedule: Schedule, day: date) -> list[Opening]:
    if schedule.known:
        return list(schedule.openings(day))
    return [
        (datetime.combine(day, a, schedule.zone), datetime.combine(day, b, schedule.zone))
        for a, b in _USUAL
        if schedule.until is None or day <= schedule.until
    ]


def _next_open(schedule: Schedule, day: date) -> date:
    for n in range(1, 15):
        if _openings(schedule, day + timedelta(n)):
            return day + timedelta(n)
    return day + timedelta(1)
