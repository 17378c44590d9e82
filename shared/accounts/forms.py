"""What people type about their own account, on either service."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext
from wtforms import EmailField, PasswordField, SelectMultipleField, StringField
from wtforms.validators import DataRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from shared.web.forms import Form

PASSWORD_LENGTH = 10

ROLE_NAMES = {
    "coordinator": lazy_gettext("Coordinator"),
    "moderator": lazy_gettext("Moderator"),
    "reader": lazy_gettext("Reader"),
    "admin": lazy_gettext("Space admin"),
    "desk": lazy_gettext("Host at the desk"),
    "member": lazy_gettext("Member"),
}


def _own_password(label: Any) -> Any:
    return PasswordField(
        label,
        validators=[DataRequired(lazy_gettext("Enter your password.")), Length(max=200)],
        render_kw={"autocomplete": "current-password"},
    )


def _new_password() -> Any:
    words = lazy_gettext("Between %(min)d and %(max)d characters.")
    return PasswordField(
        lazy_gettext("New password"),
        validators=[Length(PASSWORD_LENGTH, 200, words)],
        render_kw={"autocomplete": "new-password"},
    )


def _code(label: Any) -> Any:
    return StringField(
        label,
        validators=[DataRequired(lazy_gettext("Enter the code.")), Length(max=60)],
        render_kw={
            "autocomplete": "one-time-code",
            "autocapitalize": "none",
            "spellcheck": "false",
        },
    )


class LoginForm(Form):
    email = EmailField(
        lazy_gettext("E-mail address"),
        validators=[
            DataRequired(lazy_gettext("Enter your e-mail address.")),
            Length(max=254),
        ],
        render_kw={"autocomplete": "username"},
    )
    password = _own_password(lazy_gettext("Password"))


class CodeForm(Form):
    code = _code(lazy_gettext("Code"))


class ForgotForm(Form):
    email = EmailField(
        lazy_gettext("E-mail address"),
        validators=[DataRequired(lazy_gettext("Enter your e-mail address.")), Length(max=254)],
    )


class PasswordForm(Form):
    password = _new_password()


class ChangePasswordForm(Form):
    old = _own_password(lazy_gettext("Password until now"))
    password = _new_password()


class BeginForm(Form):
    password = _own_password(lazy_gettext("Your password"))


class OffForm(Form):
    password = _own_password(lazy_gettext("Your password"))
    code = _code(lazy_gettext("Code"))


class TokenForm(Form):
    name = StringField(
        lazy_gettext("What it is for"),
        validators=[
            DataRequired(lazy_gettext("Give it a name, so that you know it again.")),
            Length(max=80),
        ],
    )
    scopes = SelectMultipleField(
        lazy_gettext("What it may do"),
        validators=[DataRequired(lazy_gettext("Choose at least one."))],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    password = _own_password(lazy_gettext("Your password"))
