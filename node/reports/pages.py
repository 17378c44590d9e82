"""The admin's page of reports: what people say is wrong, and spaces that are off the map."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext

from node.context import node
from node.db import db
from node.reports import service
from node.spaces import service as spaces
from shared.base.schemas import unstorable
from shared.net.http import PeerError
from shared.web import allow
from shared.wire.error_messages import translate
from shared.wire.page_reports import ANSWERS, KINDS
from shared.wire.problems import Problem

pages = Blueprint("reports_pages", __name__, template_folder="templates")

MOST_ANSWER, MOST_REPLY = 2000, 1000
HERE = "/console/reports"


@pages.get("/console/reports")
@allow("admin")
def reports() -> Any:
    return _page()


def _page(typed: dict[str, str] | None = None) -> str:
    """Return the page; ``typed`` are words that could not be sent, by report or space."""
    session = db.session()
    return render_template(
        "reports/reports.html",
        told=service.told(session),
        names={space.id: space.name for space in spaces.spaces(session)},
        kinds=KINDS,
        typed=typed or {},
    )


@pages.post("/console/reports/<report_id>/answer")
@allow("admin")
def answer(report_id: str) -> Any:
    outcome, words = request.form.get("outcome", ""), request.form.get("words", "").strip()
    if outcome not in ANSWERS:
        raise Problem("malformed")
    if outcome == "not_an_error" and not words:
        said = gettext("Say in a few words why it is no error: who reported it reads them.")
        flash(said, "error")
        return redirect(f"{HERE}#report-{report_id}")
    return _said(
        report_id,
        words,
        MOST_ANSWER,
        lambda: service.answer(db.session(), node(), report_id, outcome, words),
        gettext("Thank you: who reported it is told, if there is an address."),
    )


@pages.post("/console/reports/hidden/<space_id>/reply")
@allow("admin")
def reply(space_id: str) -> Any:
    words = request.form.get("words", "").strip()
    if not words:
        flash(gettext("Write what the moderators should know."), "error")
        return redirect(HERE)
    return _said(
        space_id,
        words,
        MOST_REPLY,
        lambda: service.reply(db.session(), node(), space_id, words),
        gettext("The moderators read your reply, and decide again."),
    )


def _said(about: str, words: str, most: int, tell: Any, thanks: str) -> Any:
    """Tell the hub, or give the words back with what is wrong."""
    if len(words) > most or unstorable(words):
        said = gettext("Use %(most)s characters at most, and no control characters.", most=most)
        flash(said, "error")
        return _page({about: words}), 422
    try:
        tell()
    except PeerError:
        said = gettext("The hub cannot be reached: nothing was sent, and your words are below.")
        flash(said, "error")
        return _page({about: words}), 503
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        flash(translate(problem.detail), "warning")
        return redirect(HERE)
    flash(thanks, "success")
    return redirect(HERE)
