"""The member's page: her phone becomes a pass, and where it is good today."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    flash,
    jsonify,
    redirect,
    render_template,
    url_for,
)
from flask_babel import get_locale, gettext
from sqlalchemy.orm import Session

from node.context import node
from node.db import db
from node.passes import rights, service
from node.passes.api import me
from node.passes.history import history
from node.sync import service as sync
from shared.problems import Problem
from shared.web import allow
from shared.web.offline import worker as keep_offline

pages = Blueprint(
    "passes_pages",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/pass",
)

# What the pass needs without a network, besides what every page is made of.
KEPT = (
    ("passes_pages.static", "pass.js"),
    ("static", "vendor/qrcode-generator/qrcode.mjs"),
    ("static", "vendor/idb-keyval/index.js"),
)


@pages.get("/pass")
@allow("member")
def my_pass() -> str:
    session = db.session()
    member = me()
    try:
        found: list[dict[str, Any]] | None = rights.rights(
            node(), member, str(get_locale()), None, None
        )
    except Problem:
        found = None
    session.rollback()
    member = me()
    terms = (right["decision"]["terms"].get("half_days_left", {}) for right in found or ())
    lefts = [left["network"] for left in terms if left.get("network") is not None]
    return render_template(
        "passes/pass.html",
        member=member,
        left=lefts[0] if lefts else None,
        asked=node().clock.now(),
        home=node().settings.name,
        rights=found,
        names=_space_names(session),
        hub_url=node().hub.url,
        passes=[p for p in service.passes_of(session, member.id) if p.status == "valid"],
    )


def _space_names(session: Session) -> dict[str, dict[str, str]]:
    known = sync.network(session, node())
    return {
        space["id"]: {"name": space["name"], "town": space["town"], "node": entry["name"]}
        for entry in (known.trust.nodes.values() if known else ())
        for space in entry["spaces"]
    }


@pages.get("/pass/visits")
@allow("member")
def my_visits() -> str:
    session = db.session()
    try:
        found: list[dict[str, Any]] | None = history(session, node(), me())
    except Problem:
        found = None
    names = {space: about["name"] for space, about in _space_names(session).items()}
    hub_url = node().hub.url
    return render_template("passes/history.html", visits=found, names=names, hub_url=hub_url)


@pages.get("/pass/offline")
@allow("public")
def offline() -> str:
    """The page that a phone keeps to open without a network; nobody's name is on it."""
    return render_template("passes/offline.html", member=None)


@pages.get("/pass/worker.js")
@allow("public")
def worker() -> Response:
    shell = url_for("passes_pages.offline", lang=str(get_locale()))
    return keep_offline("/pass", shell, KEPT)


@pages.get("/pass/manifest.webmanifest")
@allow("public")
def manifest() -> Response:
    """What a phone needs to know to install the pass as an application."""
    icons = (
        ("icon-192", 192, "any"),
        ("icon-512", 512, "any"),
        ("icon-maskable-512", 512, "maskable"),
    )
    response = jsonify(
        name=gettext("My pass – %(home)s", home=node().settings.name),
        short_name=gettext("My pass"),
        lang=str(get_locale()),
        id="/pass",
        start_url="/pass",
        scope="/",
        display="standalone",
        background_color="#faf7f2",
        theme_color="#0f766e",
        icons=[
            {
                "src": url_for("static", filename=f"icons/{name}.png"),
                "sizes": f"{size}x{size}",
                "type": "image/png",
                "purpose": purpose,
            }
            for name, size, purpose in icons
        ],
    )
    response.mimetype = "application/manifest+json"
    return response


@pages.post("/pass/<pass_id>/revoke")
@allow("member")
def revoke(pass_id: str) -> Any:
    service.revoke(db.session(), node(), pass_id, me().id)
    sync.flush_soon(db.session(), node())
    flash(gettext("This pass no longer opens any door."), "success")
    return redirect("/pass")
