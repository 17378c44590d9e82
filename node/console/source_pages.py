"""The console's pages of a space's sources: what is read elsewhere, so that nobody types twice."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext

from node.adapters import listing, service
from node.adapters.forms import SourceForm
from node.adapters.registry import adapters
from node.context import node
from node.db import db
from node.spaces import service as spaces
from shared.web import allow
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("sources_pages", __name__, template_folder="templates")


@pages.route("/console/spaces/<space_id>/sources", methods=["GET", "POST"])
@allow("admin")
def sources(space_id: str) -> Any:
    session = db.session()
    space, form = spaces.space(session, space_id), SourceForm()
    if form.validate_on_submit():
        try:
            source_id = service.add(
                session,
                node(),
                space_id,
                form.adapter.data,
                form.name.data.strip(),
                form.url.data,
                form.open_to.data,
            )
            return redirect(f"/console/spaces/{space_id}/sources/{source_id}")
        except Problem as problem:
            form.form_errors.append(translate(problem.detail))
            space = spaces.space(session, space_id)
    rows = service.sources(session, space_id)
    return render_template(
        "adapters/list.html",
        space=space,
        form=form,
        rows=rows,
        faults={row.id: translate(row.fault) for row in rows},
        counts=listing.counts(session, space_id, node().clock.now()),
        titles=_titles(),
    ), (422 if form.errors else 200)


def _titles() -> dict[str, str]:
    return {name: str(found.title) for name, found in adapters().items()}


@pages.get("/console/spaces/<space_id>/sources/<int:source_id>")
@allow("admin")
def source(space_id: str, source_id: int) -> Any:
    return _page(space_id, source_id, None)


@pages.post("/console/spaces/<space_id>/sources/<int:source_id>/look")
@allow("admin")
def look(space_id: str, source_id: int) -> Any:
    """Show what would be read now; nothing is taken."""
    session = db.session()
    reading = service.look(session, node(), service.find(session, space_id, source_id))
    return _page(space_id, source_id, reading)


def _page(space_id: str, source_id: int, reading: service.Reading | None) -> Any:
    session, now = db.session(), node().clock.now()
    row = service.find(session, space_id, source_id)
    taken = reading.taken if reading else None
    return render_template(
        "adapters/source.html",
        space=spaces.space(session, space_id),
        row=row,
        reading=reading,
        events=sorted(taken.events.values(), key=lambda e: e["starts_at"]) if taken else [],
        faults=[translate(fault) for fault in (taken.faults if taken else row.left_out)],
        fault=translate(reading.fault if reading else row.fault),
        differs=listing.differences(session, row, taken, now) if taken else None,
        counts=listing.counts(session, space_id, now).get(row.id, 0),
        title=_titles().get(row.adapter, row.adapter),
        every=int(service.EVERY.total_seconds() // 60),
    )


@pages.post("/console/spaces/<space_id>/sources/<int:source_id>/take")
@allow("admin")
def take(space_id: str, source_id: int) -> Any:
    session = db.session()
    reading = service.take(session, node(), space_id, source_id)
    if reading.fault:
        flash(translate(reading.fault), "error")
    else:
        flash(gettext("Taken, and published. From now on it is read by itself."), "success")
    return redirect(f"/console/spaces/{space_id}/sources/{source_id}")


@pages.post("/console/spaces/<space_id>/sources/<int:source_id>/state")
@allow("admin")
def state(space_id: str, source_id: int) -> Any:
    """Stop reading a source, or go on."""
    paused = request.form.get("paused") == "yes"
    service.pause(db.session(), space_id, source_id, paused=paused)
    if paused:
        flash(gettext("Paused. What was taken stays as it is."), "success")
    else:
        flash(gettext("It will be read again within a minute."), "success")
    return redirect(f"/console/spaces/{space_id}/sources/{source_id}")


@pages.post("/console/spaces/<space_id>/sources/<int:source_id>/remove")
@allow("admin")
def remove(space_id: str, source_id: int) -> Any:
    session, kept = db.session(), request.form.get("imported") == "keep"
    service.remove(session, node(), space_id, source_id, keep_imported=kept)
    if kept:
        flash(gettext("Removed. What it had brought is yours to change now."), "success")
    else:
        flash(gettext("Removed, with what it had brought."), "success")
    return redirect(f"/console/spaces/{space_id}/sources")
