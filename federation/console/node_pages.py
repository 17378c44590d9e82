"""The coordinator's view of nodes: how each is, what to do about it, suspending, letting go."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from marshmallow import ValidationError
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from federation.charters import service as charters
from federation.console import suspension_preview
from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import enrolment, node_urls
from federation.spaces import queries as published
from federation.trust import leaving, node_health, node_labels
from federation.trust import suspension as standing
from shared.web import allow, current
from shared.web.forms import Form
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("console_nodes", __name__, template_folder="templates")

PAGE = 50
STATES = ("attention", "connected", "late", "offline", "suspended", "left")


class InviteForm(Form):
    operator = StringField(
        lazy_gettext("Name of the operator"),
        validators=[
            DataRequired(lazy_gettext("Enter the name of the operator.")),
            Length(max=120),
        ],
    )


class ReasonForm(Form):
    reason = TextAreaField(
        lazy_gettext("Reason"),
        description=lazy_gettext("The operator and the other coordinators read it."),
        validators=[DataRequired(lazy_gettext("Give the reason.")), Length(max=300)],
    )


class LetGoForm(ReasonForm):
    last_day = DateField(
        lazy_gettext("Last day"),
        description=lazy_gettext("Until it is over everything goes on; bookings are honoured."),
        validators=[DataRequired(lazy_gettext("Enter the last day."))],
    )


def _one(node_id: str) -> node_health.Condition:
    found = node_health.all_of(db.session(), hub().clock.now(), node_id)
    if not found:
        raise Problem("not-found")
    return found[0]


@pages.get("/coordination/nodes")
@allow(*STAFF)
def index() -> Any:
    return _listed(InviteForm())


@pages.post("/coordination/nodes")
@allow("coordinator")
def invite() -> Any:
    form = InviteForm()
    if not form.validate_on_submit():
        return _listed(form)
    now, operator = hub().clock.now(), form.operator.data or ""
    try:
        token, row = enrolment.invite(db.session(), now, operator, current().id)
    except Problem as problem:
        if problem.slug != "name-taken":
            raise
        form.operator.errors = [gettext("Another operator goes by this name.")]
        return _listed(form)
    return _listed(InviteForm(formdata=None), {"token": token, "row": row})


def _listed(form: InviteForm, invitation: dict[str, Any] | None = None) -> Any:
    found = node_health.all_of(db.session(), hub().clock.now())
    wanted, q = request.args.get("state", ""), request.args.get("q", "")[:100].replace("\0", "")
    shown = [one for one in found if _matches(one, wanted, q.strip().casefold())]
    page = max(1, request.args.get("page", 1, type=int))
    return render_template(
        "console/nodes.html",
        form=form,
        invitation=invitation,
        acts="coordinator" in current().roles,
        nodes=shown[(page - 1) * PAGE : page * PAGE],
        count=len(shown),
        total=len(found),
        amiss=sum(1 for one in found if one.grave),
        page=page,
        last=max(1, -(-len(shown) // PAGE)),
        state=wanted if wanted in STATES else "",
        q=q.strip(),
        words=node_labels,
    ), (422 if form.errors else 200)


def _matches(one: node_health.Condition, state: str, q: str) -> bool:
    node = one.node
    fits = state not in STATES or (one.grave if state == "attention" else node.state == state)
    return fits and (not q or any(q in text.casefold() for text in (node.id, node.name, node.url)))


@pages.get("/coordination/nodes/<node_id>")
@allow(*STAFF)
def show(node_id: str) -> str:
    session, one = db.session(), _one(node_id)
    return render_template(
        "console/node.html",
        one=one,
        node=one.node,
        words=node_labels,
        refused=[
            (row, list(_flat(translate((row.refused or {})["errors"]))))
            for row in published.refused_documents(session, node_id)
        ],
        former=node_urls.former(session, node_id),
        spaces=published.of_node(session, node_id),
        charter=charters.in_force(session),
        invitation=enrolment.invitation_of(session, node_id),
        url_change=node_urls.pending(session, node_id),
        acts="coordinator" in current().roles,
        now=hub().clock.now(),
    )


def _flat(errors: Any, field: str = "") -> Any:
    """Yield field and message of each fault of a document."""
    if isinstance(errors, dict):
        for name, inner in errors.items():
            yield from _flat(inner, f"{field}.{name}" if field else str(name))
    else:
        for message in errors if isinstance(errors, list) else [errors]:
            yield field, str(message)


@pages.get("/coordination/nodes/<node_id>/suspension")
@allow("coordinator")
def suspension(node_id: str) -> Any:
    return _suspending(node_id, ReasonForm())


def _suspending(node_id: str, form: ReasonForm) -> Any:
    one = _one(node_id)
    if one.node.state in ("suspended", "left"):
        return redirect(f"/coordination/nodes/{node_id}")
    return render_template(
        "console/suspend.html",
        node=one.node,
        form=form,
        effect=suspension_preview.of_suspending(db.session(), hub().clock.now(), node_id),
    ), (422 if form.errors else 200)


@pages.post("/coordination/nodes/<node_id>/state")
@allow("coordinator")
def set_state(node_id: str) -> Any:
    state, form = request.form.get("state", ""), ReasonForm()
    if state not in ("connected", "suspended"):
        raise Problem("malformed")
    if not form.validate_on_submit():
        if state == "suspended":
            return _suspending(node_id, form)
        flash(gettext("Give the reason."), "error")
        return redirect(f"/coordination/nodes/{node_id}")
    reason = (form.reason.data or "").strip()
    decided = (_one(node_id).node.state == "suspended") == (state == "suspended")
    standing.set_state(db.session(), hub(), node_id, state, int(current().id), reason)
    if decided:
        words = gettext(
            "Somebody decided so already: nothing has changed, and your reason is not noted."
        )
        flash(words, "warning")
        return redirect(f"/coordination/nodes/{node_id}")
    flash(
        gettext("The node is suspended.")
        if state == "suspended"
        else gettext("The node takes part again."),
        "success",
    )
    return redirect(f"/coordination/nodes/{node_id}")


@pages.route("/coordination/nodes/<node_id>/let-go", methods=["GET", "POST"])
@allow("coordinator")
def let_go(node_id: str) -> Any:
    node = _one(node_id).node
    if node.state == "left":
        return redirect(f"/coordination/nodes/{node_id}")
    now = hub().clock.now()
    form = LetGoForm(data={"last_day": now.date() + timedelta(days=30)})
    if form.validate_on_submit():
        try:
            day, reason = form.last_day.data, (form.reason.data or "").strip()
            leaving.announce(db.session(), hub(), node_id, day, reason, int(current().id))
        except ValidationError:
            words = gettext("The last day is today or later, and at most two years ahead.")
            form.last_day.errors = [words]
        else:
            flash(gettext("Its last day is settled; its operator is told."), "success")
            return redirect(f"/coordination/nodes/{node_id}")
    return render_template(
        "console/let_go.html",
        node=_one(node_id).node,
        form=form,
        effect=suspension_preview.of_suspending(db.session(), now, node_id),
    ), (422 if form.errors else 200)


@pages.post("/coordination/nodes/<node_id>/keep")
@allow("coordinator")
def keep(node_id: str) -> Any:
    _one(node_id)
    leaving.withdraw(db.session(), hub(), node_id, int(current().id))
    flash(gettext("It stays in the network."), "success")
    return redirect(f"/coordination/nodes/{node_id}")
