"""The coordinator's desk: nodes, visits, the month's account, invitations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import StringField
from wtforms.validators import DataRequired, Length

from federation.console import desk
from federation.context import hub
from federation.db import db
from federation.directory import enrolment, marks
from federation.directory import service as directory
from federation.governance import proposals
from federation.governance import service as governance
from federation.pictures import drawings
from federation.pictures.shapes import to_svg
from federation.statements import lines, month_end
from federation.statements import service as statements
from federation.statements.flows import OTHERS
from federation.visits import service as visits
from shared.problems import Problem
from shared.schemas import unstorable
from shared.web import allow, current, formats
from shared.web.forms import storable
from shared.web.reasons import FLAG_NAMES

pages = Blueprint("console", __name__, template_folder="templates")
pages.add_app_template_global(desk.menu, "desk_menu")


SHOWN = 500  # lines on a page; all are in the files


class InviteForm(FlaskForm):
    operator = StringField(
        lazy_gettext("Name of the operator"),
        validators=[
            DataRequired(lazy_gettext("Enter the name of the operator.")),
            Length(max=120),
            storable,
        ],
    )


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
    versions = governance.versions(db.session())
    proposal = next((row for row in versions if row.state in proposals.UNDER_WAY), None)
    still_open = proposal is not None and proposal.state == "open"
    return render_template(
        "console/overview.html",
        proposal=proposal,
        closes_at=proposals.closes_at(db.session(), proposal) if still_open else None,
        form=form,
        invitation=invitation,
        nodes=nodes,
        node_names={node.id: node.name for node in nodes},
        signed=governance.signed_versions(db.session(), charter.version),
        charter=charter,
        visits=visits.visits(db.session(), limit=25),
        names={space.id: space.name for space in directory.spaces(db.session())},
        account=statements.sheet(db.session(), month),
        flag_names=FLAG_NAMES,
        concerns=marks.concerns(db.session(), now),
        now=now,
    ), (422 if form.errors else 200)


@pages.get("/coordination/statements/<month>")
@allow("coordinator")
def statement(month: str) -> str:
    if not statements.is_month(month):
        raise Problem("not-found")
    session = db.session()
    found = statements.sheet(session, month)
    shown = [
        *lines.visits(session, found.chosen, SHOWN),
        *lines.corrections(session, found.chosen, SHOWN),
    ]
    row, nodes = statements.statement_of(session, month), directory.nodes(session)
    return render_template(
        "console/statement.html",
        statement=found.head,
        lines=shown,
        matrix=found.matrix,
        drawn=_flows(month, found.matrix, {node.id: node.name for node in nodes}),
        outlooks=statements.outlooks(session, found, hub().clock.now()),
        checks=statements.log_checks(session, month),
        disputes=statements.disputes(session, month),
        deadline=statements.deadline(session, row) if row else None,
        over=f"{hub().clock.now():%Y-%m}" > month,
        now=hub().clock.now(),
        names={node.id: node.name for node in nodes},
        heard={node.id: node.last_seen_at for node in nodes},
        waiting=month_end.waiting_for(session, month),
        previous=lines.neighbour(month, -1),
        following=lines.neighbour(month, 1),
    )


def _flows(
    month: str, matrix: Mapping[tuple[str, str], int], names: Mapping[str, str]
) -> Markup | None:
    title = gettext("Half-days by home and host in %(month)s", month=formats.month(month))
    drawing = drawings.flows(matrix, {**names, OTHERS: gettext("all others")}, title, title)
    return Markup(to_svg(drawing, "flows")) if drawing else None  # noqa: S704 - it escapes words


@pages.post("/coordination/statements/<month>/issue")
@allow("coordinator")
def issue(month: str) -> Any:
    if not statements.is_month(month):
        raise Problem("not-found")
    statements.issue(db.session(), hub().clock.now(), month, f"account:{current().id}")
    flash(gettext("The month is issued: its lines can be contested now."), "success")
    return redirect(f"/coordination/statements/{month}")


@pages.post("/coordination/disputes/<int:dispute_id>")
@allow("coordinator")
def settle(dispute_id: int) -> Any:
    outcome, words = request.form.get("outcome", ""), request.form.get("reason", "").strip()
    month = statements.dispute_by(db.session(), dispute_id).month
    if outcome not in ("upheld", "rejected"):
        raise Problem("malformed")
    if not 1 <= len(words) <= 500 or unstorable(words):
        flash(gettext("Give the reason of the decision (500 characters at most)."), "error")
        return redirect(f"/coordination/statements/{month}")
    now, actor = hub().clock.now(), f"account:{current().id}"
    statements.settle(db.session(), now, dispute_id, outcome, words, actor)
    flash(gettext("The dispute is settled; both nodes see why."), "success")
    return redirect(f"/coordination/statements/{month}")


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
