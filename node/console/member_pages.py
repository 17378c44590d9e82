"""The console's members: the list, one of them, and their invitation."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import gettext
from sqlalchemy.orm import Session

from charter.rules import Rules
from node.context import node
from node.db import db
from node.hub import service as sync
from node.identity.service import two_factor
from node.members import changes, service
from node.members.forms import EndForm, NewMemberForm, RolesForm, form_of
from node.members.labels import CLASS_NAMES, effect, roams, state_words
from node.members.listing import members_csv
from node.members.models import Member
from node.members.password_links import links
from node.members.plans import plans
from node.passes import cards as paper_cards
from node.passes import service as passes
from shared.accounts.password_links import VALID
from shared.store.account_tables import NO_PASSWORD
from shared.web import allow, current
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint("members_pages", __name__, template_folder="templates")


def rules_in_force(session: Session) -> Rules | None:
    """Return the rules of the charter as this node last knew it."""
    known = sync.network(session, node())
    return known.charter.rules if known else None


@pages.get("/console/members")
@allow("admin")
def members() -> str:
    session = db.session()
    wanted = request.args.get("q", "").replace("\x00", "").strip()[:100]
    plan_id = request.args.get("plan", type=_number)
    rows, after = service.listed(session, wanted, plan_id, request.args.get("after", type=_number))
    day = service.today(db.session(), node())
    counted, asked = service.counts(session, day), links.invited(session, node().clock.now())
    known = plans(session)
    return render_template(
        "members/list.html",
        rows=[(row, *state_words(row, day, asked)) for row in rows],
        after=after,
        wanted=wanted,
        plan_id=plan_id,
        plans=known,
        counts=counted,
        total=sum(counted.values()),
        class_names=CLASS_NAMES,
    )


def _number(text: str) -> int:
    """Read a number that every database can compare. Raises ValueError."""
    value = int(text)
    if not 0 <= value < 1 << 31:
        raise ValueError(text)
    return value


@pages.get("/console/members.csv")
@allow("admin")
def export() -> Response:
    """Every member, in a file that a spreadsheet opens and that nothing in it can make compute."""
    found = members_csv(db.session(), node().clock.now(), service.today(db.session(), node()))
    disposition = 'attachment; filename="members.csv"'
    return Response(
        found,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": disposition},
    )


@pages.route("/console/members/new", methods=["GET", "POST"])
@allow("admin")
def new_member() -> Any:
    session = db.session()
    form = NewMemberForm()
    form.offer(plans(session))
    if request.method == "GET":
        form.joined_on.data = service.today(db.session(), node())
    if form.validate_on_submit():
        try:
            row, url = service.subscribe(session, node(), form.sheet(), invite=form.invite.data)
        except Problem as problem:
            if problem.slug != "conflict":
                raise
            form.email.errors = [translate(problem.detail)]
        else:
            if url is not None:
                return _link(row, url)
            flash(gettext("%(name)s is a member.", name=row.given_name), "success")
            if form.invite.data:
                _flash_sent(row)
            return redirect(f"/console/members/{row.id}")
    rules = rules_in_force(session)
    effects = [(plan, roams(rules, plan.plan_class)) for plan in plans(session)]
    return render_template("members/new.html", form=form, effects=effects), (
        422 if form.errors else 200
    )


def _flash_sent(row: Member) -> None:
    flash(gettext("The invitation is on its way to %(email)s.", email=row.account.email), "success")


def _link(row: Member, url: str) -> Any:
    return render_template("members/link.html", row=row, url=url, days=VALID.days)


@pages.route("/console/members/<int:member_id>", methods=["GET", "POST"])
@allow("admin")
def member(member_id: int) -> Any:
    session = db.session()
    row = _one(session, member_id)
    form = form_of(row)
    form.offer(plans(session))
    if form.validate_on_submit():
        try:
            phones = changes.change(session, node(), member_id, form.sheet())
        except Problem as problem:
            if problem.slug != "conflict":
                raise
            at = form.ended_on if problem.detail == changes.LAST_ADMIN else form.email
            at.errors = [translate(problem.detail)]
        else:
            flash(gettext("Saved."), "success")
            if phones:
                words = gettext("The phone makes another pass on its page: the old one has ended.")
                flash(words, "warning")
            return redirect(f"/console/members/{member_id}")
    return _page(session, _one(session, member_id), form), (422 if form.errors else 200)


def _one(session: Session, member_id: int) -> Member:
    if member_id >= 1 << 31:
        raise Problem("not-found")
    return service.one(session, member_id)


def _page(session: Session, row: Member, form: Any) -> str:
    day = service.today(db.session(), node())
    found = passes.passes_of(session, row.id)
    cards = paper_cards.pass_ids(session, row.id)
    return render_template(
        "members/member.html",
        row=row,
        form=form,
        state=state_words(row, day, links.invited(session, node().clock.now())),
        stage=service.state(row, day),
        no_password=row.account.password_hash == NO_PASSWORD,
        effects=effect(rules_in_force(session), row.plan.plan_class, row.plan.half_days_per_month),
        class_name=CLASS_NAMES[row.plan.plan_class],
        passes=[(each, each.id in cards) for each in found],
        real=node().clock.real(),
        end=EndForm(formdata=None, prefix="end", data={"last_day": row.ended_on or day}),
        roles=RolesForm(formdata=None, prefix="account", data={"roles": row.account.roles}),
        hub_url=node().hub.url,
    )


@pages.post("/console/members/<int:member_id>/suspend")
@allow("admin")
def suspend(member_id: int) -> Any:
    session = db.session()
    changes.suspend(session, node(), _one(session, member_id).id)
    return _back(session, member_id, gettext("Suspended: the passes open no door."))


@pages.post("/console/members/<int:member_id>/resume")
@allow("admin")
def resume(member_id: int) -> Any:
    session = db.session()
    changes.resume(session, node(), _one(session, member_id).id)
    return _back(session, member_id, gettext("Taken up again, with the passes that were valid."))


@pages.post("/console/members/<int:member_id>/end")
@allow("admin")
def end(member_id: int) -> Any:
    session = db.session()
    row, form = _one(session, member_id), EndForm(prefix="end")
    if not form.validate_on_submit() or form.last_day.data is None:
        flash(gettext("Write a date like 2026-12-24."), "error")
        return redirect(f"/console/members/{member_id}")
    if form.last_day.data < row.joined_on:
        flash(gettext("The last day is before the first."), "error")
        return redirect(f"/console/members/{member_id}")
    return _done(
        session,
        member_id,
        lambda: changes.end(session, node(), member_id, form.last_day.data),
        gettext("The subscription ends after that day, and the passes with it."),
    )


@pages.post("/console/members/<int:member_id>/roles")
@allow("admin")
def roles(member_id: int) -> Any:
    session = db.session()
    _one(session, member_id)
    form = RolesForm(prefix="account")
    if not form.validate_on_submit():
        raise Problem("malformed")
    return _done(
        session,
        member_id,
        lambda: changes.set_roles(session, member_id, form.roles.data or []),
        gettext("Saved."),
    )


@pages.post("/console/members/<int:member_id>/passes/<pass_id>/revoke")
@allow("admin")
def revoke(member_id: int, pass_id: str) -> Any:
    session = db.session()
    passes.revoke(session, node(), pass_id, _one(session, member_id).id)
    return _back(session, member_id, gettext("This pass no longer opens any door."))


@pages.post("/console/members/<int:member_id>/invite")
@allow("admin")
def invite(member_id: int) -> Any:
    """Make another link; an earlier one opens nothing any more."""
    session = db.session()
    row = _one(session, member_id)
    url = links.invite_again(session, node(), row.account_id)
    if url is not None:
        return _link(_one(session, member_id), url)
    _flash_sent(_one(session, member_id))
    return redirect(f"/console/members/{member_id}")


@pages.post("/console/members/<int:member_id>/two-factor/reset")
@allow("admin")
def reset_two_factor(member_id: int) -> Any:
    """For a person who lost phone and recovery codes; one's own is turned off with a code."""
    session = db.session()
    account_id = _one(session, member_id).account_id
    if account_id == current().id:
        words = gettext("Your own second step is turned off on your account page, with a code.")
        flash(words, "error")
        return redirect(f"/console/members/{member_id}")
    two_factor.turn_off(session, node().clock.now(), account_id, by=current().id)
    return _back(session, member_id, gettext("The second step is reset; it can be set up anew."))


def _done(session: Session, member_id: int, verb: Any, words: str) -> Any:
    """Do it; what is refused is said on the page."""
    try:
        verb()
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        flash(translate(problem.detail), "error")
        return redirect(f"/console/members/{member_id}")
    return _back(session, member_id, words)


def _back(session: Session, member_id: int, words: str) -> Any:
    flash(words, "success")
    return redirect(f"/console/members/{member_id}")
