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
from node.bookings import hosted as bookings
from node.context import node
from node.db import db
from node.desk import api, corrections, incidents, service
from node.hub import outbox
from node.hub import service as sync
from node.members import service as members
from node.offline import worker as keep_offline
from node.passes import service as passes
from node.spaces import service as spaces
from node.visits import presence
from shared.base.schemas import unstorable
from shared.web import allow, current
from shared.web.application import policy
from shared.wire import held_visits
from shared.wire.problems import Problem

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
    ("desk_pages.static", "desk_link.js"),
    ("desk_pages.static", "offline_desk.js"),
    ("desk_pages.static", "charter.js"),
    ("desk_pages.static", "verify.js"),
    ("desk_pages.static", "keyboard.js"),
    ("desk_pages.static", "camera.js"),
    ("static", "px1.js"),
    ("static", "vendor/fflate/esm/browser.js"),
    ("static", "vendor/idb-keyval/index.js"),
    ("static", "vendor/zxing-wasm/es/share.js"),
    ("static", "vendor/zxing-wasm/es/reader/index.js"),
    ("static", "vendor/zxing-wasm/reader/zxing_reader.wasm"),
)


@pages.app_context_processor
def _forgetting() -> dict[str, str]:
    """Let the pages that nobody is logged in to reduce what the desk's browser kept."""
    return {"forget_script": url_for("desk_pages.static", filename="forget.js")}


def _space_id() -> str:
    """Return the space whose desk this is: the one asked for, or the first."""
    wanted = request.values.get("space", "")
    ids = [space.id for space in spaces.spaces(db.session())]
    if not ids:
        raise Problem("not-found")
    if request.method == "POST" and wanted not in ids and (wanted or len(ids) > 1):
        raise Problem("not-found")
    return wanted if wanted in ids else ids[0]


def _page(space_id: str, answer: dict[str, Any] | None = None, **found: Any) -> Response:
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
        wrong_clock=node().hub.wrong_clock,
        clocks_differ=abs(node().hub.ahead),
        waiting=outbox.waiting(session)["pending"],
        zone=spaces.space(session, space_id).timezone,
        unsigned=sync.unsigned(session, node()),
        why_held=held_visits.why,
        corrections=corrections.waiting(session, space_id),
        expected=_expected(session, space_id),
        delay=known.charter.rules.correction.hours if known else 0,
        now=node().clock.now(),
        undo_reasons=(
            gettext("scanned by mistake"),
            gettext("another person"),
            gettext("did not stay"),
        ),
        **found,
    )
    return _seeing(page)


def _seeing(page: str) -> Response:
    """Of all pages these read codes with a camera, by a program that is compiled on arrival."""
    response = make_response(page)
    response.headers["Content-Security-Policy"] = policy(script="'self' 'wasm-unsafe-eval'")
    return response


def _expected(session: Any, space_id: str) -> list[Any]:
    """Return who is still expected today."""
    row, now = spaces.space(session, space_id), node().clock.now()
    found = bookings.of_day(session, row, spaces.today(row, now))
    return [each for each in found if each.state == "confirmed"]


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
    """The desk; ``q`` looks somebody of the house up by name, address or pass number."""
    wanted = request.args.get("q", "").replace("\x00", "").strip()[:100]
    session = db.session()
    today = members.today(session, node())
    people = None
    if wanted:
        _, of_pass = passes.own(session, wanted)
        people = members.find(session, wanted, today, of_pass)
    return _page(_space_id(), wanted=wanted, people=people)


@pages.post("/desk")
@allow("desk")
def scan() -> Any:
    """Answer a scan on the page itself, for scanners that type and for pages without script."""
    space_id = _space_id()
    shown = request.form.get("pass", "").strip()
    home, code = (request.form.get(name, "")[:64] for name in ("home", "code"))
    typed = (home, code) if code else None
    if not shown and not typed:
        flash(gettext("Scan or paste the code of a pass."), "error")
        return redirect(f"/desk?space={space_id}")
    shown = shown.replace("\x00", "")[:100_000]
    pin = request.form.get("pin", "").strip()[:20].replace(" ", "") or None
    try:
        status, body = api.scan(space_id, shown, None, pin=pin, typed=typed)
    except ValidationError as fault:
        if typed:
            flash(gettext("Choose the home space, and type the six digits."), "error")
            return redirect(f"/desk?space={space_id}")
        if "pin" not in fault.normalized_messages():
            raise Problem("malformed") from None
        return _page(space_id, {"card": shown})
    except UnicodeError:
        raise Problem("malformed") from None
    decision = body["decision"]
    if decision:
        decision = localise(decision, str(get_locale()))
    answer = {"status": status, "visit": body.get("visit"), "decision": decision}
    return _page(space_id, answer)


@pages.post("/desk/members/<int:member_id>/check-in")
@allow("desk")
def check_in_member(member_id: int) -> Any:
    """Check in somebody of the house who has no phone at hand."""
    space_id, session = _space_id(), db.session()
    member = members.member(session, member_id, members.today(session, node()))
    outcome = service.check_in_member(session, node(), space_id, member)
    if outcome.visit is None:
        decision = localise(outcome.decision, str(get_locale()))
        return _page(space_id, {"status": 403, "visit": None, "decision": decision})
    name = outcome.visit.given_name
    flash(gettext("%(name)s is checked in.", name=name), "success")
    return redirect(f"/desk?space={space_id}")


@pages.post("/desk/pause")
@allow("desk")
def pause() -> Any:
    """Welcome no roaming member for the rest of this day, or again."""
    space_id, wanted = _space_id(), request.form.get("paused", "")
    if wanted not in ("yes", "no"):
        raise Problem("malformed")
    paused = wanted == "yes"
    if not spaces.pause_today(db.session(), node(), space_id, paused):
        flash(gettext("The admin has paused this space: only an admin ends that."), "error")
    elif paused:
        flash(gettext("No roaming member is admitted today. Those who are here stay."), "success")
    else:
        flash(gettext("Roaming members are welcome again."), "success")
    return redirect(f"/desk?space={space_id}")


@pages.post("/desk/incidents")
@allow("desk")
def note_incident() -> Any:
    space_id, text = _space_id(), request.form.get("text", "").strip()
    if not 1 <= len(text) <= 1000 or unstorable(text):
        flash(gettext("Write the note in 1 to 1,000 characters."), "error")
        return redirect(f"/desk?space={space_id}")
    visit_id = request.form.get("visit", "").replace("\x00", "") or None
    now, by = node().clock.now(), current().name
    incidents.note(db.session(), now, space_id, text, by, visit_id)
    flash(gettext("Noted for the admin."), "success")
    return redirect(f"/desk?space={space_id}")


@pages.post("/desk/corrections/<visit_id>/answer")
@allow("desk")
def answer_correction(visit_id: str) -> Any:
    space_id, words = _space_id(), request.form.get("answer", "").strip()
    if not 1 <= len(words) <= 500 or unstorable(words):
        flash(gettext("Say in a few words why the visit stands (500 characters at most)."), "error")
        return redirect(f"/desk?space={space_id}")
    given = corrections.answer(db.session(), node(), visit_id, words).answer
    if given == words:
        flash(gettext("The visitor reads your answer."), "success")
    else:
        flash(gettext("An answer was given already: “%(words)s”", words=given), "error")
    return redirect(f"/desk?space={space_id}")


@pages.post("/desk/visits/<visit_id>/check-out")
@allow("desk")
def check_out(visit_id: str) -> Any:
    visit = presence.check_out(db.session(), node(), visit_id)
    space_id, name = visit.space_id, visit.given_name
    flash(gettext("%(name)s has left.", name=name or gettext("The visitor")), "success")
    return redirect(f"/desk?space={space_id}")


@pages.post("/desk/visits/<visit_id>/void")
@allow("desk")
def void(visit_id: str) -> Any:
    reason = request.form.get("reason", "").replace("\x00", "").strip()[:300]
    if not reason:
        raise Problem("malformed")
    visit = presence.void(db.session(), node(), visit_id, reason)
    space_id = visit.space_id
    flash(gettext("The check-in is undone; it does not count."), "success")
    return redirect(f"/desk?space={space_id}")
