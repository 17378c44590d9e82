"""The map and its list, as a page, in somebody else's page, and the page that makes the latter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from flask import Blueprint, Response, render_template, request, session
from flask_babel import get_locale

from charter.values import shared_values
from federation.charters import service as charters
from federation.context import hub
from federation.db import db
from federation.public.query import LONGEST, Asked, read
from federation.search import service as search
from federation.search.area import distance_km
from federation.spaces import presenter
from federation.spaces import queries as published
from shared.web import allow
from shared.web.application import policy
from shared.web.compression import compressible
from shared.wire.problems import Problem

pages = Blueprint("finder", __name__, template_folder="templates")

AT_ONCE = 30
# More than that are not put in the order of a value: it is not one of the search's own.
RANKED = 1000


def _found(path: str) -> dict[str, Any]:
    """Return what the page and the frame show alike."""
    now, session_ = hub().clock.now(), db.session()
    asked = read(session_, request.args, path, hub().clock, hub().url)
    shared = shared_values(charters.in_force(session_))
    by_value = asked.address.get("by_value", "")
    page = search.page(session_, asked.wanted, now, hub().url, after=asked.after, limit=AT_ONCE)
    if by_value not in {value.id for value in shared} or page.total > RANKED:
        by_value = ""
    else:
        page = _ranked(asked, by_value)
    return {
        "asked": asked,
        "page": page,
        "shared": shared,
        "by_value": by_value,
        "now": now,
        "language": str(get_locale()),
        "settings": hub().settings,
    }


def _ranked(asked: Asked, by_value: str) -> Any:
    """Return a page of the spaces, those first that stand furthest; its cursor counts them."""
    found = search.find(db.session(), asked.wanted, hub().clock.now(), hub().url)
    every = sorted(islice(found, RANKED), key=lambda space: -_level(space, by_value))
    start = int(asked.after) if asked.after.isdecimal() and asked.after.isascii() else 0
    end = start + AT_ONCE
    return search.Page(every[start:end], len(every), str(end) if end < len(every) else None)


def _level(space: Mapping[str, Any], value: str) -> int:
    said = presenter.standing(space.get("assessments", []))
    return int(said[value]["level"]) if value in said else 0


@pages.get("/")
@allow("public")
def network_map() -> Response:
    found = _found("/")
    status = 422 if found["asked"].faults else 200
    return compressible(Response(render_template("map/map.html", **found), status))


@pages.get("/embed/map")
@allow("public")
def embedded_map() -> Response:
    """The map for a frame in somebody else's page; it sets and reads no cookie."""
    page = render_template("map/embed.html", **_found("/embed/map"))
    response = Response(page)
    tiles = hub().settings.tiles_origin
    response.headers["Content-Security-Policy"] = policy(
        images=f" {tiles}" if tiles else "", ancestors="*"
    )
    session.modified = False  # a language in the address is this frame's alone
    return compressible(response)


@pages.get("/embed")
@allow("public")
def embed_generator() -> Response:
    """The page where somebody chooses what a map in a page of theirs shows."""
    found = _found("/embed/map")
    height = request.args.get("height", type=int) or 600
    language = request.args.get("map_lang", "")
    address = replace(found["asked"], after="").url(
        lang=language if language in ("fr", "en") else str(get_locale())
    )
    page = render_template(
        "map/generator.html", **found, height=min(2000, max(300, height)), address=address
    )
    return compressible(Response(page, 422 if found["asked"].faults else 200))


@pages.get("/cards")
@allow("public")
def space_cards() -> Response:
    """Some spaces as the list says them now: for a map's window, and for looking again."""
    ids = list(dict.fromkeys(request.args.getlist("space")))[:AT_ONCE]
    near = read(db.session(), request.args, "/", hub().clock, hub().url).wanted.near
    shown = _present([each for each in ids if len(each) <= LONGEST and each.isprintable()])
    for space in shown:
        if near is not None and space.get("latitude") is not None:
            place = (space["latitude"], space["longitude"])
            space["distance_km"] = round(distance_km(near, place), 1)
    page = render_template(
        "map/cards.html", spaces=shown, now=hub().clock.now(), language=str(get_locale())
    )
    return compressible(Response(page))


def _present(ids: Sequence[str]) -> list[dict[str, Any]]:
    shown, signed = [], charters.signatories(db.session())
    for space_id in ids:
        try:
            space = published.space(db.session(), space_id)
        except Problem:
            continue  # withdrawn meanwhile
        shown.append(presenter.present(space, hub().clock.now(), hub().url, signed))
    return shown
