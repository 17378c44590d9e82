"""“Report an error”: a page of every space, without an account."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request
from flask_babel import gettext

from federation.context import hub
from federation.db import db
from federation.moderation import reports
from federation.moderation.forms import ReportForm, new_stamp, read_stamp
from federation.spaces import queries as published
from shared.web import allow
from shared.web.application import limiter
from shared.wire.problems import Problem

pages = Blueprint("report_pages", __name__, template_folder="templates")


@pages.route("/spaces/<space_id>/report", methods=["GET", "POST"])
@limiter.limit("5 per minute; 30 per day", methods=["POST"])
@allow("public")
def report(space_id: str) -> Any:
    session = db.session()
    space = published.space(session, space_id)
    form = ReportForm()
    form.email.flags.optional = True
    if form.validate_on_submit() and _taken(form, space_id):
        return redirect(f"/spaces/{space_id}/report?sent=1", 303)
    given = form.stamp.data or ""
    if read_stamp(given, space_id, _seconds())[1] == "expired":
        form.stamp.data = new_stamp(space_id)
    return render_template(
        "moderation/report.html",
        space=space,
        form=form,
        sent=request.args.get("sent") == "1" and request.method == "GET",
    ), (422 if form.errors else 200)


def _seconds() -> float:
    return hub().clock.real().timestamp()


def _taken(form: ReportForm, space_id: str) -> bool:
    """Take what was sent, or say in the form why not."""
    if form.company.data:  # a machine: it is told nothing
        return True
    number, why = read_stamp(form.stamp.data or "", space_id, _seconds())
    if number is None:
        form.form_errors.append(
            gettext("This form had been open for long: please send it once more.")
            if why == "expired"
            else gettext("That was very fast: please read it over, and send it once more.")
        )
        return False
    try:
        kind, words, email = form.kind.data, form.words.data or "", form.email.data
        reports.file(db.session(), hub(), space_id, number, kind, words, email)
    except Problem as problem:
        if problem.slug != "too-many-requests":
            raise
        form.form_errors.append(
            gettext("This space has had many reports today. Please come back tomorrow.")
        )
        return False
    return True
