"""The coordinator's desk: nodes, visits, the month's account, invitations."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from federation.context import hub
from federation.db import db
from federation.directory import enrolment
from federation.directory import service as directory
from federation.governance import service as governance
from federation.statements import service as statements
from federation.visits import service as visits
from shared.problems import Problem
from shared.web import allow, current
from shared.web.forms import storable

pages = Blueprint("console", __name__, template_folder="templates")


class InviteForm(FlaskForm):
    operator = StringField(
        lazy_gettext("Name of the operator"),
        validators=[
            DataRequired(lazy_gettext("Enter the name of the operator.")),
            Length(max=120),
            storable,
        ],
    )


# What a visit that was admitted without the network can be flagged with, in few words.
FLAG_NAMES = {
    "pass_expired": lazy_gettext("pass expired"),
    "pass_stale": lazy_gettext("code too old"),
    "pass_replayed": lazy_gettext("code used twice"),
    "pass_revoked": lazy_gettext("pass revoked"),
    "pass_suspended": lazy_gettext("pass suspended"),
    "home_unknown": lazy_gettext("home unknown"),
    "home_suspended": lazy_gettext("home suspended"),
    "charter_unsigned": lazy_gettext("charter not signed"),
    "plan_not_eligible": lazy_gettext("plan not eligible"),
    "seniority": lazy_gettext("member for too short a time"),
    "quota_host": lazy_gettext("month’s limit at this host"),
    "quota_network": lazy_gettext("month’s limit in the network"),
    "reciprocity_floor": lazy_gettext("the home’s own limit"),
    "guest_cap": lazy_gettext("no guest place left"),
    "space_full": lazy_gettext("space full"),
    "space_closed": lazy_gettext("space closed"),
    "paused": lazy_gettext("roaming paused"),
    "offline_budget": lazy_gettext("too many visits without the network"),
    "trust_list_stale": lazy_gettext("lists too old"),
}


@pages.route("/coordination", methods=["GET", "POST"])
@allow("coordinator")
def overview() -> Any:
    form = InviteForm()
    invitation = None
    now = hub().clock.now()
    if form.validate_on_submit():
        token, row = enrolment.invite(db.session(), now, form.operator.data or "", current().id)
        invitation = {"token": token, "node_id": row.node_id, "expires_at": row.expires_at}
        form = InviteForm(formdata=None)
    charter = governance.in_force(db.session())
    month = f"{now:%Y-%m}"
    nodes = directory.nodes(db.session())
    return render_template(
        "console/overview.html",
        form=form,
        invitation=invitation,
        nodes=nodes,
        node_names={node.id: node.name for node in nodes},
        signed=governance.signed_versions(db.session(), charter.version),
        charter=charter,
        visits=visits.visits(db.session(), limit=25),
        names={space.id: space.name for space in directory.spaces(db.session())},
        statement=statements.statement(db.session(), month),
        flag_names=FLAG_NAMES,
        now=now,
    ), (422 if form.errors else 200)


@pages.get("/coordination/statements/<month>")
@allow("coordinator")
def statement(month: str) -> str:
    if not statements.is_month(month):
        raise Problem("not-found")
    document = statements.statement(db.session(), month)
    return render_template(
        "console/statement.html",
        statement=document,
        matrix=statements.matrix(document),
        names={node.id: node.name for node in directory.nodes(db.session())},
        previous=statements.neighbour(month, -1),
        following=statements.neighbour(month, 1),
    )


@pages.post("/coordination/nodes/<node_id>/state")
@allow("coordinator")
def set_state(node_id: str) -> Any:
    state = request.form.get("state", "")
    if state not in ("connected", "suspended"):
        raise Problem("malformed")
    reason = request.form.get("reason", "").replace("\x00", "")[:300]
    directory.set_state(
        db.session(), hub().clock.now(), node_id, state, f"account:{current().id}", reason
    )
    flash(
        gettext("The node is suspended.")
        if state == "suspended"
        else gettext("The node takes part again."),
        "success",
    )
    return redirect("/coordination")
