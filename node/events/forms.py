"""What an admin types of an event, in the space's own time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_babel import gettext, lazy_gettext
from wtforms import DateField, SelectChoice, SelectField, TimeField, ValidationError
from wtforms.validators import InputRequired, Optional

from node.events.models import Event
from node.spaces.forms import text_field
from shared.web.forms import Form
from shared.wire.events import is_web_address

LATEST = timedelta(days=730)
_WHOM = {"everyone": lazy_gettext("everyone"), "subscribers": lazy_gettext("subscribers")}


def _needed() -> InputRequired:
    return InputRequired(lazy_gettext("This is needed."))


class EventForm(Form):
    """``right`` is ``validate``, and what the times are by the space's zone and the clock."""

    title = text_field(lazy_gettext("What is it called?"), 120, required=True)
    day = DateField(lazy_gettext("Day"), [_needed()])
    start = TimeField(lazy_gettext("From"), [_needed()])
    until = TimeField(lazy_gettext("Until"), [_needed()])
    last_day = DateField(lazy_gettext("Last day, if it is another"), [Optional()])
    open_to = SelectField(
        lazy_gettext("Open to"), choices=[SelectChoice(k, v) for k, v in _WHOM.items()]
    )
    description = text_field(lazy_gettext("In a few words"), 2000, area=True)
    place = text_field(lazy_gettext("Where, if not at the space itself"), 200)
    url = text_field(lazy_gettext("Web address, to know more or to register"), 300)

    def validate_url(self, field: Any) -> None:
        field.data = (field.data or "").strip()
        if field.data and not is_web_address(field.data):
            raise ValidationError(gettext("A web address starting with https:// is expected."))

    def right(self, zone: ZoneInfo, now: datetime) -> bool:
        """Tell whether a form was sent and nothing is wrong; all that is wrong is named."""
        return self.is_submitted() and self.holds(zone, now)

    def holds(self, zone: ZoneInfo, now: datetime) -> bool:
        """Tell whether nothing is wrong with what was typed, wherever it was; name what is."""
        valid = self.validate()
        given = self.day.data and self.start.data is not None and self.until.data is not None
        return (not given or self._check(zone, now)) and valid

    def _check(self, zone: ZoneInfo, now: datetime) -> bool:
        """Add the first that is wrong with the times; return whether nothing is."""
        today = now.astimezone(zone).date()
        begins, ends = (self.day.data, self.start.data), (self._last(), self.until.data)
        for field, day in ((self.day, begins[0]), (self.last_day, ends[0])):
            if not today - LATEST < day < today + LATEST:
                return _wrong(field, gettext("A date within the next two years is expected."))
        for field, (day, hour) in ((self.start, begins), (self.until, ends)):
            if not _exists(day, hour, zone):
                return _wrong(field, gettext("Clocks skip this time that night: choose another."))
        starts_at, ends_at = (_instant(day, hour, zone) for day, hour in (begins, ends))
        if ends_at <= starts_at:
            return _wrong(
                self.until,
                gettext("It ends before it begins. Past midnight? Give its last day."),
            )
        if ends_at <= now:
            return _wrong(self.day, gettext("This is over already."))
        return True

    def _last(self) -> date:
        found: date = self.last_day.data or self.day.data
        return found

    def values(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return the columns of a form that is right."""
        return {
            "title": (self.title.data or "").strip(),
            "description": (self.description.data or "").strip(),
            "starts_at": _instant(self.day.data, self.start.data, zone),
            "ends_at": _instant(self._last(), self.until.data, zone),
            "place": (self.place.data or "").strip(),
            "url": self.url.data or "",
            "open_to": self.open_to.data,
        }


def _wrong(field: Any, words: str) -> bool:
    field.errors = [*field.errors, words]
    return False


def _instant(day: date, hour: time, zone: ZoneInfo) -> datetime:
    """Return when a clock on the wall shows this; the first time, in the night it does so twice."""
    return datetime.combine(day, hour, zone).astimezone(UTC)


def _exists(day: date, hour: time, zone: ZoneInfo) -> bool:
    shown = _instant(day, hour, zone).astimezone(zone)
    return (shown.date(), shown.time()) == (day, hour)


def form_for(event: Event, zone: ZoneInfo) -> EventForm:
    starts, ends = event.starts_at.astimezone(zone), event.ends_at.astimezone(zone)
    return EventForm(
        data={
            "title": event.title,
            "description": event.description,
            "day": starts.date(),
            "start": starts.time(),
            "until": ends.time(),
            "last_day": ends.date() if ends.date() != starts.date() else None,
            "place": event.place,
            "url": event.url,
            "open_to": event.open_to,
        }
    )
