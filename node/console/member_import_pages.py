"""Bringing a list of members: trial, then import, with its progress as the page arrives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, stream_template
from flask_babel import gettext

from node.context import node
from node.db import db
from node.members import importing, service
from node.members.dry_run import Choices, examine
from node.members.plans import plans
from node.members.sheet import HEADINGS, MAX_LINES, Table, guess, read
from node.members.upload import brought, chosen_columns
from shared.store.db import release
from shared.web import allow, current
from shared.web.application import MAX_REQUEST_BYTES
from shared.wire.tables import SheetFault

pages = Blueprint("import_pages", __name__, template_folder="templates")

SHOWN = 200


@pages.route("/console/members/import", methods=["GET", "POST"])
@allow("admin")
def bring() -> Any:
    fault = None
    if request.method == "POST":
        try:
            text = brought()
            read(text)
            file_id = importing.store(db.session(), node().clock.now(), current().id, text)
            return redirect(f"/console/members/import/{file_id}")
        except SheetFault as found:
            fault = str(found)
    return render_template(
        "members/import.html",
        fault=fault,
        text=request.form.get("text", "")[:100_000] if fault else "",
        headings=HEADINGS,
        most=MAX_LINES,
        megabytes=MAX_REQUEST_BYTES >> 20,
    ), (422 if fault else 200)


@pages.get("/console/members/import/<file_id>")
@allow("admin")
def try_out(file_id: str) -> Any:
    """What importing would do; nothing is written."""
    session = db.session()
    text = importing.kept(session, node().clock.now(), current().id, file_id)
    if text is None:
        flash(gettext("This list was imported already, or is too old: bring it again."), "error")
        return redirect("/console/members/import")
    table = read(text)
    choices = _choices(table, request.args)
    trial = examine(session, table, choices, service.today(db.session(), node()))
    return render_template(
        "members/trial.html",
        file_id=file_id,
        table=table,
        choices=choices,
        trial=trial,
        headings=HEADINGS,
        plans=plans(session),
        shown=SHOWN,
        mail=node().settings.smtp_url is not None,
    )


def _choices(table: Table, given: Mapping[str, str]) -> Choices:
    """Return what was chosen; before anything was, what the columns' names suggest."""
    columns = guess(table.header)
    if "chosen" in given:
        columns = chosen_columns(HEADINGS, table.header, given)
    plan = given.get("plan", "")
    return Choices(
        columns,
        plan_id=_known_plan(plan),
        invite=bool(given.get("invite")),
        skip_twins=bool(given.get("skip_twins")),
    )


def _known_plan(text: str) -> int | None:
    """Return the plan that was chosen for those who have none."""
    return next((plan.id for plan in plans(db.session()) if str(plan.id) == text), None)


@pages.post("/console/members/import/<file_id>")
@allow("admin")
def go(file_id: str) -> Response:
    """Import. The page is sent as the work goes on: without any script, it shows how far it is."""
    request.get_data(parse_form_data=True)  # all of it, before the answer begins
    session = db.session()
    text = importing.kept(session, node().clock.now(), current().id, file_id)
    choices = _choices(read(text), request.form) if text is not None else Choices({})
    release(session)
    steps = importing.run(session, node(), current().id, file_id, choices)
    page = stream_template("members/importing.html", steps=steps)
    # Proxies that gather a page before they pass it on would show no progress.
    return Response(page, mimetype="text/html", headers={"X-Accel-Buffering": "no"})
