"""E-mail that waits or was given up, shown to who runs the service, and sent again by a button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext, lazy_gettext, ngettext
from sqlalchemy.orm import Session

from shared.base.config import Settings
from shared.mail.queue import Mailbox
from shared.web.guards import allow

_WORDS = {
    "address": lazy_gettext("this is no e-mail address"),
    "unreachable": lazy_gettext("the mail server does not answer"),
    "not-authenticated": lazy_gettext("the mail server does not take our password"),
    "not-supported": lazy_gettext("the mail server lacks encryption or log-in"),
    "not-written": lazy_gettext("the folder cannot be written"),
    "tls": lazy_gettext("the mail server’s certificate does not hold"),
}


def letter_pages(
    module: str,
    address: str,
    role: str,
    mailbox: Mailbox,
    session: Callable[[], Session],
    settings: Callable[[], Settings],
) -> Blueprint:
    """Return the pages below ``address``, for who has this role; ``module`` has the template."""
    pages = Blueprint("letters", module, template_folder="templates")

    @pages.get(address)
    @allow(role)
    def letters() -> str:
        return render_template(
            "mail/letters.html",
            set_up=settings().smtp_url is not None,
            counts=mailbox.counts(session()),
            held_up=mailbox.held_up(session()),
            dead=mailbox.dead(session()),
            reason=reason,
            address=address,
        )

    @pages.post(f"{address}/again")
    @pages.post(f"{address}/<int:letter_id>/again")
    @allow(role)
    def again(letter_id: int | None = None) -> Any:
        count = mailbox.send_again(session(), settings().clock.real(), letter_id)
        words = ngettext("%(num)d letter is sent again.", "%(num)d letters are sent again.", count)
        flash(words, "success" if count else "warning")
        return redirect(address)

    return pages


def reason(code: str | None) -> str:
    """Return in words why a message was not taken."""
    if code and code.startswith("smtp-"):
        return str(gettext("the mail server refused it (%(code)s)", code=code[5:]))
    return str(_WORDS.get(code or "", code or ""))
