"""The second step of logging in, turned on and off by its owner."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext

from shared.accounts.account_pages import account_page
from shared.accounts.forms import BeginForm, CodeForm, OffForm
from shared.accounts.login_pages import code_holds, password_holds, set_up_page, wrong_code
from shared.accounts.people import ANYBODY, people
from shared.web.application import limiter
from shared.web.guards import allow, current

pages = Blueprint("two_factor", __name__)


def _own() -> Any:
    return people().session().get(people().accounts.account, current().id)


@pages.post("/account/two-factor")
@allow(*ANYBODY)
@limiter.limit("10 per minute")
def begin() -> Any:
    form = BeginForm(prefix="begin")
    if _own().totp_on_at is not None:  # its key is shown to nobody any more
        return redirect("/account")
    if not form.validate_on_submit() or not password_holds(form.password):
        return account_page(begin=form)
    people().two_factor.begin(people().session(), people().place().settings, current().id)
    return set_up_page(_own(), CodeForm(formdata=None), required=False)


@pages.post("/account/two-factor/first-code")
@allow(*ANYBODY)
@limiter.limit("30 per minute")
def first_code() -> Any:
    form, settings = CodeForm(), people().place().settings
    if _own().totp_on_at is not None or people().two_factor.key(settings, _own()) is None:
        return redirect("/account")
    if form.validate_on_submit():
        session, typed = people().session(), form.code.data or ""
        codes = people().two_factor.turn_on(session, settings, current().id, typed)
        if codes is not None:
            return render_template("recovery_codes.html", codes=codes, follow="/account")
        form.code.errors = [wrong_code()]
    return set_up_page(_own(), form, required=False)


@pages.post("/account/two-factor/codes")
@allow(*ANYBODY)
@limiter.limit("10 per minute")
def renew_codes() -> Any:
    form, settings = CodeForm(prefix="codes"), people().place().settings
    if not form.validate_on_submit() or not code_holds(current().id, form.code):
        return account_page(codes=form)
    codes = people().two_factor.renew_codes(people().session(), settings, current().id)
    return render_template("recovery_codes.html", codes=codes, follow="/account")


@pages.post("/account/two-factor/off")
@allow(*ANYBODY)
@limiter.limit("10 per minute")
def turn_off() -> Any:
    form = OffForm(prefix="off")
    if people().required(_own()):
        flash(gettext("Everybody here logs in in two steps: it stays on."), "error")
        return redirect("/account")
    sound = form.validate_on_submit() and password_holds(form.password)
    if not sound or not code_holds(current().id, form.code):
        return account_page(off=form)
    people().two_factor.turn_off(people().session(), people().place().clock.now(), current().id)
    flash(gettext("Logging in takes your password alone again."), "success")
    return redirect("/account")
