"""The admin's page of the charter: vote, sign, propose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext
from flask_wtf import FlaskForm
from wtforms import (
    Field,
    IntegerField,
    SelectChoice,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, InputRequired, Length, NumberRange, Regexp
from wtforms.widgets import CheckboxInput, ListWidget

from charter import PLAN_CLASSES
from charter.writing import with_figures
from node.context import node
from node.db import db
from node.governance import service
from node.mail.service import mailbox
from node.sync import service as sync
from shared.http import PeerError
from shared.problems import Problem
from shared.schemas import unstorable
from shared.web import allow
from shared.web.forms import storable

pages = Blueprint("governance_pages", __name__, template_folder="templates")
_VERSION = re.compile("[0-9]{1,9}")


def _figure(most: int = 1_000_000) -> dict[str, Any]:
    return {"validators": [InputRequired(), NumberRange(0, most)]}


class ProposalForm(FlaskForm):
    """Every figure of the rules, each within what a rule can be, and the text as it stands."""

    seniority__days = IntegerField(lazy_gettext("Seniority, days"), **_figure(3650))
    half_days__per_host = IntegerField(
        lazy_gettext("Half-days a month at one space"), **_figure(100)
    )
    half_days__network = IntegerField(
        lazy_gettext("Half-days a month in the network"), **_figure(100)
    )
    paper_card__half_days = IntegerField(
        lazy_gettext("Half-days a month with a card"), **_figure(100)
    )
    guest_cap__at_least = IntegerField(lazy_gettext("Guest places, at least"), **_figure(1000))
    house_conditions__closed_dates = IntegerField(
        lazy_gettext("Dates a month closed to visitors, at most"), **_figure(31)
    )
    house_conditions__notice_hours = IntegerField(
        lazy_gettext("Notice that a house may ask for, hours"), **_figure(720)
    )
    offline__trust_list_hours = IntegerField(
        lazy_gettext("Without a network, hours"), **_figure(1000)
    )
    offline__visits_per_pass = IntegerField(
        lazy_gettext("Without a network, visits a pass"), **_figure(100)
    )
    balance__tolerance_half_days = IntegerField(
        lazy_gettext("Tolerance, half-days"), **_figure(10_000)
    )
    balance__rate_cents = IntegerField(lazy_gettext("A half-day, in cents"), **_figure(100_000))
    correction__hours = IntegerField(lazy_gettext("Correction, hours"), **_figure(10_000))
    dispute__days = IntegerField(lazy_gettext("Dispute, days"), **_figure(365))
    vote__days = IntegerField(lazy_gettext("Vote, days"), **_figure(365))
    balance__mode = SelectField(
        lazy_gettext("Beyond the tolerance"),
        choices=[
            SelectChoice("compensate", lazy_gettext("compensated in money")),
            SelectChoice("barter", lazy_gettext("carried in half-days")),
        ],
    )
    eligible_plans__classes = SelectMultipleField(
        lazy_gettext("Plans that may roam"),
        choices=[
            SelectChoice("resident", lazy_gettext("resident")),
            SelectChoice("nomad", lazy_gettext("nomad")),
            SelectChoice("ticket", lazy_gettext("ticket")),
        ],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    vote__quorum = StringField(
        lazy_gettext("Quorum, of the operators"), validators=[Regexp(r"^[1-9]/[1-9]$")]
    )
    vote__majority = StringField(
        lazy_gettext("Majority, of the votes"), validators=[Regexp(r"^[1-9]/[1-9]$")]
    )
    text_fr = TextAreaField(
        lazy_gettext("The text in French"),
        validators=[DataRequired(), Length(max=200_000), storable],
    )
    text_en = TextAreaField(
        lazy_gettext("The text in English"),
        validators=[DataRequired(), Length(max=200_000), storable],
    )
    argument = TextAreaField(
        lazy_gettext("Why this change? The other operators read it before they vote."),
        validators=[
            DataRequired(lazy_gettext("Say why, in a few words.")),
            Length(max=4000),
            storable,
        ],
    )

    def figures(self) -> list[Field]:
        return [field for field in self if "__" in field.name]

    def leave_out(self, rules: Mapping[str, Any]) -> None:
        """Leave out the figures of rules that are not in force: this form changes, it adds none."""
        for field in self.figures():
            if field.name.partition("__")[0] not in rules:
                del self[field.name]

    def as_toml(self) -> dict[str, str]:
        """Return what TOML writes for each figure, by ``table.key``."""
        return {f.name.replace("__", "."): _toml(f.data) for f in self.figures()}


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' for item in PLAN_CLASSES if item in value) + "]"
    return str(value) if isinstance(value, int) else f'"{value}"'


@pages.get("/console/charter")
@allow("admin")
def charter() -> str:
    own = sync.node_id(db.session())
    found = service.overview(node())
    coming = found["coming"]
    mine = next((v for v in coming["votes"] if v["node"] == own), None) if coming else None
    return render_template(
        "governance/charter.html",
        **found,
        own=own,
        mine=mine,
        signed=[s["node"] for s in found["current"]["signatures"]],
        signed_coming=[s["node"] for s in coming["signatures"]] if coming else [],
        hub_url=node().hub.url,
        mail=mailbox.counts(db.session()) if node().settings.smtp_url else None,
    )


@pages.post("/console/charter/<version>/vote")
@allow("admin")
def vote(version: str) -> Any:
    choice, reason = request.form.get("choice", ""), request.form.get("reason", "").strip()
    if not _VERSION.fullmatch(version) or choice not in ("yes", "no", "abstain"):
        raise Problem("malformed")
    if len(reason) > 2000 or unstorable(reason) or (choice == "no" and not reason):
        flash(gettext("A “no” gives its reason, so that the proposal can become better."), "error")
        return redirect("/console/charter")
    path = f"/api/v1/charters/{version}/votes"
    service.ask(node(), "POST", path, {"choice": choice, "reason": reason})
    flash(gettext("Your vote is cast. You can change it until the vote closes."), "success")
    return redirect("/console/charter")


@pages.post("/console/charter/<version>/sign")
@allow("admin")
def sign(version: str) -> Any:
    if not _VERSION.fullmatch(version):
        raise Problem("malformed")
    try:
        sync.sign_charter(db.session(), node(), version)
    except PeerError as error:
        raise Problem("not-found" if error.detail == "404" else "hub-unreachable") from None
    flash(gettext("Signed, with this node’s key. The network knows."), "success")
    return redirect("/console/charter")


@pages.post("/console/charter/<version>/withdraw")
@allow("admin")
def withdraw(version: str) -> Any:
    if not _VERSION.fullmatch(version):
        raise Problem("malformed")
    service.ask(node(), "DELETE", f"/api/v1/charters/{version}")
    flash(gettext("The proposal is withdrawn."), "success")
    return redirect("/console/charter")


@pages.route("/console/charter/propose", methods=["GET", "POST"])
@allow("admin")
def propose() -> Any:
    """Propose a change, or, while one's own proposal is open, change it."""
    found = service.overview(node())
    coming, base = found["coming"], found["current"]
    own = sync.node_id(db.session())
    if coming is not None:
        if coming["state"] != "open" or coming["proposed_by"] != own:
            flash(gettext("Another proposal is under way: one is voted at a time."), "error")
            return redirect("/console/charter")
        base = coming
    form = ProposalForm() if request.method == "POST" else _form(base)
    form.leave_out(base["rules"])
    if form.validate_on_submit():
        sources = {
            "rules.toml": with_figures(base["sources"]["rules.toml"], form.as_toml()),
            "fr.md": (form.text_fr.data or "").replace("\r\n", "\n"),
            "en.md": (form.text_en.data or "").replace("\r\n", "\n"),
        }
        body = {"sources": sources, "argument": form.argument.data}
        faults = _send(body, coming["version"] if coming else None)
        if not faults:
            flash(gettext("The proposal is put to the vote."), "success")
            return redirect("/console/charter")
        form.argument.errors = faults
    return render_template("governance/propose.html", form=form, editing=coming is not None), (
        422 if form.errors else 200
    )


def _send(body: dict[str, Any], version: str | None) -> list[str]:
    """Send a proposal; return what the hub finds wrong with it. Raises Problem."""
    try:
        if version is None:
            service.ask(node(), "POST", "/api/v1/charters", body)
        else:
            service.ask(node(), "PUT", f"/api/v1/charters/{version}", body)
    except Problem as problem:
        if problem.slug == "validation":
            sources = (problem.extra.get("errors") or {}).get("sources") or {}
            return [str(fault) for faults in sources.values() for fault in faults]
        if problem.slug == "conflict":
            return [
                gettext("This is the charter in force, word for word, or another is under way.")
            ]
        raise
    return []


def _form(base: dict[str, Any]) -> ProposalForm:
    rules = base["rules"]
    values = {
        name: rules.get(name.partition("__")[0], {}).get(name.partition("__")[2])
        for name in ProposalForm()._fields
        if "__" in name
    }
    sources = base["sources"]
    return ProposalForm(
        data={
            **values,
            "text_fr": sources["fr.md"],
            "text_en": sources["en.md"],
            "argument": base.get("argument", ""),
        }
    )
