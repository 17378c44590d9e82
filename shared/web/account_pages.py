"""Log-in, log-out and the account page with its personal tokens, on either service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from wtforms import EmailField, PasswordField, SelectChoice, SelectMultipleField, StringField
from wtforms.validators import DataRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from shared.accounts import Accounts
from shared.clock import Clock
from shared.web.application import limiter
from shared.web.forms import storable
from shared.web.guards import Principal, allow, current

ROLE_NAMES = {
    "coordinator": lazy_gettext("Coordinator"),
    "moderator": lazy_gettext("Moderator"),
    "reader": lazy_gettext("Reader"),
    "admin": lazy_gettext("Space admin"),
    "desk": lazy_gettext("Host at the desk"),
    "member": lazy_gettext("Member"),
}


class LoginForm(FlaskForm):
    email = EmailField(
        lazy_gettext("E-mail address"),
        validators=[
            DataRequired(lazy_gettext("Enter your e-mail address.")),
            Length(max=254),
            storable,
        ],
        render_kw={"autocomplete": "username"},
    )
    password = PasswordField(
        lazy_gettext("Password"),
        validators=[DataRequired(lazy_gettext("Enter your password.")), Length(max=200)],
        render_kw={"autocomplete": "current-password"},
    )


class TokenForm(FlaskForm):
    name = StringField(
        lazy_gettext("What it is for"),
        validators=[
            DataRequired(lazy_gettext("Give it a name, so that you know it again.")),
            Length(max=80),
            storable,
        ],
    )
    scopes = SelectMultipleField(
        lazy_gettext("What it may do"),
        validators=[DataRequired(lazy_gettext("Choose at least one."))],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )


def safe_next(target: str | None) -> str | None:
    """Return a path on this very site, or nothing: a log-in must not lead elsewhere."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc or "\\" in target else target


def blueprint(
    accounts: Accounts,
    get_session: Callable[[], Session],
    clock: Callable[[], Clock],
    home_for: Callable[[Principal], str],
    demo_hint: Callable[[], str | None],
) -> Blueprint:
    """Return the pages, bound to one service's accounts. ``home_for`` is where each role starts."""
    pages = Blueprint("account", __name__)

    @pages.route("/login", methods=["GET", "POST"])
    @allow("public")
    @limiter.limit("30 per minute", methods=["POST"])
    def log_in() -> Any:
        form = LoginForm()
        if form.validate_on_submit():
            account = accounts.log_in(
                get_session(), clock().now(), form.email.data or "", form.password.data or ""
            )
            if account is not None:
                principal = Principal("account", account.id, frozenset(account.roles), "login")
                return redirect(safe_next(request.args.get("next")) or home_for(principal))
            form.password.errors = [gettext("This address and password do not go together.")]
        status = 422 if request.method == "POST" else 200
        return render_template("login.html", form=form, demo_hint=demo_hint()), status

    @pages.post("/logout")
    @allow("public")
    def log_out() -> Any:
        accounts.log_out(get_session())
        return redirect("/")

    @pages.route("/account", methods=["GET", "POST"])
    @allow("coordinator", "moderator", "reader", "admin", "desk", "member")
    def account() -> Any:
        principal = current()
        form = TokenForm()
        roles = [SelectChoice(role, ROLE_NAMES.get(role, role)) for role in sorted(principal.roles)]
        form.scopes.choices = roles
        secret = None
        if form.validate_on_submit():
            secret = accounts.add_token(
                get_session(),
                clock().now(),
                principal.id,
                form.name.data or "",
                form.scopes.data or [],
            )
            form = TokenForm(formdata=None)
            form.scopes.choices = roles
        return render_template(
            "account.html",
            form=form,
            secret=secret,
            role_names=ROLE_NAMES,
            tokens=accounts.tokens(get_session(), principal.id),
        ), (422 if form.errors else 200)

    @pages.post("/account/tokens/<int:token_id>/revoke")
    @allow("coordinator", "moderator", "reader", "admin", "desk", "member")
    def revoke(token_id: int) -> Any:
        accounts.revoke_token(get_session(), clock().now(), current().id, token_id)
        flash(gettext("The token no longer works."), "success")
        return redirect("/account")

    return pages
