"""The form by which anybody reports an error, and what keeps machines out of it.

No third party is asked: a field that people do not see stays empty, a form is not sent within
the blink of an eye, it is good for a day and once, and an address sends a few at most.
"""

from __future__ import annotations

import secrets
from typing import Any

from flask import current_app
from flask_babel import gettext, lazy_gettext
from itsdangerous import BadData, URLSafeTimedSerializer
from wtforms import HiddenField, RadioField, StringField, TextAreaField, ValidationError
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length

from federation.moderation.reports import MOST_WORDS
from shared.base.mail_server import is_address
from shared.web.forms import Form
from shared.wire.page_reports import KINDS

LEAST_SECONDS, MOST_SECONDS = 3, 24 * 3600


def _stripped(text: str | None) -> str:
    return (text or "").strip()


def is_email(_form: Any, field: Any) -> None:
    if field.data and not is_address(field.data):
        raise ValidationError(gettext("Write an address like name@example.org, or leave it empty."))


class ReportForm(Form):
    kind = RadioField(
        lazy_gettext("What is wrong?"),
        choices=[SelectChoice(code, name) for code, name in KINDS.items()],
        validators=[InputRequired(lazy_gettext("Choose what is wrong."))],
    )
    words = TextAreaField(
        lazy_gettext("In your words"),
        description=lazy_gettext("What does the page say, and what should it say?"),
        filters=[_stripped],
        validators=[
            DataRequired(lazy_gettext("Write a few words: what should it say?")),
            Length(max=MOST_WORDS),
        ],
    )
    email = StringField(
        lazy_gettext("Your e-mail, for an answer"),
        description=lazy_gettext(
            "The space does not see it. It is forgotten once the report is settled, and after 90"
            " days at the latest."
        ),
        filters=[_stripped],
        validators=[Length(max=254), is_email],
    )
    # People neither see it nor reach it by keyboard.
    company = StringField(lazy_gettext("Leave this field empty"))
    stamp = HiddenField()


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="report")


def new_stamp(space_id: str) -> str:
    """Return what a form is known by: when it was given out, for which space, and a number."""
    return _signer().dumps([space_id, secrets.token_urlsafe(16)])


def read_stamp(stamp: str, space_id: str, now: float) -> tuple[str | None, str]:
    """Return a form's number, or None and why it is not taken: ``expired`` or ``fast``.

    ``now`` is in seconds of real time.
    """
    try:
        (of, number), made_at = _signer().loads(stamp, return_timestamp=True)
    except (BadData, TypeError, ValueError):
        return None, "expired"
    age = now - made_at.timestamp()
    if of != space_id or not isinstance(number, str) or age > MOST_SECONDS:
        return None, "expired"
    # Stamps are in whole seconds.
    return (number, "") if age >= LEAST_SECONDS else (None, "fast")
