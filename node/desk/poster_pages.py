"""The poster: printing it, and the page where it leads."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import get_locale, gettext

from node.context import node
from node.db import db
from node.hub import service as sync
from node.spaces import service as spaces
from shared.web import allow

pages = Blueprint("poster_pages", __name__, template_folder="templates")


@pages.get("/spaces/<space_id>/here")
@allow("public")
def here(space_id: str) -> str:
    """Where the poster leads: to the visitor's own home, which knows them."""
    session = db.session()
    space, known = spaces.space(session, space_id), sync.network(session, node())
    code = request.args.get("code", "")[:64]
    current = secrets.compare_digest(code.encode(errors="replace"), space.poster.encode())
    nodes = known.trust.nodes.values() if known and current else ()
    query = urlencode({"code": code})
    homes = [
        {"name": home["name"], "url": f"{home['url']}/pass/at/{space_id}?{query}"}
        for home in sorted(nodes, key=lambda home: str(home["name"]).casefold())
        if home["state"] not in ("suspended", "left")
    ]
    return render_template("desk/here.html", space=space, homes=homes, current=current)


@pages.get("/console/spaces/<space_id>/poster.pdf")
@allow("admin", "desk")
def print_poster(space_id: str) -> Response:
    session, language = db.session(), str(get_locale())
    space = spaces.space(session, space_id)
    from node.desk import poster  # noqa: PLC0415 - large, and seldom needed

    url = poster.link(node().url, space_id, space.poster)
    pdf = poster.poster(space.name, url, language, node().clock.now())
    headers = {"Content-Disposition": f'attachment; filename="poster-{space_id}-{language}.pdf"'}
    return Response(pdf, mimetype="application/pdf", headers=headers)


@pages.post("/console/spaces/<space_id>/poster")
@allow("admin")
def renew_poster(space_id: str) -> Any:
    spaces.renew_poster(db.session(), space_id)
    flash(gettext("Posters that hang open nothing any more: print the new one."), "success")
    return redirect("/console")
