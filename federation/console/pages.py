"""The coordinator's desk: nodes, visits, the month's account, invitations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from markupsafe import Markup

from federation.charters import service as charters
from federation.charters.adoption import UNDER_WAY
from federation.console import menu
from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.mail.service import mailbox
from federation.nodes import join_requests, rollback_detection
from federation.nodes import service as directory
from federation.oversight import labels
from federation.oversight import queries as oversight
from federation.search import service as search
from federation.spaces import queries as published
from federation.statements import auto_issue, disputes, documents, logs, statement_lines
from federation.statements import service as statements
from federation.statements.flows import OTHERS
from federation.statistics import charts
from federation.statistics.chart_shapes import to_svg
from federation.trust import node_health, node_labels
from federation.visits import queries as visits
from federation.watch import service as watching
from shared.base.schemas import unstorable
from shared.web import allow, current, formats
from shared.web.reasons import FLAG_NAMES, flags_in_words
from shared.wire.problems import Problem

pages = Blueprint("console", __name__, template_folder="templates")
pages.add_app_template_global(menu.menu, "desk_menu")


SHOWN = 500  # lines on a page; all are in the files


@pages.get("/coordination")
@allow(*STAFF)
def overview() -> str:
    now = hub().clock.now()
    month = documents.sheet(db.session(), f"{now:%Y-%m}")  # first: what was read before is let go
    found = node_health.all_of(db.session(), now)
    nodes = [one.node for one in found]
    latest = visits.visits(db.session(), limit=25)
    return render_template(
        "console/overview.html",
        proposals=charters.page(db.session(), UNDER_WAY, 0, SHOWN),
        nodes=nodes,
        amiss=[one for one in found if one.grave],
        words=node_labels,
        waiting=join_requests.waiting(db.session()),
        letters="coordinator" in current().roles and mailbox.in_trouble(db.session()),
        held=sum(count for _, count in oversight.waiting(db.session())),
        against=labels.against,
        node_names={node.id: node.name for node in nodes},
        visits=latest,
        names=published.names_of(db.session(), {visit.space_id for visit in latest}),
        on_map=len(search.matches(db.session(), search.Filters(), now)),
        present=visits.present(db.session()),
        month=month,
        own=watching.own_concerns(),
        lost_messages=watching.lost_messages(),
        concerns=rollback_detection.concerns(db.session(), now),
        now=now,
    )


@pages.get("/coordination/statements/<month>")
@allow(*STAFF)
def statement(month: str) -> str:
    if not statements.is_month(month):
        raise Problem("not-found")
    session = db.session()
    found, chosen = documents.sheet(session, month), documents.chosen(session, month)
    shown = [
        *statement_lines.visits(session, chosen, limit=SHOWN),
        *statement_lines.corrections(session, chosen, limit=SHOWN),
    ]
    pairs = sorted(found.matrix.items(), key=lambda pair: (-pair[1], pair[0]))
    row, nodes = statements.statement_of(session, month), directory.nodes(session)
    return render_template(
        "console/statement.html",
        statement=found.head,
        lines=shown,
        pairs=pairs[:SHOWN],
        more_pairs=max(0, len(pairs) - SHOWN),
        drawn=_flows(month, found.matrix, {node.id: node.name for node in nodes}),
        outlooks=statements.outlooks(session, found, hub().clock.now()),
        checks=logs.log_checks(session, month),
        disputes=disputes.disputes(session, month, limit=SHOWN),
        deadline=statements.deadline(session, row) if row else None,
        over=f"{hub().clock.now():%Y-%m}" > month,
        flag_names=FLAG_NAMES,
        flags_in_words=flags_in_words,
        now=hub().clock.now(),
        names={node.id: node.name for node in nodes},
        heard={node.id: node.last_seen_at for node in nodes},
        waiting=auto_issue.waiting_for(session, month),
        previous=statement_lines.neighbour(month, -1),
        following=statement_lines.neighbour(month, 1),
    )


def _flows(
    month: str, matrix: Mapping[tuple[str, str], int], names: Mapping[str, str]
) -> Markup | None:
    title = gettext("Half-days by home and host in %(month)s", month=formats.month(month))
    drawing = charts.flows(matrix, {**names, OTHERS: gettext("all others")}, title, title)
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
    month = disputes.dispute_by(db.session(), dispute_id).month
    if outcome not in ("upheld", "rejected"):
        raise Problem("malformed")
    if not 1 <= len(words) <= 500 or unstorable(words):
        flash(gettext("Give the reason of the decision (500 characters at most)."), "error")
        return redirect(f"/coordination/statements/{month}")
    now, actor = hub().clock.now(), f"account:{current().id}"
    disputes.settle(db.session(), now, dispute_id, outcome, words, actor)
    flash(gettext("The dispute is settled; both nodes see why."), "success")
    return redirect(f"/coordination/statements/{month}")
