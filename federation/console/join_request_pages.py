"""Asking to join, for everybody; and the queue of those who asked, at the desk."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from wtforms import EmailField, StringField, TextAreaField, ValidationError
from wtforms.validators import DataRequired, Length, Optional

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import join_requests
from federation.trust import node_labels
from shared.base.mail_server import is_address
from shared.net.http import PeerError, check_url
from shared.web import allow, current
from shared.web.application import limiter
from shared.web.forms import Form
from shared.wire.problems import Problem

pages = Blueprint("console_joining", __name__, template_folder="templates")

SHOWN = 200
MARKS = {
    "passed": ("yes", lazy_gettext("good")),
    "warning": ("warn", lazy_gettext("watch")),
    "failed": ("no", lazy_gettext("trouble")),
    "skipped": ("unknown", lazy_gettext("not known")),
}
STATES = {
    "waiting": ("warn", lazy_gettext("waiting")),
    "admitted": ("yes", lazy_gettext("invited")),
    "declined": ("unknown", lazy_gettext("declined")),
}


class JoinForm(Form):
    operator = StringField(
        lazy_gettext("Name of the space or its operator"),
        validators=[
            DataRequired(lazy_gettext("Enter the name of the space or its operator.")),
            Length(max=120),
        ],
    )
    person = StringField(
        lazy_gettext("Your name"),
        validators=[DataRequired(lazy_gettext("Enter your name.")), Length(max=120)],
    )
    email = EmailField(
        lazy_gettext("E-mail address"),
        description=lazy_gettext("The answer comes there. Nobody else is given it."),
        validators=[
            DataRequired(lazy_gettext("Enter your e-mail address.")),
            Length(max=254),
        ],
    )
    url = StringField(
        lazy_gettext("Address of your node"),
        description=lazy_gettext("If it is there already: https://…"),
        validators=[Optional(), Length(max=300)],
    )
    words = TextAreaField(
        lazy_gettext("A few words about your place"),
        description=lazy_gettext("Where it is, who comes, what you would like to share."),
        validators=[
            DataRequired(lazy_gettext("Say a few words about your place.")),
            Length(max=2000),
        ],
    )
    # not shown to people: programs that fill in whatever they see give themselves away
    website = StringField()

    def validate_email(self, field: Any) -> None:
        if not is_address(field.data.strip()):
            raise ValidationError(gettext("This is no e-mail address."))

    def validate_url(self, field: Any) -> None:
        try:
            field.data = check_url(field.data, allow_private=hub().settings.allow_private_peers)
        except PeerError:
            raise ValidationError(
                gettext("A web address starting with https:// is expected.")
            ) from None


class AnswerForm(Form):
    answer = TextAreaField(
        lazy_gettext("Your words"),
        description=lazy_gettext("They are in the letter. Needed to decline, welcome to invite."),
        validators=[Length(max=1000)],
    )


@pages.route("/join", methods=["GET", "POST"])
@limiter.limit("12 per hour", methods=["POST"])
@allow("public")
def join() -> Any:
    form = JoinForm()
    if form.validate_on_submit():
        if not form.website.data:
            asked = {
                name: (form[name].data or "").strip()
                for name in ("operator", "person", "email", "url", "words")
            }
            join_requests.ask(db.session(), hub(), **asked)
        return redirect("/join?asked=yes")
    asked_before = request.args.get("asked") == "yes"
    return render_template("console/join.html", form=form, asked=asked_before), (
        422 if form.errors else 200
    )


@pages.get("/coordination/join")
@allow(*STAFF)
def index() -> str:
    rows = join_requests.latest(db.session(), SHOWN)
    return render_template("console/join_requests.html", rows=rows, states=STATES)


def _shown(request_id: int, form: AnswerForm, token: str | None = None) -> Any:
    row, invitation = join_requests.find(db.session(), request_id)
    return render_template(
        "console/join_request.html",
        row=row,
        form=form,
        token=token,
        invitation=invitation,
        states=STATES,
        marks=MARKS,
        say=_say,
        acts="coordinator" in current().roles,
    ), (422 if form.errors else 200)


@pages.get("/coordination/join/<int:request_id>")
@allow(*STAFF)
def show(request_id: int) -> Any:
    return _shown(request_id, AnswerForm())


@pages.post("/coordination/join/<int:request_id>/check")
@limiter.limit("30 per minute")
@allow("coordinator")
def check(request_id: int) -> Any:
    join_requests.check(db.session(), hub(), request_id)
    return redirect(f"/coordination/join/{request_id}")


@pages.post("/coordination/join/<int:request_id>")
@allow("coordinator")
def decide(request_id: int) -> Any:
    form, outcome = AnswerForm(), request.form.get("outcome", "")
    if outcome not in ("admit", "decline"):
        raise Problem("malformed")
    valid = form.validate_on_submit()
    answer = (form.answer.data or "").strip()
    if outcome == "decline" and not answer:
        form.answer.errors = [gettext("Say why: whoever asked reads it.")]
        valid = False
    if not valid:
        return _shown(request_id, form)
    account_id, token = int(current().id), None
    try:
        if outcome == "admit":
            _, token = join_requests.admit(db.session(), hub(), request_id, account_id, answer)
        else:
            join_requests.decline(db.session(), hub(), request_id, account_id, answer)
    except Problem as problem:
        if problem.slug not in ("conflict", "name-taken"):
            raise
        taken = problem.slug == "name-taken"
        flash(
            gettext("Another operator goes by this name.")
            if taken
            else gettext("This was decided already; nothing more was sent."),
            "error" if taken else "info",
        )
        return redirect(f"/coordination/join/{request_id}")
    if token:
        return _shown(request_id, AnswerForm(formdata=None), token)
    flash(gettext("The answer is on its way by e-mail."), "success")
    return redirect(f"/coordination/join/{request_id}")


def _say(finding: dict[str, Any]) -> str:
    """Return what was found, in words."""
    params = finding["params"]
    words = {
        ("name", "ok"): gettext("Nobody in the network is called like this."),
        ("name", "taken"): gettext("%(name)s is in the network already.", name=params.get("name")),
        ("address", "ok"): gettext("The address is no other node’s."),
        ("address", "taken"): gettext("Another node is at this address, or was until lately."),
        ("reachable", "ok"): gettext("It answers."),
        ("reachable", "unreachable"): gettext(
            "The hub cannot reach it: %(reason)s.", reason=node_labels.reason(params.get("reason"))
        ),
        ("certificate", "ok"): gettext("Good for %(days)s days.", days=params.get("days")),
        ("certificate", "plain-http"): gettext("Not encrypted: good for a trial only."),
        ("certificate", "ends-soon"): gettext("It ends in %(days)s days.", days=params.get("days")),
        ("certificate", "invalid"): gettext("It cannot be verified."),
        ("software", "ok"): gettext("A node answers, with its keys."),
        ("software", "other"): gettext("Something answers that does not look like a node yet."),
        ("clock", "ok"): gettext("Its clock is right."),
        ("clock", "wrong"): gettext(
            "Its clock differs from ours by %(seconds)s seconds.", seconds=params.get("seconds")
        ),
        ("mail", "ok"): gettext("The e-mail address is of the same domain."),
        ("mail", "other"): gettext(
            "The e-mail address is at %(domain)s, the node at %(host)s.", **_both(params)
        ),
    }
    return words.get((finding["name"], finding["code"])) or gettext("Not looked at.")


def _both(params: dict[str, Any]) -> dict[str, Any]:
    return {"domain": params.get("domain"), "host": params.get("host")}
