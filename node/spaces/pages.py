"""The node's public pages, and the admin's console."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import get_locale, gettext

from charter.hours import WEEKDAYS
from charter.values import shared_values
from node.context import node
from node.db import db
from node.desk import incidents, presence
from node.governance.notice import awaited
from node.spaces import service
from node.spaces.forms import SpaceForm, form_for
from node.sync import memory_pages
from node.sync import service as sync
from shared.events import coming
from shared.linked_data import linked_space
from shared.messages import translate
from shared.web import allow
from shared.web.formats import clock_time

pages = Blueprint("spaces_pages", __name__, template_folder="templates")


@pages.get("/")
@allow("public")
def home() -> Any:
    return render_template("spaces/home.html", spaces=service.spaces(db.session()))


@pages.get("/spaces/<space_id>")
@allow("public")
def space_page(space_id: str) -> str:
    now = node().clock.now()
    row = service.space(db.session(), space_id)
    schedule = service.schedule(row, now.date())
    today = now.astimezone(schedule.zone).date()
    days = [today + timedelta(n) for n in range(7)]
    week = [
        {
            "date": day.isoformat(),
            "weekday": WEEKDAYS[day.weekday()],
            "hours": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in schedule.on(day)],
            "today": day == today,
        }
        for day in days
    ]
    opening = schedule.opening_at(now)
    known = sync.network(db.session(), node())
    document = service.full_document(db.session(), node(), row)
    return render_template(
        "spaces/space.html",
        space=row,
        document=document,
        events=coming(document, now),
        linked=linked_space(document, schedule, now, document["page"]),
        shared=shared_values(known.charter) if known else (),
        language=str(get_locale()),
        week=week,
        hours_known=schedule.known,
        opening=opening,
        hub_url=node().hub.url,
    )


@pages.get("/console")
@allow("admin")
def console() -> Any:
    session = db.session()
    found = service.spaces(session)
    return render_template(
        "spaces/console.html",
        spaces=found,
        unsigned=sync.unsigned(session, node()),
        awaited=awaited(session, node()),
        memory=memory_pages.concerns(session, node()),
        incidents=incidents.latest(session),
        present={space.id: len(presence.presence(session, space.id)) for space in found},
        **_sync_state(),
    )


@pages.route("/console/spaces/<space_id>", methods=["GET", "POST"])
@allow("admin")
def edit(space_id: str) -> Any:
    session = db.session()
    space = service.space(session, space_id)
    form = SpaceForm() if request.method == "POST" else form_for(space)
    if form.validate_on_submit():
        service.save(session, node(), space_id, form.values(), form.room_rows(), form.price_rows())
        sync.flush_soon(session, node())
        state = _sync_state()
        if state["published"]:
            at = clock_time(state["accepted_at"])
            flash(gettext("Saved. On the map since %(time)s.", time=at), "success")
        elif state["fault"]:
            flash(gettext("Saved here, but the hub did not take it: see below."), "error")
        else:
            flash(gettext("Saved. It goes on the map as soon as the hub answers."), "success")
        return redirect(f"/console/spaces/{space_id}")
    return render_template("spaces/edit.html", space=space, form=form, **_sync_state()), (
        422 if form.errors else 200
    )


def _sync_state() -> dict[str, Any]:
    """Return the publication's state: what was changed here, and what the hub has."""
    session = db.session()
    row = sync.enrolment(session)
    waiting = sync.waiting(session)
    fault = row.publication_fault if row else None
    return {
        "enrolled": row is not None,
        "published": row is not None
        and row.accepted_at is not None
        and row.accepted_revision >= row.revision
        and not fault,
        "accepted_at": row.accepted_at if row else None,
        "fault": translate(fault) if fault else None,
        "hub_away": node().hub.away,
        "hub_url": node().hub.url,
        "waiting": waiting["pending"],
        "dead": waiting["dead"],
    }
