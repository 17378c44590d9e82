"""Bringing a list of events, prices or rooms: trial, then import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext

from node.adapters import importing
from node.adapters.spreadsheet import HEADINGS, NEEDED, guess
from node.context import node
from node.db import db
from node.members.importing import kept, store
from node.members.sheet import Table, read
from node.members.upload import brought, chosen_columns
from node.spaces import service as spaces
from shared.web import allow, current
from shared.web.application import MAX_REQUEST_BYTES
from shared.wire.tables import SheetFault

pages = Blueprint("list_pages", __name__, template_folder="templates")

MOST_LINES = 2_000
_SHOWN = 100
_TITLES = {
    "events": lazy_gettext("Events from a spreadsheet"),
    "prices": lazy_gettext("Prices from a spreadsheet"),
    "rooms": lazy_gettext("Rooms from a spreadsheet"),
}


def _known(what: str) -> str:
    if what not in HEADINGS:
        abort(404)
    return what


@pages.route("/console/spaces/<space_id>/import/<what>", methods=["GET", "POST"])
@allow("admin")
def bring(space_id: str, what: str) -> Any:
    session, fault = db.session(), None
    space = spaces.space(session, space_id)
    _known(what)
    if request.method == "POST":
        try:
            text = _brought()
            file_id = store(session, node().clock.now(), current().id, text)
            return redirect(f"/console/spaces/{space_id}/import/{what}/{file_id}")
        except SheetFault as found:
            fault = str(found)
    return render_template(
        "adapters/import.html",
        space=space,
        what=what,
        title=_TITLES[what],
        fault=fault,
        text=request.form.get("text", "")[:100_000] if fault else "",
        headings=HEADINGS[what],
        needed=[HEADINGS[what][name] for name in NEEDED[what]],
        most=MOST_LINES,
        megabytes=MAX_REQUEST_BYTES >> 20,
    ), (422 if fault else 200)


def _brought() -> str:
    """Return the text of the file, or what was pasted, if it is a list. Raises SheetFault."""
    text = brought()
    if len(read(text).rows) > MOST_LINES:
        raise SheetFault(gettext("At most %(n)s lines at once.", n=MOST_LINES))
    return text


def _gone(space_id: str, what: str) -> Any:
    flash(gettext("This list was imported already, or is too old: bring it again."), "error")
    return redirect(f"/console/spaces/{space_id}/import/{what}")


@pages.get("/console/spaces/<space_id>/import/<what>/<file_id>")
@allow("admin")
def try_out(space_id: str, what: str, file_id: str) -> Any:
    """What importing would do; nothing is written."""
    session = db.session()
    space = spaces.space(session, space_id)
    text = kept(session, node().clock.now(), current().id, file_id)
    if text is None:
        return _gone(space_id, _known(what))
    table = read(text)
    columns = _columns(_known(what), table, request.args)
    return render_template(
        "adapters/trial.html",
        space=space,
        what=what,
        title=_TITLES[what],
        file_id=file_id,
        table=table,
        columns=columns,
        headings=HEADINGS[what],
        trial=importing.examine(session, node(), space, what, table, columns),
        shown=_SHOWN,
    )


def _columns(what: str, table: Table, given: Mapping[str, str]) -> dict[str, int]:
    """Return which column holds what: as chosen; before that, as their names suggest."""
    if "chosen" not in given:
        return guess(what, table.header)
    return chosen_columns(HEADINGS[what], table.header, given)


@pages.post("/console/spaces/<space_id>/import/<what>/<file_id>")
@allow("admin")
def go(space_id: str, what: str, file_id: str) -> Any:
    session, who = db.session(), current().id
    spaces.space(session, space_id)
    text = kept(session, node().clock.now(), who, file_id)
    if text is None:
        return _gone(space_id, _known(what))
    columns = _columns(_known(what), read(text), request.form)
    trial = importing.run(session, node(), who, file_id, space_id, what, columns)
    if trial is None:
        return _gone(space_id, what)
    counts = {kind: len(trial.of(kind)) for kind in ("new", "changed", "same", "fault")}
    flash(
        gettext(
            "Imported: %(new)s new, %(changed)s changed, %(same)s as they were,"
            " %(fault)s left out.",
            **counts,
        ),
        "success",
    )
    where = "/events" if what == "events" else ""
    return redirect(f"/console/spaces/{space_id}{where}")
