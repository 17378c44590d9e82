"""The admin's page about this node's keys: which there are, and withdrawing one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext

from node.context import node
from node.db import db
from node.hub import keys, service
from node.passes.service import count_valid
from shared.net.http import PeerError
from shared.web import allow
from shared.web.key_forms import WithdrawKeyForm
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("key_pages", __name__, template_folder="templates")


@pages.get("/console/keys")
@allow("admin")
def index() -> str:
    session = db.session()
    enrolled = service.enrolment(session) is not None
    return render_template("sync/keys.html", keys=keys.known(session, node()), enrolled=enrolled)


@pages.route("/console/keys/<kid>", methods=["GET", "POST"])
@allow("admin")
def key(kid: str) -> Any:
    """Show what withdrawing a key changes, and withdraw it."""
    session, form = db.session(), WithdrawKeyForm()
    row = next((each for each in keys.known(session, node()) if each.kid == kid), None)
    if row is None:
        raise Problem("not-found")
    if form.validate_on_submit():
        try:
            reason = (form.reason.data or "").strip()
            keys.withdraw_key(session, node(), kid, reason, form.instant)
        except Problem as problem:
            if problem.slug != "validation":
                form.reason.errors = [str(translate(problem.detail) or problem.slug)]
            else:
                form.refuse_instant()
        except PeerError:
            form.reason.errors = [gettext("The hub cannot be asked right now: try again later.")]
        else:
            flash(gettext("The key is withdrawn."), "success")
            return redirect("/console/keys")
    # At most so many passes are by one key.
    passes, members = count_valid(session, node())
    return render_template("sync/key.html", key=row, form=form, passes=passes, members=members), (
        422 if form.errors else 200
    )
