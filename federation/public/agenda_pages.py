"""The agenda as a page, and as a calendar to follow."""

from __future__ import annotations

from datetime import date
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext
from marshmallow import ValidationError

from federation.context import hub
from federation.db import db
from federation.public import agenda as service
from federation.public.agenda_api import EventsQuerySchema, WantedSchema, wanted_of
from federation.public.agenda_calendar import agenda_ics
from federation.spaces.models import SpaceEvent
from shared.base.schemas import DEFAULT_ZONE
from shared.web import allow
from shared.web.open_data import open_data
from shared.wire.error_messages import translate

pages = Blueprint(
    "agenda",
    __name__,
    template_folder="templates",
    static_folder="static/agenda",
    static_url_path="/static/agenda",
)

SHOWN = 40
IN_A_CALENDAR = 1000
_page, _calendar = EventsQuerySchema(), WantedSchema()


@pages.get("/agenda")
@allow("public")
def agenda() -> Any:
    now = hub().clock.now()
    today = now.astimezone(ZoneInfo(DEFAULT_ZONE)).date()
    asked = {name: value for name in _NAMES if (value := request.args.get(name, "").strip())}
    wanted, after, faults = service.Filters(), None, {}
    try:
        query = _page.load({**asked, "cursor": request.args.get("cursor", "")})
        wanted, after = wanted_of(query), query["cursor"]
    except ValidationError as error:
        faults = translate(error.normalized_messages())
    rows, following = service.page(db.session(), wanted, now, after=after, limit=SHOWN)
    kept = {name: value for name, value in asked.items() if name not in faults}
    return render_template(
        "agenda/agenda.html",
        days=service.by_day(rows, wanted.first or _first_day(rows, today)),
        today=today,
        asked=asked,
        faults=faults,
        calendar=_with("/agenda.ics", kept),
        next_page=_with("/agenda", {**kept, "cursor": following}) if following else None,
        later=after is not None,
        hub_url=hub().url,
    ), (422 if faults else 200)


_NAMES = ("q", "town", "from", "to", "open_to", "space", "near", "radius_km")


def _with(path: str, asked: dict[str, str]) -> str:
    return f"{path}?{urlencode(asked)}" if asked else path


def _first_day(rows: list[SpaceEvent], today: date) -> date:
    """Return today; yesterday where an event of a space far west goes on that is over here."""
    return min([today, *(row.last_day for row in rows)])


@pages.get("/agenda.ics")
@allow("public")
def calendar() -> Response:
    """What is not over, as far ahead as spaces have published; the filters of the page."""
    wanted = wanted_of(_calendar.load(request.args.to_dict()))
    rows, _ = service.page(db.session(), wanted, hub().clock.now(), limit=IN_A_CALENDAR)
    name = gettext("Agenda of the network")
    body = agenda_ics(f"{name} – {hub().settings.network}", rows, hub().url)
    response = open_data(body, "text/calendar", seconds=300)
    response.headers["Content-Disposition"] = 'inline; filename="agenda.ics"'
    return response
