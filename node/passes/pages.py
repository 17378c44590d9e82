"""The member's page: the phone becomes a pass, and where it is good today."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    flash,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask_babel import get_locale, gettext
from sqlalchemy.orm import Session

from node.context import node
from node.db import db
from node.hub import service as sync
from node.offline import worker as keep_offline
from node.passes import cards, devices, diagnosis, rights, service
from node.passes.api import me
from node.passes.models import Pass
from node.publication import partner_documents
from shared.store.db import release
from shared.web import allow
from shared.web.application import origin_of, policy
from shared.wire.problems import Problem

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
    ("passes_pages.static", "phone.js"),
    ("static", "px1.js"),
    ("static", "vendor/fflate/esm/browser.js"),
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
            session, node(), member, str(get_locale()), None, None
        )
    except Problem:
        found = None
    release(session)
    member = me()
    terms = (right["decision"]["terms"].get("half_days_left", {}) for right in found or ())
    card = cards.card_of(session, member.id)
    lefts = [left["network"] for left in terms if left.get("network") is not None]
    return render_template(
        "passes/pass.html",
        member=member,
        left=lefts[0] if lefts else None,
        asked=node().clock.now(),
        home=node().settings.name,
        rights=found,
        names=space_names(session),
        hub_url=node().hub.url,
        passes=(passes := _valid(session, member.id)),
        phones=[each for each in passes if not card or each.id != card.id],
        made_here=devices.made_here(),
        real=node().clock.real(),
        card=card,
        shown_at=cards.latest_showings(session, card.id) if card else (),
    )


def _valid(session: Session, member_id: int) -> list[Pass]:
    now, every = node().clock.real(), service.passes_of(session, member_id)
    return [each for each in every if each.status == "valid" and each.expires_at > now]


def space_names(session: Session) -> dict[str, dict[str, str]]:
    known = sync.network(session, node())
    return {
        space["id"]: {
            "name": space["name"],
            "town": space["town"],
            "node": entry["name"],
            "host": entry["id"],
            "url": entry["url"],
        }
        for entry in (known.trust.nodes.values() if known else ())
        for space in entry["spaces"]
    }


@pages.get("/pass/at/<space_id>")
@allow("member")
def there(space_id: str) -> Response:
    """The pass at one partner space: its conditions, whether all works, and checking in."""
    session, member = db.session(), me()
    where = space_names(session).get(space_id)
    if where is None:
        raise Problem("not-found")
    decision = None
    try:
        found = rights.rights(db.session(), node(), member, str(get_locale()), space_id, None)
        decision = found[0]["decision"] if found else None
    except Problem as problem:
        if problem.slug != "hub-unreachable":
            raise
    checks = diagnosis.trial(session, node(), where["host"], decision)
    known = {place["id"] for place in partner_documents.places(session, node())}
    asks = decision is not None and space_id in known
    document = partner_documents.sheet(session, node(), space_id) if asks else None
    member = me()
    card = cards.card_of(session, member.id)
    page = render_template(
        "passes/there.html",
        member=member,
        where=where,
        space_id=space_id,
        code=request.args.get("code", "")[:64],
        decision=decision,
        document=document,
        language=str(get_locale()),
        checks=checks,
        real=node().clock.real(),
        hub_url=node().hub.url,
        passes=(passes := _valid(session, member.id)),
        phones=[each for each in passes if not card or each.id != card.id],
        made_here=devices.made_here(),
        home=node().settings.name,
    )
    response = make_response(page)
    # The phone tells the host itself; where that is, the hub's trust list says.
    response.headers["Content-Security-Policy"] = policy(
        connect=f"'self' {origin_of(where['url'])}"
    )
    return response


@pages.post("/pass/card")
@allow("member")
def make_card() -> str:
    """Make a paper card; the PIN is on this page and nowhere else."""
    _, pin = cards.make(db.session(), node(), me())
    return render_template("passes/card_made.html", pin=pin)


@pages.get("/pass/card.pdf")
@allow("member")
def print_card() -> Response:
    member = me()
    row = cards.card_of(db.session(), member.id)
    if row is None:
        raise Problem("not-found")
    address, home = cards.address(node(), row.id), node().settings.name
    now, language = node().clock.now(), str(get_locale())
    from node.passes import pdf as paper  # noqa: PLC0415 - large, and seldom needed

    pdf = paper.card(member.given_name, home, address, row.expires_at, language, now)
    return file(pdf, "application/pdf", "card.pdf")


@pages.get("/card/<pass_id>")
@allow("public")
def found_card(pass_id: str) -> str:
    """What somebody sees who reads a card with a phone; it tells nothing about its owner."""
    del pass_id
    return render_template("passes/card_found.html", home=node().settings.name)


def file(content: bytes, mimetype: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(content, mimetype=mimetype, headers={"Content-Disposition": disposition})


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
    flash(gettext("This pass no longer opens any door."), "success")
    return redirect("/pass")
