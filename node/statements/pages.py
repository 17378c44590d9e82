"""The admin's page of a month: each visit, why it was admitted, and contesting one."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import gettext

from node.context import node
from node.db import db
from node.hub import service as sync
from node.statements import forecast, network_figures, service
from shared.base.schemas import unstorable
from shared.web import allow
from shared.web.reasons import FLAG_NAMES, flags_in_words
from shared.wire.problems import Problem

pages = Blueprint("statements_pages", __name__, template_folder="templates")
_MONTH = re.compile("20[0-9]{2}-(0[1-9]|1[0-2])")
_TYPES = {
    "json": "application/json",
    "csv": "text/csv",
    "pdf": "application/pdf",
    "jws": "application/jose",
}
_VISIT = re.compile("[0-9a-f]{26}")


@pages.get("/console/statements")
@allow("admin")
def latest() -> str:
    return month_page(service.months(node().clock.now())[0])


@pages.get("/console/statements/<month>")
@allow("admin")
def month_page(month: str) -> str:
    if not _MONTH.fullmatch(month):
        raise Problem("not-found")
    session = db.session()
    own = sync.node_id(session)
    found = service.month_of(session, node(), month)
    known = sync.network(session, node())
    nodes = known.trust.nodes if known else {}
    return render_template(
        "statements/month.html",
        statement=found,
        outlook=forecast.of_month(session, node(), found),
        caps=forecast.caps(session),
        own=own,
        offline_article=known.charter.rules.offline.article if known else 9,
        disputes=service.disputes(node(), month),
        figures=network_figures.own(node(), month),
        names={node_id: entry["name"] for node_id, entry in nodes.items()},
        spaces={s["id"]: s["name"] for entry in nodes.values() for s in entry["spaces"]},
        hub_url=node().hub.url,
        flag_names=FLAG_NAMES,
        flags_in_words=flags_in_words,
        months=service.months(node().clock.now()),
    )


@pages.post("/console/statements/<month>/disputes")
@allow("admin")
def open_dispute(month: str) -> Any:
    visit, reason = request.form.get("visit", ""), request.form.get("reason", "").strip()
    if not _MONTH.fullmatch(month) or not _VISIT.fullmatch(visit):
        raise Problem("not-found")
    if not 1 <= len(reason) <= 500 or unstorable(reason):
        flash(gettext("Give your reason (500 characters at most)."), "error")
    else:
        service.dispute(node(), month, visit, reason)
        flash(gettext("The visit is contested: it is kept out until that is settled."), "success")
    return redirect(f"/console/statements/{month}")


@pages.post("/console/statements/<month>/disputes/<dispute_id>/withdraw")
@allow("admin")
def withdraw(month: str, dispute_id: str) -> Any:
    if not _MONTH.fullmatch(month) or not re.fullmatch("[0-9]{1,9}", dispute_id):
        raise Problem("not-found")
    service.withdraw(node(), int(dispute_id))
    flash(gettext("Withdrawn: the visit counts again, unless the other contests it."), "success")
    return redirect(f"/console/statements/{month}")


@pages.post("/console/statements/<month>/reply")
@allow("admin")
def reply(month: str) -> Any:
    words = request.form.get("reply", "").strip()
    if not _MONTH.fullmatch(month):
        raise Problem("not-found")
    if len(words) > 1000 or unstorable(words):
        flash(gettext("At most 1000 characters."), "error")
    else:
        network_figures.say(node(), month, words)
        done = gettext("Your word stands beside your figures.")
        flash(done if words else gettext("Your word was taken back."), "success")
    return redirect(f"/console/statements/{month}#figures")


@pages.get("/console/statements/<month>/statement.<suffix>")
@allow("admin")
def own_file(month: str, suffix: str) -> Response:
    if not _MONTH.fullmatch(month) or suffix not in _TYPES:
        raise Problem("not-found")
    body = service.file_of(db.session(), node(), month, suffix)
    name = f"statement-{month}.{suffix}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, mimetype=_TYPES[suffix], headers=headers)


@pages.post("/console/statements/<month>/check")
@allow("admin")
def compare(month: str) -> Any:
    if not _MONTH.fullmatch(month):
        raise Problem("not-found")
    found = service.compare_log(db.session(), node(), month)
    if found["agrees"]:
        flash(gettext("Your own log and the network’s account agree."), "success")
    else:
        only = len(found["only_here"]), len(found["only_there"])
        flash(
            gettext(
                "They differ: %(here)d visits only in your log, %(there)d only in the account.",
                here=only[0],
                there=only[1],
            ),
            "error",
        )
    return redirect(f"/console/statements/{month}")
