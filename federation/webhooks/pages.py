"""The coordinator's page of webhooks, and the page of each."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from wtforms import SelectChoice, SelectMultipleField, StringField
from wtforms.validators import DataRequired, Length, Optional, ValidationError
from wtforms.widgets import CheckboxInput, ListWidget

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.trust.node_labels import reason
from federation.webhooks import delivery, service
from shared.base.mail_server import is_address
from shared.net.http import PeerError
from shared.web import allow, current
from shared.web.forms import Form
from shared.wire.problems import Problem

pages = Blueprint("webhooks", __name__, template_folder="templates")


class WebhookForm(Form):
    name = StringField(
        lazy_gettext("Who is told"),
        description=lazy_gettext("The organisation or the program, as people here call it."),
        validators=[
            DataRequired(lazy_gettext("Say who is told.")),
            Length(max=120),
        ],
    )
    url = StringField(
        lazy_gettext("Address"),
        description=lazy_gettext("An https address that takes a POST with JSON."),
        validators=[
            DataRequired(lazy_gettext("Enter the address that takes the messages.")),
            Length(max=500),
        ],
    )
    email = StringField(
        lazy_gettext("E-mail of who looks after it"),
        description=lazy_gettext("Is written to when nobody has answered for three days."),
        validators=[Optional(), Length(max=254)],
    )
    kinds = SelectMultipleField(
        lazy_gettext("What it is told"),
        choices=[SelectChoice(kind, label) for kind, label in service.KINDS.items()],
        validators=[DataRequired(lazy_gettext("Choose at least one thing."))],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )

    def validate_url(self, field: Any) -> None:
        try:
            service.check_address(
                field.data.strip(), allow_private=hub().settings.allow_private_peers
            )
        except PeerError:
            raise ValidationError(
                gettext("An address that begins with https:// is expected.")
            ) from None

    def validate_email(self, field: Any) -> None:
        if not is_address(field.data.strip()):
            raise ValidationError(gettext("Enter an e-mail address, like name@example.org."))


def _actor() -> str:
    return f"account:{current().id}"


@pages.get("/coordination/webhooks")
@allow(*STAFF)
def overview() -> str:
    return _overview(WebhookForm())


def _overview(form: WebhookForm) -> str:
    return render_template(
        "webhooks/overview.html", form=form, webhooks=service.webhooks(db.session())
    )


@pages.post("/coordination/webhooks")
@allow("coordinator")
def subscribe() -> Any:
    form = WebhookForm()
    if not form.validate_on_submit():
        return _overview(form), 422
    webhook, secret = service.subscribe(
        db.session(),
        hub(),
        _actor(),
        (form.name.data or "").strip(),
        (form.url.data or "").strip(),
        (form.email.data or "").strip(),
        form.kinds.data or [],
    )
    return _one(webhook.id, secret=secret)


@pages.get("/coordination/webhooks/<int:webhook_id>")
@allow(*STAFF)
def one(webhook_id: int) -> str:
    return _one(webhook_id)


def _one(webhook_id: int, **more: Any) -> str:
    session = db.session()
    return render_template(
        "webhooks/one.html",
        webhook=service.webhook(session, webhook_id),
        deliveries=service.deliveries(session, webhook_id),
        kinds=service.KINDS,
        now=hub().clock.real(),
        reason=reason,
        **more,
    )


@pages.post("/coordination/webhooks/<int:webhook_id>")
@allow("coordinator")
def change(webhook_id: int) -> Any:
    session, actor, action = db.session(), _actor(), request.form.get("action", "")
    if action == "rotate":
        return _one(webhook_id, secret=service.rotate(session, hub(), actor, webhook_id))
    if action == "test":
        row = service.try_out(session, hub(), webhook_id)
        delivery.send_now(session, hub(), row.id)
        return _one(webhook_id, tried=row)
    if action in ("active", "paused"):
        service.set_state(session, hub(), actor, webhook_id, action)
        flash(gettext("It is told again.") if action == "active" else gettext("It is paused."))
    elif action == "remove":
        service.remove(session, hub(), actor, webhook_id)
        flash(gettext("It is told nothing any more, and forgotten."), "success")
        return redirect("/coordination/webhooks")
    else:
        raise Problem("malformed")
    return redirect(f"/coordination/webhooks/{webhook_id}")


@pages.post("/coordination/webhooks/<int:webhook_id>/deliveries/<int:delivery_id>")
@allow("coordinator")
def send_again(webhook_id: int, delivery_id: int) -> Any:
    service.send_again(db.session(), hub(), webhook_id, delivery_id)
    flash(gettext("It is sent once more, with the same id."), "success")
    return redirect(f"/coordination/webhooks/{webhook_id}")
