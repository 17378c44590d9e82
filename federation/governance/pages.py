"""The sandbox: a coordinator moves a figure and sees what last month would have been."""

from __future__ import annotations

import calendar
from datetime import date
from typing import Any

from flask import Blueprint, render_template, request
from flask_babel import lazy_gettext
from flask_wtf import FlaskForm
from wtforms import IntegerField, StringField
from wtforms.validators import NumberRange, Optional, Regexp

from charter.writing import with_figures
from federation.context import hub
from federation.db import db
from federation.directory import service as directory
from federation.governance import service, simulation
from shared.web import allow

pages = Blueprint("governance_pages", __name__, template_folder="templates")

SHOWN = 100


class SandboxForm(FlaskForm):
    """Read by GET: it changes nothing. A figure that is left empty is that of the charter."""

    class Meta:
        csrf = False

    month = StringField(
        lazy_gettext("Month"), validators=[Optional(), Regexp("^20[0-9]{2}-(0[1-9]|1[0-2])$")]
    )
    half_days__per_host = IntegerField(
        lazy_gettext("Half-days a month at one space"), [Optional(), NumberRange(0, 100)]
    )
    half_days__network = IntegerField(
        lazy_gettext("Half-days a month in the network"), [Optional(), NumberRange(0, 100)]
    )
    seniority__days = IntegerField(
        lazy_gettext("Seniority, days"), [Optional(), NumberRange(0, 3650)]
    )
    balance__tolerance_half_days = IntegerField(
        lazy_gettext("Tolerance, half-days"), [Optional(), NumberRange(0, 10_000)]
    )
    balance__rate_cents = IntegerField(
        lazy_gettext("A half-day, in cents"), [Optional(), NumberRange(0, 100_000)]
    )


@pages.get("/coordination/simulation")
@allow("coordinator")
def sandbox() -> Any:
    session, now = db.session(), hub().clock.now()
    current = service.find(session, "current")
    form = SandboxForm(request.args)
    result = None
    sound = form.validate()
    month = (form.month.data if sound else None) or f"{now:%Y-%m}"
    if sound:
        figures = {
            field.name.replace("__", "."): str(field.data)
            for field in form
            if "__" in field.name and field.data is not None
        }
        rules = with_figures(current.sources["rules.toml"], figures)
        year, number = (int(part) for part in month.split("-"))
        last = calendar.monthrange(year, number)[1]
        days = date(year, number, 1), date(year, number, last)
        found = simulation.run(session, current.version, *days, rules)
        result = simulation.as_json(found, SHOWN)
    return render_template(
        "governance/sandbox.html",
        form=form,
        month=month,
        result=result,
        version=current.version,
        names={node.id: node.name for node in directory.nodes(session)},
        spaces={space.id: space.name for space in directory.spaces(session)},
    ), (200 if sound else 422)
