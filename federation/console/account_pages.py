"""The desk's accounts: who has one, what each may do, and whom to invite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from wtforms import EmailField, SelectChoice, SelectMultipleField, StringField, ValidationError
from wtforms.validators import DataRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from federation.context import hub
from federation.db import db
from federation.identity import people
from federation.identity.models import Account
from federation.identity.service import accounts, links, two_factor
from shared.accounts.forms import ROLE_NAMES
from shared.accounts.password_links import VALID
from shared.base.mail_server import is_address
from shared.web import allow, current
from shared.web.forms import Form
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("identity", __name__, template_folder="templates")

# What each role may do, beside its box.
DUTIES = {
    "coordinator": lazy_gettext("Coordinator: everything, accounts included"),
    "moderator": lazy_gettext("Moderator: reports, changes and listed spaces; reads the desk"),
    "reader": lazy_gettext("Reader: reads the desk, changes nothing"),
}


def _roles() -> Any:
    return SelectMultipleField(
        lazy_gettext("Roles"),
        choices=[SelectChoice(role, DUTIES[role]) for role in people.ROLES],
        validators=[DataRequired(lazy_gettext("Choose at least one."))],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )


class InviteForm(Form):
    name = StringField(
        lazy_gettext("Name"),
        filters=[lambda text: " ".join((text or "").split())],
        validators=[
            DataRequired(lazy_gettext("This is needed.")),
            Length(max=120, message=lazy_gettext("At most %(max)d characters.")),
        ],
    )
    email = EmailField(
        lazy_gettext("E-mail address"),
        validators=[
            DataRequired(lazy_gettext("This is needed.")),
            Length(max=254, message=lazy_gettext("At most %(max)d characters.")),
        ],
    )
    roles = _roles()

    def validate_email(self, field: Any) -> None:
        if not is_address((field.data or "").strip()):
            raise ValidationError(gettext("An address like contact@space.org is expected."))


class RolesForm(Form):
    roles = _roles()


def state(account: Account, asked: set[int]) -> tuple[str, str]:
    """Return the sign and the words of an account's state."""
    if account.disabled_at is not None:
        return "no", gettext("closed")
    if accounts.usable(account):
        return "yes", gettext("open")
    if account.id in asked:
        return "warn", gettext("invitation sent")
    return "unknown", gettext("invitation too old")


@pages.get("/coordination/accounts")
@allow("coordinator")
def listing() -> Any:
    return _listing(InviteForm(formdata=None))


def _listing(form: InviteForm) -> Any:
    session = db.session()
    asked = links.invited(session, hub().clock.now())
    rows = [(row, state(row, asked)) for row in people.listed(session)]
    page = render_template(
        "accounts/accounts.html",
        rows=rows,
        form=form,
        role_names=ROLE_NAMES,
        required=hub().settings.require_two_factor,
    )
    return page, (422 if form.errors else 200)


@pages.post("/coordination/accounts")
@allow("coordinator")
def invite() -> Any:
    form = InviteForm()
    if not form.validate_on_submit():
        return _listing(form)
    told = {"email": form.email.data or "", "name": form.name.data or ""}
    roles = form.roles.data or []
    try:
        row, url = people.invite(db.session(), hub(), current().id, **told, roles=roles)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        form.email.errors = [translate(problem.detail)]
        return _listing(form)
    return _given(row, url)


def _given(row: Account, url: str | None) -> Any:
    """Say that the link is on its way; where no mail is sent, show it, once."""
    if url is None:
        flash(gettext("The invitation is on its way to %(email)s.", email=row.email), "success")
        return redirect(f"/coordination/accounts/{row.id}")
    return render_template("accounts/link.html", row=row, url=url, days=VALID.days)


@pages.get("/coordination/accounts/<int:account_id>")
@allow("coordinator")
def account(account_id: int) -> Any:
    return _account(account_id)


def _account(account_id: int, form: RolesForm | None = None) -> Any:
    session, now = db.session(), hub().clock.now()
    row = people.one(session, account_id)
    form = form or RolesForm(formdata=None, data={"roles": row.roles})
    page = render_template(
        "accounts/account.html",
        row=row,
        state=state(row, links.invited(session, now)),
        form=form,
        logins=accounts.logins(session, now, row.id),
        codes_left=two_factor.codes_left(session, row.id),
        usable=accounts.usable(row),
        own=row.id == current().id,
    )
    return page, (422 if form.errors else 200)


@pages.post("/coordination/accounts/<int:account_id>/roles")
@allow("coordinator")
def set_roles(account_id: int) -> Any:
    form, session = RolesForm(), db.session()
    people.one(session, account_id)
    if not form.validate_on_submit():
        return _account(account_id, form)
    now, by, roles = hub().clock.now(), current().id, form.roles.data or []
    return _done(
        account_id,
        lambda: people.set_roles(session, now, by, account_id, roles),
        gettext("Saved."),
    )


@pages.post("/coordination/accounts/<int:account_id>/link")
@allow("coordinator")
def send_link(account_id: int) -> Any:
    session = db.session()
    try:
        url = people.send_link(session, hub(), current().id, account_id)
    except Problem as problem:
        return _refused(account_id, problem)
    return _given(people.one(session, account_id), url)


@pages.post("/coordination/accounts/<int:account_id>/state")
@allow("coordinator")
def set_state(account_id: int) -> Any:
    session, now, by = db.session(), hub().clock.now(), current().id
    wanted = request.form.get("state")
    if wanted == "closed":
        words = gettext("The account is closed: nobody gets in with it.")
        return _done(account_id, lambda: people.disable(session, now, by, account_id), words)
    if wanted == "open":
        words = gettext("The account is open again.")
        return _done(account_id, lambda: people.enable(session, now, by, account_id), words)
    raise Problem("malformed")


@pages.post("/coordination/accounts/<int:account_id>/two-factor/reset")
@allow("coordinator")
def reset_two_factor(account_id: int) -> Any:
    session, now, by = db.session(), hub().clock.now(), current().id
    return _done(
        account_id,
        lambda: people.reset_two_factor(session, now, by, account_id),
        gettext("The second step is reset; it can be set up anew."),
    )


@pages.post("/coordination/accounts/<int:account_id>/log-ins/end")
@allow("coordinator")
def end_logins(account_id: int) -> Any:
    session, now, by = db.session(), hub().clock.now(), current().id
    return _done(
        account_id,
        lambda: people.end_logins(session, now, by, account_id),
        gettext("Every log-in of this account has ended."),
    )


def _done(account_id: int, verb: Callable[[], object], words: str) -> Any:
    """Do it; what is refused is said on the page."""
    try:
        verb()
    except Problem as problem:
        return _refused(account_id, problem)
    flash(words, "success")
    return redirect(f"/coordination/accounts/{account_id}")


def _refused(account_id: int, problem: Problem) -> Any:
    if problem.slug != "conflict":
        raise problem
    flash(translate(problem.detail), "error")
    return redirect(f"/coordination/accounts/{account_id}")
