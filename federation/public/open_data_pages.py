"""What the hub gives to everybody, with examples that can be pasted."""

from __future__ import annotations

from email.utils import parseaddr

from flask import Blueprint, render_template

from federation.context import hub
from federation.feeds.service import DELETED_FOR, FEEDS
from federation.webhooks.service import KINDS
from shared.web import allow
from shared.web.limits import WITH_TOKEN
from shared.web.open_data import LICENCE_URL

pages = Blueprint("open_data", __name__, template_folder="templates")


@pages.get("/open-data")
@allow("public")
def open_data() -> str:
    settings = hub().settings
    return render_template(
        "open_data/open_data.html",
        hub=hub().url,
        network=settings.network,
        contact=parseaddr(settings.mail_from)[1],
        licence_url=LICENCE_URL,
        feeds=list(FEEDS),
        kinds=KINDS,
        per_minute=settings.public_per_minute,
        with_token=settings.public_per_minute * WITH_TOKEN,
        deleted_days=DELETED_FOR.days,
    )
