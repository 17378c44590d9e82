"""The account page, on either service: password, log-ins, second step, personal tokens."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext
from wtforms import SelectChoice

from shared.accounts.forms import (
    ROLE_NAMES,
    BeginForm,
    ChangePasswordForm,
    CodeForm,
    OffForm,
    TokenForm,
)
from shared.accounts.login_pages import password_holds
from shared.accounts.people import ANYBODY, people
from shared.web.application import limiter
from shared.web.guards import allow, current

pages = Blueprint("account", __name__)


@pages.route("/account", methods=["GET", "POST"])
@allow(*ANYBODY)
@limiter.limit("10 per minute", methods=["POST"])
def account() -> Any:
    form = token_form()
    if form.validate_on_submit() and password_holds(form.password):
        name, scopes = form.name.data or "", form.scopes.data or []
        now = people().place().clock.now()
        secret = people().accounts.add_token(people().session(), now, current().id, name, scopes)
        return account_page(secret=secret)
    return account_page(token=form)


@pages.post("/account/tokens/<int:token_id>/revoke")
@allow(*ANYBODY)
def revoke(token_id: int) -> Any:
    now = people().place().clock.now()
    people().accounts.revoke_token(people().session(), now, current().id, token_id)
    flash(gettext("The token no longer works."), "success")
    return redirect("/account")


@pages.post("/account/password")
@allow(*ANYBODY)
@limiter.limit("10 per minute")
def change_password() -> Any:
    form, now = ChangePasswordForm(prefix="password"), people().place().clock.now()
    if form.validate_on_submit() and password_holds(form.old):
        old, new = form.old.data or "", form.password.data or ""
        if people().accounts.change_password(people().session(), now, current().id, old, new):
            flash(
                gettext("Your password is changed. Log-ins elsewhere and tokens have ended."),
                "success",
            )
            return redirect("/account")
        form.old.errors = [gettext("This is not your password.")]
    return account_page(password=form)


@pages.post("/account/log-ins/end")
@allow(*ANYBODY)
def end_others() -> Any:
    now = people().place().clock.now()
    people().accounts.log_out_elsewhere(people().session(), now, current().id)
    flash(gettext("You are logged in here alone."), "success")
    return redirect("/account")


def token_form(**kwargs: Any) -> TokenForm:
    form = TokenForm(**kwargs)
    form.scopes.choices = [
        SelectChoice(role, ROLE_NAMES.get(role, role)) for role in sorted(current().roles)
    ]
    return form


def account_page(*, secret: str | None = None, **given: Any) -> Any:
    """Show the account; ``given`` are forms that were sent, and come back with what is wrong."""
    session, principal = people().session(), current()
    forms = {
        "token": token_form(formdata=None),
        "password": ChangePasswordForm(formdata=None, prefix="password"),
        "begin": BeginForm(formdata=None, prefix="begin"),
        "codes": CodeForm(formdata=None, prefix="codes"),
        "off": OffForm(formdata=None, prefix="off"),
        **given,
    }
    account = session.get_one(people().accounts.account, principal.id)
    wrong = next((form for form in forms.values() if form.errors), None)
    page = render_template(
        "account.html",
        forms=forms,
        wrong=wrong,
        secret=secret,
        role_names=ROLE_NAMES,
        tokens=people().accounts.tokens(session, principal.id),
        two_factor_on_at=account.totp_on_at,
        codes_left=people().two_factor.codes_left(session, principal.id),
        required=people().required(account),
        logins=people().accounts.logins(session, people().place().clock.now(), principal.id),
    )
    return page, (422 if wrong else 200)
