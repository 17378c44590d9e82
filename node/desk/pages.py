"""The desk page: scan, answer in large letters, who is here, check out."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import get_locale, gettext
from marshmallow import ValidationError

from charter import localise
from node.context import node
from node.db import db
from node.desk import api, presence
from node.spaces import service as spaces
from node.sync import service as sync
from shared.problems import Problem
from shared.web import allow
from shared.web.application import policy
from shared.web.offline import worker as keep_offline

pages = Blueprint(
    "desk_pages",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/desk",
)

# What the desk needs without its node, besides what every page is made of.
KEPT = (
    ("desk_pages.static", "desk.js"),
    ("desk_pages.static", "alone.js"),
    ("static", "vendor/idb-keyval/index.js"),
    ("static", "vendor/zxing-wasm/es/share.js"),
    ("static", "vendor/zxing-wasm/es/reader/index.js"),
    ("static", "vendor/zxing-wasm/reader/zxing_reader.wasm"),
)


def _space_id() -> str:
    """Return the space whose desk this is: the one asked for, or the first."""
    wanted = request.values.get("space", "")
    ids = [space.id for space in spaces.spaces(db.session())]
    if not ids:
        raise Problem("not-found")
    return wanted if wanted in ids else ids[0]


def _page(space_id: str, answer: dict[str, Any] | None = None) -> Response:
    session = db.session()
    known = sync.network(session, node())
    names = {k: entry["name"] for k, entry in known.trust.nodes.items()} if known else {}
    page = render_template(
        "desk/desk.html",
        space=spaces.space(session, space_id),
        spaces=spaces.spaces(session),
        present=presence.presence(session, space_id),
        names=names,
        answer=answer,
        hub_away=node().hub.away,
        waiting=sync.waiting(session)["pending"],
        zone=spaces.space(session, space_id).timezone,
    )
    return _seeing(page)


def _seeing(page: str) -> Response:
    """Of all pages these read codes with a camera, by a program that is compiled on arrival."""
    response = make_response(page)
    response.headers["Content-Security-Policy"] = policy(script="'self' 'wasm-unsafe-eval'")
    return response


@pages.get("/desk/offline")
@allow("public")
def offline() -> Response:
    """The page that a desk's browser keeps for when this node does not answer; nobody is on it."""
    return _seeing(render_template("desk/offline.html", space=None))


@pages.get("/desk/worker.js")
@allow("public")
def worker() -> Response:
    shell = url_for("desk_pages.offline", lang=str(get_locale()))
    return keep_offline("/desk", shell, KEPT)


@pages.get("/desk")
@allow("desk")
def desk() -> Response:
    return _page(_space_id())


@pages.post("/desk")
@allow("desk")
def scan() -> Any:
    """Answer a scan on the page itself, for scanners that type and for pages without script."""
    space_id = _space_id()
    shown = request.form.get("pass", "").strip()
    if not shown:
        flash(gettext("Scan or paste the code of a pass."), "error")
        return redirect(f"/desk?space={space_id}")
    try:
        status, body = api.scan(space_id, shown.replace("\x00", "")[:100_000], None)
    except (ValidationError, UnicodeError):
        raise Problem("malformed") from None
    decision = body["decision"]
    if decision:
        decision = localise(decision, str(get_locale()))
    answer = {"status": status, "visit": body.get("visit"), "decision": decision}
    return _page(space_id, answer)


@pages.post("/desk/visits/<visit_id>/check-out")
@allow("desk")
def check_out(visit_id: str) -> Any:
    visit = presence.check_out(db.session(), node(), visit_id)
    space_id, name = visit.space_id, visit.given_name
    sync.flush_soon(db.session(), node())
    flash(gettext("%(name)s has left.", name=name or gettext("The visitor")), "success")
    return redirect(f"/desk?space={space_id}")


@pages.post("/desk/visits/<visit_id>/void")
@allow("desk")
def void(visit_id: str) -> Any:
    visit = presence.void(db.session(), node(), visit_id, gettext("undone at the desk"))
    space_id = visit.space_id
    sync.flush_soon(db.session(), node())
    flash(gettext("The check-in is undone; it does not count."), "success")
    return redirect(f"/desk?space={space_id}")
