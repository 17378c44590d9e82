"""The admin's page of leaving the network."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from wtforms import BooleanField, DateField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from node.context import node
from node.db import db
from node.hub import service as sync
from node.leaving import service
from node.members.forms import day_in_range
from shared.web import allow
from shared.web.formats import day
from shared.web.forms import Form
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("leaving_pages", __name__, template_folder="templates")


class LeaveForm(Form):
    last_day = DateField(
        lazy_gettext("Last day in the network"),
        [InputRequired(lazy_gettext("Write a date like 2026-12-24.")), day_in_range],
    )
    reason = TextAreaField(
        lazy_gettext("A word to the coordination"),
        filters=[lambda text: (text or "").strip()],
        validators=[Length(max=500)],
    )
    sure = BooleanField(
        lazy_gettext("I give notice for my operator, and have read what it means"),
        validators=[DataRequired(lazy_gettext("Tick this to go on."))],
    )


@pages.route("/console/leave", methods=["GET", "POST"])
@allow("admin")
def leave() -> Any:
    session, form = db.session(), LeaveForm()
    form.reason.flags.optional = True
    if form.validate_on_submit():
        try:
            last = service.announce(session, node(), form.last_day.data, form.reason.data or "")
        except Problem as problem:
            if problem.slug != "conflict":
                raise
            form.last_day.errors = [translate(problem.detail)]
        else:
            words = gettext(
                "Notice is given: %(day)s is your last day in the network.", day=day(last)
            )
            flash(words, "success")
            return redirect("/console/leave")
    enrolled = sync.enrolment(session) is not None
    found = service.outlook(session, node(), form.last_day.data) if enrolled else None
    if found is not None and request.method == "GET":
        form.last_day.data = found.last_day
    return render_template(
        "leaving/leave.html",
        form=form,
        enrolled=enrolled,
        found=found,
        hub_url=node().hub.url,
    ), (422 if form.errors else 200)


@pages.post("/console/leave/withdraw")
@allow("admin")
def withdraw() -> Any:
    service.withdraw(db.session(), node())
    flash(gettext("The notice is taken back: you stay in the network."), "success")
    return redirect("/console/leave")
