"""Where people choose their password, by a link that works once; and ask for one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext

from node.context import node
from node.db import db
from node.identity.service import accounts
from node.members import links
from node.members.forms import PASSWORD_LENGTH, ForgotForm, PasswordForm
from shared.web import allow
from shared.web.application import limiter

pages = Blueprint("welcome_pages", __name__, template_folder="templates")


@pages.route("/welcome/<token>", methods=["GET", "POST"])
@allow("public")
@limiter.limit("30 per minute")
def welcome(token: str) -> Any:
    session, now = db.session(), node().clock.now()
    account = links.owner(session, now, token)
    form = PasswordForm()
    if account is None:
        return render_template("members/gone.html"), 404
    if form.validate_on_submit():
        password = form.password.data or ""
        email = links.choose_password(session, now, token, password)
        if email is None:  # somebody was faster with the same link
            return render_template("members/gone.html"), 404
        accounts.log_in(session, now, email, password)
        flash(gettext("Your password is set, and you are logged in."), "success")
        return redirect("/account")
    page = render_template(
        "members/welcome.html",
        form=form,
        email=account.email,
        name=account.name,
        least=PASSWORD_LENGTH,
        home=node().settings.name,
    )
    return page, (422 if form.errors else 200)


@pages.route("/forgot", methods=["GET", "POST"])
@allow("public")
@limiter.limit("10 per minute", methods=["POST"])
def forgot() -> Any:
    """The same answer whether or not anybody has this address."""
    form = ForgotForm()
    asked = form.validate_on_submit()
    if asked:
        links.forgotten(db.session(), node(), form.email.data or "")
    return render_template(
        "members/forgot.html",
        form=form,
        asked=asked,
        mail=node().settings.smtp_url is not None,
        days=links.VALID.days,
    ), (422 if form.errors else 200)
