"""Logging in: the password, then the code where one is asked for; and logging out."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode

import segno
from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import gettext, ngettext
from markupsafe import Markup
from prometheus_client import Counter

from shared.accounts import two_factor
from shared.accounts.forms import CodeForm, LoginForm
from shared.accounts.people import people
from shared.crypto import totp
from shared.web.application import limiter
from shared.web.guards import allow, current

FEW_CODES = 3
# Addresses typed are kept nowhere: how many failed is what an operator can act on.
LOG_INS = Counter("passerelle_log_ins_total", "Steps of logging in, by what came of them", ["step"])


pages = Blueprint("login", __name__)


@pages.after_request
def _keep_nothing(response: Response) -> Response:
    """Keys and recovery codes are shown before anybody is logged in: no cache keeps them."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@pages.route("/login", methods=["GET", "POST"])
@allow("public")
@limiter.limit("30 per minute", methods=["POST"])
def log_in() -> Any:
    form = LoginForm()
    if form.validate_on_submit():
        email, password = form.email.data or "", form.password.data or ""
        account, wait = people().passwords.check(
            people().session(), people().place(), email, password
        )
        if account is not None:
            return go_on(account)
        LOG_INS.labels("wait password" if wait else "wrong password").inc()
        form.password.errors = [
            too_many(wait) if wait else gettext("This address and password do not go together.")
        ]
        if wait:
            page = render_template("login.html", form=form)
            return page, 429, {"Retry-After": str(ceil(wait.total_seconds()))}
    status = 422 if request.method == "POST" else 200
    return render_template("login.html", form=form), status


def too_many(wait: timedelta) -> str:
    words: str = ngettext(
        "Too many wrong passwords were typed for this address. Wait %(num)d minute, or have a link"
        " to a new password sent.",
        "Too many wrong passwords were typed for this address. Wait %(num)d minutes, or have a link"
        " to a new password sent.",
        ceil(wait.total_seconds() / 60),
    )
    return words


def password_holds(field: Any) -> bool:
    """Tell whether it is the password of who is logged in; else say so beside the field."""
    session, place, me = people().session(), people().place(), current()
    account, wait = people().passwords.check(session, place, me.email, field.data or "")
    if account is None:
        field.errors = [too_many(wait) if wait else gettext("This is not your password.")]
    return account is not None


@pages.route("/login/code", methods=["GET", "POST"])
@allow("public")
@limiter.limit("30 per minute", methods=["POST"])
def code() -> Any:
    session, clock = people().session(), people().place().clock
    account = people().accounts.awaited(session, clock.real())
    if account is None or account.totp_on_at is None:
        return _too_late()
    form = CodeForm()
    if form.validate_on_submit() and code_holds(account.id, form.code):
        account = people().accounts.log_in(session, clock.now(), account.id)
        left = people().two_factor.codes_left(session, account.id)
        if left < FEW_CODES:
            flash(few_codes(left), "warning")
        return redirect(people().home_of(account, request.args.get("next")))
    return render_template("login_code.html", form=form), (422 if form.errors else 200)


@pages.route("/login/two-factor", methods=["GET", "POST"])
@allow("public")
@limiter.limit("30 per minute", methods=["POST"])
def required() -> Any:
    """Where the service asks everybody for a second step, and it is not there yet."""
    session, place = people().session(), people().place()
    account = people().accounts.awaited(session, place.clock.real())
    if account is None or account.totp_on_at is not None or not people().required(account):
        return _too_late()
    form = CodeForm()
    if form.validate_on_submit():
        typed = form.code.data or ""
        codes = people().two_factor.turn_on(session, place.settings, account.id, typed)
        if codes is not None:
            account = people().accounts.log_in(session, place.clock.now(), account.id)
            follow = people().home_of(account, request.args.get("next"))
            return render_template("recovery_codes.html", codes=codes, follow=follow)
        form.code.errors = [wrong_code()]
    return set_up_page(account, form, required=True)


@pages.post("/logout")
@allow("public")
def log_out() -> Any:
    people().accounts.log_out(people().session())
    return redirect("/")


def go_on(account: Any) -> Any:
    """Lead on who gave the right password: to the second step, if there is one, or in."""
    LOG_INS.labels("right password").inc()
    session, place = people().session(), people().place()
    asked = request.args.get("next")
    query = f"?{urlencode({'next': asked})}" if asked else ""
    if account.totp_on_at is not None:
        people().accounts.await_code(account, place.clock.real())
        return redirect(f"/login/code{query}")
    if people().required(account):
        people().two_factor.begin(session, place.settings, account.id)
        people().accounts.await_code(account, place.clock.real())
        return redirect(f"/login/two-factor{query}")
    account = people().accounts.log_in(session, place.clock.now(), account.id)
    return redirect(people().home_of(account, asked))


def _too_late() -> Any:
    flash(gettext("Too much time has passed: log in once more."), "warning")
    return redirect("/login")


def code_holds(account_id: int, field: Any) -> bool:
    """Tell whether the code in a field is right; else it says what is wrong with it."""
    settings, typed = people().place().settings, field.data or ""
    outcome = people().two_factor.check(people().session(), settings, account_id, typed)
    LOG_INS.labels(f"{outcome} code").inc()
    if outcome == two_factor.WAIT:
        field.errors = [gettext("Too many codes were wrong. Wait a while, or use a recovery code.")]
    elif outcome == two_factor.WRONG:
        field.errors = [wrong_code()]
    return outcome == two_factor.RIGHT


def wrong_code() -> str:
    return str(gettext("This code is not right, or was used already. Wait for the next one."))


def few_codes(left: int) -> str:
    words: str = ngettext(
        "%(num)d recovery code is left: make new ones on your account page.",
        "%(num)d recovery codes are left: make new ones on your account page.",
        left,
    )
    return words


def set_up_page(account: Any, form: CodeForm, *, required: bool) -> Any:
    """Show the key as a QR code and in letters, and ask for a first code of it."""
    key = people().two_factor.key(people().place().settings, account)
    if key is None:
        return _too_late()
    name = people().name.replace(":", " ")
    issuer = name if "Passerelle" in name else f"Passerelle {name}"
    uri = totp.address(key, issuer, account.email)
    image = segno.make(uri, error="m", micro=False).svg_inline(
        omitsize=True, border=4, light="#fff", svgclass=None, lineclass=None
    )
    page = render_template(
        "two_factor.html",
        form=form,
        image=Markup(image),  # noqa: S704 - made here, of squares alone
        key=totp.written(key),
        email=account.email,
        required=required,
    )
    return page, (422 if form.errors else 200)
