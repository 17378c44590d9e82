"""The console's page of a space's events, and the calendar that anybody may follow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import gettext

from node.adapters import listing as sources
from node.context import node
from node.db import db
from node.events import listing, service
from node.events.calendar import events_ics
from node.events.forms import EventForm, form_for
from node.spaces import service as spaces
from shared.web import allow
from shared.web.open_data import open_data
from shared.wire.events import MOST_EVENTS

pages = Blueprint("events_pages", __name__, template_folder="templates")

# A calendar that is asked for now and then still learns how the last weeks' events ended.
_KEPT = timedelta(days=30)


@pages.route("/console/spaces/<space_id>/events", methods=["GET", "POST"])
@allow("admin")
def events(space_id: str) -> Any:
    session, now = db.session(), node().clock.now()
    space = spaces.space(session, space_id)
    zone, form = ZoneInfo(space.timezone), EventForm()
    coming = listing.since(session, space_id, now)
    typed = [event for event in coming if event.source_id is None]
    if form.right(zone, now) and _has_room(form, len(typed)):
        service.add(session, node(), space_id, form.values(zone))
        return _published(space_id, gettext("Announced. It is on the space’s public page."))
    return render_template(
        "events/list.html",
        space=space,
        events=coming,
        form=form,
        sources=sources.names(session, space_id),
    ), (422 if form.errors else 200)


def _has_room(form: EventForm, held: int) -> bool:
    if held >= MOST_EVENTS:
        form.form_errors.append(gettext("At most 100 coming events are published."))
    return held < MOST_EVENTS


@pages.route("/console/spaces/<space_id>/events/<event_id>", methods=["GET", "POST"])
@allow("admin")
def event(space_id: str, event_id: str) -> Any:
    session = db.session()
    space, row = spaces.space(session, space_id), service.typed(session, space_id, event_id)
    zone = ZoneInfo(space.timezone)
    form = EventForm() if request.method == "POST" else form_for(row, zone)
    if form.right(zone, node().clock.now()):
        service.change(session, node(), space_id, event_id, form.values(zone))
        return _published(space_id, gettext("Saved. It is on the space’s public page."))
    return render_template("events/edit.html", space=space, event=row, form=form), (
        422 if form.errors else 200
    )


@pages.post("/console/spaces/<space_id>/events/<event_id>/state")
@allow("admin")
def state(space_id: str, event_id: str) -> Any:
    """Call an event off, or have it take place after all."""
    cancelled = request.form.get("cancelled") == "yes"
    service.change(db.session(), node(), space_id, event_id, {"cancelled": cancelled})
    if cancelled:
        said = gettext("Called off. Pages and calendars go on showing it, as cancelled.")
    else:
        said = gettext("It takes place after all.")
    return _published(space_id, said)


def _published(space_id: str, said: str) -> Any:
    flash(said, "success")
    return redirect(f"/console/spaces/{space_id}/events")


@pages.get("/spaces/<space_id>/events.ics")
@allow("public")
def calendar(space_id: str) -> Response:
    session = db.session()
    space = spaces.space(session, space_id)
    found = listing.since(session, space_id, node().clock.now() - _KEPT)
    return open_data(events_ics(space, found, node().url), "text/calendar", seconds=60)
