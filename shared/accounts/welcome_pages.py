"""Where people choose their password, by a link that works once; and ask for one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, render_template
from flask_babel import gettext

from shared.accounts.forms import PASSWORD_LENGTH, ForgotForm, PasswordForm
from shared.accounts.login_pages import go_on
from shared.accounts.password_links import VALID
from shared.accounts.people import people
from shared.web.application import limiter
from shared.web.guards import allow

pages = Blueprint("welcome", __name__)


@pages.route("/welcome/<token>", methods=["GET", "POST"])
@allow("public")
@limiter.limit("30 per minute")
def welcome(token: str) -> Any:
    session, now = people().session(), people().place().clock.now()
    account = people().links.owner(session, now, token)
    form = PasswordForm()
    if account is None:
        return render_template("gone.html"), 404
    if form.validate_on_submit():
        password = form.password.data or ""
        email = people().links.choose_password(session, now, token, password)
        if email:
            people().passwords.clear(session, people().place(), email)
        account = email and people().accounts.check(session, email, password)
        if not account:  # somebody was faster with the same link
            return render_template("gone.html"), 404
        answer = go_on(account)
        flash(gettext("Your password is set."), "success")
        return answer
    page = render_template(
        "welcome.html",
        form=form,
        email=account.email,
        name=account.name,
        least=PASSWORD_LENGTH,
        home=people().name,
    )
    return page, (422 if form.errors else 200)


@pages.route("/forgot", methods=["GET", "POST"])
@allow("public")
@limiter.limit("10 per minute", methods=["POST"])
def forgot() -> Any:
    """The same answer whether or not anybody has this address."""
    form, place = ForgotForm(), people().place()
    asked = form.validate_on_submit()
    if asked:
        people().links.forgotten(people().session(), place, form.email.data or "")
    return render_template(
        "forgot.html",
        form=form,
        asked=asked,
        mail=place.settings.smtp_url is not None,
        days=VALID.days,
    ), (422 if form.errors else 200)
