"""The member's page of their visits, among those of the pass: calendar, receipts, corrections."""

from __future__ import annotations

from typing import Any

from flask import Response, flash, redirect, render_template, request
from flask_babel import get_locale, gettext

from node.context import node
from node.db import db
from node.passes.api import me
from node.passes.pages import file, pages, space_names
from node.visits.calendar import visits_ics
from node.visits.history import ask_correction, history, visit_of
from shared.base.schemas import unstorable
from shared.web import allow
from shared.wire import held_visits
from shared.wire.problems import Problem

__all__ = ["pages"]  # the pass's, with these among them


@pages.get("/pass/visits")
@allow("member")
def my_visits() -> str:
    session = db.session()
    try:
        found: list[dict[str, Any]] | None = history(session, node(), me())
    except Problem:
        found = None
    names = {space: about["name"] for space, about in space_names(session).items()}
    hub_url = node().hub.url
    return render_template(
        "passes/history.html",
        visits=found,
        names=names,
        hub_url=hub_url,
        why_held=held_visits.why,
    )


@pages.get("/pass/visits.ics")
@allow("member")
def my_visits_ics() -> Response:
    session = db.session()
    found = history(session, node(), me())
    names = {space: about["name"] for space, about in space_names(session).items()}
    ics = visits_ics(found, names, node().url, node().clock.now())
    return file(ics, "text/calendar", "visits.ics")


@pages.get("/pass/visits/<visit_id>/receipt.pdf")
@allow("member")
def my_receipt(visit_id: str) -> Response:
    session, member = db.session(), me()
    visit = visit_of(session, node(), member, visit_id)
    if visit["state"] == "void":
        raise Problem("not-found")
    space = space_names(session).get(visit["space"], {}).get("name", visit["space"])
    name, home, hub_url = me().account.name, node().settings.name, node().hub.url
    made_at, language = node().clock.now(), str(get_locale())
    from node.passes import pdf as paper  # noqa: PLC0415 - large, and seldom needed

    pdf = paper.receipt(name, home, space, visit, hub_url, language, made_at)
    return file(pdf, "application/pdf", "receipt.pdf")


@pages.post("/pass/visits/<visit_id>/correction")
@allow("member")
def ask_for_correction(visit_id: str) -> Any:
    reason = request.form.get("reason", "").strip()
    if not 1 <= len(reason) <= 500 or unstorable(reason):
        flash(gettext("Say in a few words what is wrong (500 characters at most)."), "error")
        return redirect("/pass/visits")
    ask_correction(node(), me(), visit_id, reason)
    flash(gettext("Your request is with the host. The answer appears here."), "success")
    return redirect("/pass/visits")
