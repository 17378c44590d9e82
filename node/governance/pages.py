"""The admin's page of the charter: vote, sign, propose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext

from charter import Charter, RulesError
from node.context import node
from node.db import db
from node.governance import preview, service
from node.governance import simulation as effect
from node.governance.forms import ProposalForm, form_for
from node.hub import service as sync
from shared.base.schemas import unstorable
from shared.net.http import PeerError
from shared.store.db import release
from shared.web import allow
from shared.web.formats import local_day
from shared.web.reasons import CAUSES
from shared.wire.problems import Problem

pages = Blueprint("governance_pages", __name__, template_folder="templates")
_VERSION = re.compile("[0-9]{1,9}")


@pages.get("/console/charter")
@allow("admin")
def charter() -> str:
    found = service.overview(node(), request.args.get("cursor", ""))
    for each in found["coming"]:
        each["warnings"] = preview.warnings(each)
    known = sync.network(db.session(), node())
    return render_template(
        "governance/charter.html",
        **found,
        names={key: each["name"] for key, each in known.trust.nodes.items()} if known else {},
        own=sync.node_id(db.session()),
        hub_url=node().hub.url,
        mail=node().settings.smtp_url is not None,
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
    ballot = {"choice": choice, "reason": reason}
    if read := request.form.get("proposal_sha256", ""):
        ballot["proposal_sha256"] = read[:64]
    try:
        service.ask(node(), "POST", f"/api/v1/charters/{version}/votes", ballot)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        flash(
            gettext("Not cast: the text has changed since you read it, or the vote is over."),
            "error",
        )
        return redirect("/console/charter")
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


@pages.get("/console/charter/<version>/simulation")
@allow("admin")
def simulation(version: str) -> Any:
    """Show what a version would have changed, in totals alone."""
    if not _VERSION.fullmatch(version):
        raise Problem("not-found")
    session, now = db.session(), node().clock.now()
    own = sync.node_id(session)
    known = sync.network(session, node())
    nodes = known.trust.nodes if known else {}
    release(session)  # the hub may take its time
    form = effect.PeriodForm(request.args)
    sound, found = form.validate(), None
    period = form.period(local_day(now)) if sound else None
    if period:
        first, last = period
        found = effect.ask(node(), version, first, last)
    elif sound:
        first, last, found = effect.ask_usual(node(), version, now)
    else:
        first = last = local_day(now)
    return render_template(
        "governance/simulation.html",
        version=version,
        form=form,
        first=first,
        last=last,
        result=found,
        operators=effect.operators(found, own) if found else [],
        own=own,
        causes=CAUSES,
        names={id_: entry["name"] for id_, entry in nodes.items()},
        spaces={each["id"]: each["name"] for entry in nodes.values() for each in entry["spaces"]},
    ), (200 if sound else 422)


@pages.route("/console/charter/propose", methods=["GET", "POST"])
@allow("admin")
def propose() -> Any:
    """Propose a change, or, while one's own proposal is open, change it: first shown, then sent."""
    current = service.ask(node(), "GET", "/api/v1/charters/current")
    mine = service.own_proposal(node(), sync.node_id(db.session()))
    if mine is not None and not mine["edits_left"]:
        words = gettext("It was changed as often as it may be: now it is voted on as it stands.")
        flash(words, "error")
        return redirect("/console/charter")
    base = mine or current
    form = ProposalForm() if request.method == "POST" else form_for(base)
    form.leave_out(base["rules"])
    shown: dict[str, Any] = {}
    if form.validate_on_submit():
        sources, proposed, faults = _examined(form, base, current)
        argument = form.argument.data or ""
        mark = preview.mark(current, sources, argument)
        wanted = request.form.get("action") == "vote"
        if wanted and not faults and request.form.get("previewed") == mark:
            faults = _send({"sources": sources, "argument": argument}, mine)
            if not faults:
                flash(gettext("The proposal is put to the vote."), "success")
                return redirect("/console/charter")
        form.point_at(faults)
        if proposed is not None and not faults:
            shown = {**preview.effect(current, proposed), "mark": mark, "moved": wanted}
    return render_template(
        "governance/propose.html",
        form=form,
        editing=mine is not None,
        **shown,
    ), (422 if form.errors or shown.get("moved") else 200)


def _examined(
    form: ProposalForm, base: Mapping[str, Any], current: Mapping[str, Any]
) -> tuple[dict[str, str], Charter | None, preview.Faults]:
    """Return what is proposed, as sources and as a charter, and what is wrong with it, by field."""
    try:
        sources = form.sources(base["sources"]["rules.toml"])
    except RulesError as error:  # a figure that its author wrote in a way of their own
        return {}, None, preview.placed(error.faults)
    proposed, faults = preview.examine(base["version"], sources)
    return sources, proposed, faults or preview.unchanged(sources, current)


def _send(body: dict[str, Any], mine: dict[str, Any] | None) -> preview.Faults:
    """Send a proposal; return what the hub finds wrong with it, by field. Raises Problem."""
    try:
        if mine is None:
            service.ask(node(), "POST", "/api/v1/charters", body)
        else:
            service.ask(node(), "PUT", f"/api/v1/charters/{mine['version']}", body)
    except Problem as problem:
        if problem.slug == "validation":
            sources = (problem.extra.get("errors") or {}).get("sources") or {}
            faults = [str(fault) for faults in sources.values() for fault in faults]
            return preview.placed(faults or [gettext("The hub does not accept this proposal.")])
        if problem.slug == "conflict":
            words = gettext(
                "Not taken: it is the charter in force, word for word, or its vote is over."
            )
            return {"": [words]}
        raise
    return {}
