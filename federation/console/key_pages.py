"""The coordination's pages about a node's keys and address: withdraw, invite again, confirm."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from marshmallow import ValidationError

from federation.console import key_preview
from federation.context import hub
from federation.db import db
from federation.nodes import enrolment, keys, url_change
from federation.nodes import service as nodes
from shared.web import allow, current
from shared.web.key_forms import WithdrawKeyForm
from shared.wire.problems import Problem

pages = Blueprint("console_keys", __name__, template_folder="templates")


@pages.route("/coordination/nodes/<node_id>/keys/<kid>", methods=["GET", "POST"])
@allow("coordinator")
def key(node_id: str, kid: str) -> Any:
    """Show what withdrawing a key would change, and withdraw it."""
    session, form = db.session(), WithdrawKeyForm()
    node, row = keys.find(session, node_id, kid)
    if form.validate_on_submit():
        reason, actor = (form.reason.data or "").strip(), f"account:{current().id}"
        try:
            keys.withdraw(session, hub(), node_id, kid, reason, form.instant, actor)
        except ValidationError:
            form.refuse_instant()
        else:
            flash(gettext("The key is withdrawn."), "success")
            return redirect(f"/coordination/nodes/{node_id}")
    return render_template(
        "console/key.html",
        node=node,
        key=row,
        form=form,
        effect=key_preview.effect_of(session, hub().clock.now(), node_id, kid),
    ), (422 if form.errors else 200)


@pages.post("/coordination/nodes/<node_id>/invitation")
@allow("coordinator")
def invite_again(node_id: str) -> Any:
    """Show, once, the invitation by which a node registers another key."""
    token, row = enrolment.invite_again(db.session(), hub().clock.now(), node_id, int(current().id))
    node = nodes.find(db.session(), node_id)
    return render_template("console/invited_again.html", node=node, token=token, row=row)


@pages.post("/coordination/nodes/<node_id>/url")
@allow("coordinator")
def confirm_url(node_id: str) -> Any:
    """Let a node be at the address that it asked for."""
    try:
        url = request.form.get("url", "")
        url_change.confirm(db.session(), hub(), node_id, url, int(current().id))
    except Problem as problem:
        if problem.slug not in ("conflict", "peer-refused", "url-taken"):
            raise
        flash(gettext("It could not be confirmed: the node does not answer there alone."), "error")
    else:
        flash(gettext("The new address is confirmed."), "success")
    return redirect(f"/coordination/nodes/{node_id}")


@pages.post("/coordination/nodes/<node_id>/url/refuse")
@allow("coordinator")
def refuse_url(node_id: str) -> Any:
    """Leave a node where it is."""
    url_change.refuse(db.session(), hub(), node_id, int(current().id))
    flash(gettext("It stays where it is."), "success")
    return redirect(f"/coordination/nodes/{node_id}")
