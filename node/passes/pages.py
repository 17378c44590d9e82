"""The member's page: her phone becomes a pass, and where it is good today."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import get_locale, gettext

from node.context import node
from node.db import db
from node.passes import rights, service
from node.passes.api import me
from node.sync import service as sync
from shared.problems import Problem
from shared.web import allow

pages = Blueprint(
    "passes_pages",
    __name__,
    template_folder="templates",
    static_folder="static",
    static_url_path="/static/pass",
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
    known = sync.network(session, node())
    names = {
        space["id"]: {"name": space["name"], "town": space["town"], "node": entry["name"]}
        for entry in (known.trust.nodes.values() if known else ())
        for space in entry["spaces"]
    }
    return render_template(
        "passes/pass.html",
        member=member,
        home=node().settings.name,
        rights=found,
        names=names,
        hub_url=node().hub.url,
        passes=[p for p in service.passes_of(session, member.id) if p.status == "valid"],
    )


@pages.post("/pass/<pass_id>/revoke")
@allow("member")
def revoke(pass_id: str) -> Any:
    service.revoke(db.session(), node(), pass_id, me().id)
    sync.flush_soon(db.session(), node())
    flash(gettext("This pass no longer opens any door."), "success")
    return redirect("/pass")
