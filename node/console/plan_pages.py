"""The console's plans, each with what the charter in force makes of its class."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext

from charter import PLAN_CLASSES
from node.console.member_pages import rules_in_force
from node.context import node
from node.db import db
from node.members import plans, service
from node.members.forms import PlanForm
from node.members.labels import CLASS_NAMES, effect
from shared.web import allow
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("plans_pages", __name__, template_folder="templates")


@pages.route("/console/plans", methods=["GET", "POST"])
@allow("admin")
def listed() -> Any:
    """The plans, and the form of another one."""
    session = db.session()
    form = PlanForm()
    if form.validate_on_submit() and _saved(form, None):
        return redirect("/console/plans")
    rules, found = rules_in_force(session), plans.plans(session)
    counted = service.counts(session, service.today(db.session(), node()))
    return render_template(
        "members/plans.html",
        form=form,
        rows=[
            (p, counted.get(p.id, 0), effect(rules, p.plan_class, p.half_days_per_month))
            for p in found
        ],
        class_names=CLASS_NAMES,
        classes=[(name, effect(rules, name, None)) for name in PLAN_CLASSES],
        hub_url=node().hub.url,
    ), (422 if form.errors else 200)


@pages.route("/console/plans/<int:plan_id>", methods=["GET", "POST"])
@allow("admin")
def edit(plan_id: int) -> Any:
    session = db.session()
    row = plans.find(session, plan_id)
    form = PlanForm(
        data={
            "name": row.name,
            "plan_class": row.plan_class,
            "half_days": row.half_days_per_month,
        }
    )
    if form.validate_on_submit() and _saved(form, plan_id):
        return redirect("/console/plans")
    rules = rules_in_force(session)
    row = plans.find(session, plan_id)
    return render_template(
        "members/plan.html",
        row=row,
        form=form,
        count=service.counts(session, service.today(db.session(), node())).get(plan_id, 0),
        class_names=CLASS_NAMES,
        classes=[(name, effect(rules, name, None)) for name in PLAN_CLASSES],
        hub_url=node().hub.url,
    ), (422 if form.errors else 200)


def _saved(form: PlanForm, plan_id: int | None) -> bool:
    """Save a valid form and publish; what is refused is said beside the name."""
    session = db.session()
    values = ((form.name.data or "").strip(), form.plan_class.data, form.half_days.data)
    try:
        plans.save(session, node(), plan_id, *values)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        form.name.errors = [translate(problem.detail)]
        return False
    flash(gettext("Saved. The network reads the plans in the publication."), "success")
    return True


@pages.post("/console/plans/<int:plan_id>/remove")
@allow("admin")
def remove(plan_id: int) -> Any:
    session = db.session()
    plans.find(session, plan_id)
    try:
        plans.remove(session, node(), plan_id)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        flash(translate(problem.detail), "error")
    else:
        flash(gettext("The plan is removed."), "success")
    return redirect("/console/plans")
