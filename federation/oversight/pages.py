"""The coordination's pages about hosts: who stands out, held visits, a suspended host's lines."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, ngettext

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.nodes import service as directory
from federation.oversight import comparing, labels, queries, service
from federation.oversight.service import PAGE
from federation.spaces import queries as published
from federation.statements import disputes, host_disputes
from federation.statements import service as statements
from federation.statements.statement_lines import neighbour
from federation.trust import node_labels
from federation.visits import changes
from federation.visits import queries as visits
from federation.visits.models import Visit
from shared.base.schemas import unstorable
from shared.web import allow, current, formats
from shared.web.reasons import flags_in_words
from shared.wire import held_visits
from shared.wire.problems import Problem

pages = Blueprint("oversight", __name__, template_folder="templates")

SHOWN_HOSTS, SHOWN_VISITS, SHOWN_DISPUTES = 50, 20, 50


@pages.get("/coordination/hosts")
@allow(*STAFF)
def hosts() -> str:
    session, this = db.session(), f"{formats.local_day(hub().clock.now()):%Y-%m}"
    month = request.args.get("month", this)
    if not statements.is_month(month):
        raise Problem("not-found")
    found, typical = service.hosts(session, month)
    page = max(1, request.args.get("page", 1, type=int))
    nodes = directory.nodes(session)
    return render_template(
        "oversight/hosts.html",
        month=month,
        this=this,
        previous=neighbour(month, -1),
        following=neighbour(month, 1),
        out_of_line=[host for host in found if host.findings],
        hosts=found[(page - 1) * SHOWN_HOSTS : page * SHOWN_HOSTS],
        page=page,
        last=max(1, -(-len(found) // SHOWN_HOSTS)),
        typical=typical,
        waiting=dict(queries.waiting(session)),
        suspended=_suspended(nodes),
        disputes=host_disputes.of_hosts(session, SHOWN_DISPUTES),
        names={node.id: node.name for node in nodes},
        rule=comparing,
        wording=labels,
        states=node_labels.STATES,
        acts=_acts(),
    )


def _suspended(nodes: list[Any]) -> list[tuple[Any, int]]:
    """Return the suspended hosts, and how many visits could be held of each; the dispute apart."""
    session = db.session()
    of = [node for node in nodes if node.state == "suspended"]
    free = [node for node in of if host_disputes.open_one(session, node.id) is None]
    return [(node, host_disputes.count(session, node.id)) for node in free]


def _acts() -> bool:
    return "coordinator" in current().roles


@pages.get("/coordination/hosts/held")
@allow(*STAFF)
def held() -> str:
    host = request.args.get("host", "").replace("\x00", "")
    return _held(host, request.args.get("after", ""))


def _held(host: str, after: str, ticked: Collection[str] = (), reason: str = "") -> str:
    session = db.session()
    before = _before(after)
    found = visits.visits(
        session, node_id=host or None, held=True, before=before, limit=SHOWN_VISITS + 1
    )
    shown, more = found[:SHOWN_VISITS], len(found) > SHOWN_VISITS
    others = queries.other_showings(session, shown)
    spaces = {each.space_id for each in shown} | {each.space_id for each in others.values()}
    waiting = dict(queries.waiting(session))
    return render_template(
        "oversight/held.html",
        visits=shown,
        others=others,
        page=after if before else "",
        after=_cursor(shown[-1]) if more else None,
        count=waiting.get(host, 0) if host else sum(waiting.values()),
        waiting=waiting,
        host=host,
        names={node.id: node.name for node in directory.nodes(session)},
        spaces=published.names_of(session, spaces),
        why=held_visits.why,
        flags_in_words=flags_in_words,
        acts=_acts(),
        ticked=ticked,
        reason=reason,
    )


def _cursor(visit: Visit) -> str:
    return f"{visit.changed_at.isoformat()}/{visit.id}"


def _before(cursor: str) -> tuple[datetime, str] | None:
    """Read ``_cursor``; what is none is the first page."""
    instant, _, visit_id = cursor.replace(" ", "+").partition("/")
    try:
        found = datetime.fromisoformat(instant)
    except ValueError:
        return None
    return (found, visit_id) if found.tzinfo and not unstorable(visit_id) else None


@pages.post("/coordination/hosts/held")
@allow("coordinator")
def decide() -> Any:
    """Decide about those that are ticked, for one reason: each by itself, and each in the log."""
    host, outcome = request.form.get("host", ""), request.form.get("outcome", "")
    host = host if host in _node_ids() else ""
    ticked = list(dict.fromkeys(request.form.getlist("visit")))[:SHOWN_VISITS]
    reason = _reason()
    if not ticked:
        flash(gettext("Tick the visits that are to be decided."), "error")
    if reason is None or not ticked or outcome not in ("counts", "undone"):
        given = request.form.get("reason", "").replace("\0", "")[:300]
        return _held(host, request.form.get("after", ""), ticked, given), 422
    _say(outcome, *_decided(ticked, outcome == "counts", reason))
    return redirect(f"{PAGE}/held?host={host}" if host else f"{PAGE}/held")


def _decided(ticked: list[str], counts: bool, reason: str) -> tuple[int, int]:
    """Decide; return about how many it was, and how many somebody had decided about before."""
    done = 0
    for visit_id in ticked:
        try:
            changes.decide_held(
                db.session(),
                hub().clock.now(),
                visit_id,
                counts=counts,
                reason=reason,
                actor=_actor(),
            )
        except Problem as problem:
            if problem.slug != "conflict":
                raise
        else:
            done += 1
    return done, len(ticked) - done


def _say(outcome: str, done: int, late: int) -> None:
    if done and outcome == "counts":
        words = ngettext("%(num)d visit counts now.", "%(num)d visits count now.", done)
        flash(words, "success")
    elif done:
        words = ngettext("%(num)d visit is undone.", "%(num)d visits are undone.", done)
        flash(words, "success")
    if late:
        words = ngettext(
            "Somebody has decided about %(num)d visit already.",
            "Somebody has decided about %(num)d visits already.",
            late,
        )
        flash(words, "warning")


def _node_ids() -> set[str]:
    return {node.id for node in directory.nodes(db.session())}


def _actor() -> str:
    return f"account:{current().id}"


def _reason() -> str | None:
    """Return the reason that was given; say what is wrong with it."""
    words = request.form.get("reason", "").strip()
    if 1 <= len(words) <= 300 and not unstorable(words):
        return words
    flash(gettext("Give the reason (300 characters at most)."), "error")
    return None


@pages.post("/coordination/hosts/<node_id>/hold")
@allow("coordinator")
def hold(node_id: str) -> Any:
    """Hold what a suspended host counts in no final month."""
    reason = _reason()
    if reason is not None:
        session, now = db.session(), hub().clock.now()
        host_disputes.hold_lines_of_host(session, now, node_id, reason, _actor())
        flash(gettext("Its lines are held, until the coordination decides."), "success")
    return redirect(f"{PAGE}#suspended")


@pages.post("/coordination/hosts/disputes/<int:number>")
@allow("coordinator")
def settle(number: int) -> Any:
    outcome, reason = request.form.get("outcome", ""), _reason()
    if reason is not None and outcome in (disputes.UPHELD, disputes.REJECTED):
        session, now = db.session(), hub().clock.now()
        host_disputes.settle(session, now, number, outcome, reason, _actor())
        flash(gettext("It is decided; the log says why."), "success")
    return redirect(f"{PAGE}#suspended")
