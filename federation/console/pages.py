"""The coordinator's desk: nodes, visits, the month's account, invitations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext
from markupsafe import Markup

from federation.console import desk, node_words
from federation.context import hub
from federation.db import db
from federation.directory import condition, joining, marks, search
from federation.directory import service as directory
from federation.governance import service as governance
from federation.governance.adoption import UNDER_WAY
from federation.mail.service import mailbox
from federation.oversight import queries as oversight
from federation.oversight import wording
from federation.pictures import drawings
from federation.pictures.shapes import to_svg
from federation.statements import disputes, documents, lines, logs, month_end
from federation.statements import service as statements
from federation.statements.flows import OTHERS
from federation.visits import queries as visits
from shared.problems import Problem
from shared.schemas import unstorable
from shared.web import allow, current, formats
from shared.web.reasons import FLAG_NAMES, flags_in_words

pages = Blueprint("console", __name__, template_folder="templates")
pages.add_app_template_global(desk.menu, "desk_menu")


SHOWN = 500  # lines on a page; all are in the files


@pages.get("/coordination")
@allow(*desk.STAFF)
def overview() -> str:
    now = hub().clock.now()
    month = documents.sheet(db.session(), f"{now:%Y-%m}")  # first: what was read before is let go
    found = condition.all_of(db.session(), now)
    nodes = [one.node for one in found]
    latest = visits.visits(db.session(), limit=25)
    return render_template(
        "console/overview.html",
        proposals=governance.page(db.session(), UNDER_WAY, 0, SHOWN),
        nodes=nodes,
        amiss=[one for one in found if one.grave],
        words=node_words,
        waiting=joining.waiting(db.session()),
        letters="coordinator" in current().roles and mailbox.in_trouble(db.session()),
        held=sum(count for _, count in oversight.waiting(db.session())),
        against=wording.against,
        node_names={node.id: node.name for node in nodes},
        visits=latest,
        names=directory.names_of(db.session(), {visit.space_id for visit in latest}),
        on_map=len(search.matches(db.session(), search.Wanted(), now)),
        present=visits.present(db.session()),
        month=month,
        concerns=marks.concerns(db.session(), now),
        now=now,
    )


@pages.get("/coordination/statements/<month>")
@allow(*desk.STAFF)
def statement(month: str) -> str:
    if not statements.is_month(month):
        raise Problem("not-found")
    session = db.session()
    found, chosen = documents.sheet(session, month), documents.chosen(session, month)
    shown = [
        *lines.visits(session, chosen, limit=SHOWN),
        *lines.corrections(session, chosen, limit=SHOWN),
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
