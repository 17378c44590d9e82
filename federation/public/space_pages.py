"""A page for each space: all that is published of it, and what a visitor gets there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import segno
from flask import Blueprint, Response, redirect, render_template
from flask_babel import get_locale, gettext
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from charter.hours import Schedule, read_schedule
from charter.values import shared_values
from federation.charters import service as charters
from federation.context import hub
from federation.db import db
from federation.listings import spaces as listed
from federation.listings.space_pages import public_page
from federation.public import outline
from federation.public.door_answers import offer
from federation.spaces import presenter
from federation.spaces import queries as published
from federation.spaces.models import Space
from shared.base.schemas import DEFAULT_ZONE
from shared.web import allow
from shared.web.application import origin_of, policy
from shared.web.open_data import open_data
from shared.wire.events import coming
from shared.wire.linked_data import linked_space
from shared.wire.problems import Problem
from shared.wire.spaces import is_over, photos_at

pages = Blueprint("space_pages", __name__, template_folder="templates")

A_DAY = 24 * 3600


@pages.get("/spaces/<space_id>")
@allow("public")
def space_page(space_id: str) -> BaseResponse:
    """A space's page. Its photos are its node's: that origin alone is opened, for pictures."""
    session, now = db.session(), hub().clock.now()
    became = listed.now_at(session, space_id)
    if became is not None:
        return redirect(f"/spaces/{became}", 301)
    space = published.space(session, space_id)
    if space.node is None:
        return Response(public_page(space))
    document, schedule = space.document, read_schedule(space.document)
    charter, signed = charters.in_force(session), charters.signatories(session)
    origin = origin_of(space.node.url) if space.node else ""
    photos = photos_at(document, origin) if origin else []
    address = f"{hub().url}/spaces/{space.id}"
    page = render_template(
        "map/space.html",
        space=presenter.present(space, now, hub().url, signed),
        events=coming(document, now),
        photos=photos,
        linked=linked_space({**document, "photos": photos}, schedule, now, address),
        week=presenter.week(space, now),
        shared=shared_values(charter),
        language=str(get_locale()),
        over=_over(document, schedule, now),
        offer=_offer(space, schedule, now, charter, signed),
        charter=charter,
        signatures=charters.signed_by(session, space.node.id) if space.node else [],
        place=_place(space),
        code=_code(address),
        address=address,
    )
    response = Response(page)
    if photos:
        origins = filter(None, (hub().settings.tiles_origin, origin))
        images = "".join(f" {each}" for each in origins)
        response.headers["Content-Security-Policy"] = policy(images=images)
    return response


def _over(document: Mapping[str, Any], schedule: Schedule, now: datetime) -> date | None:
    """Return the last day of a temporary site, once it is behind us."""
    today = now.astimezone(ZoneInfo(document.get("timezone") or DEFAULT_ZONE)).date()
    return schedule.until if is_over(schedule, today) else None


def _offer(space: Space, schedule: Schedule, now: datetime, charter: Any, signed: set[str]) -> Any:
    """Return what visitors are told at the door; None where there is no door of the network."""
    if space.node is None or space.document.get("project") or space.node.state == "suspended":
        return None
    language, has_signed = str(get_locale()), space.node_id in signed
    state = space.node.state
    return offer(charter, space.document, schedule, now, state, has_signed, language)


def _place(space: Space) -> dict[str, Any] | None:
    """Return how maps elsewhere are asked for a place, and whether ours has an outline of it."""
    latitude, longitude = space.latitude, space.longitude
    if latitude is None or longitude is None:
        return None
    here = f"{latitude:.6f}", f"{longitude:.6f}"
    return {
        "picture": bool(outline.around(latitude, longitude)),
        "geo": f"geo:{here[0]},{here[1]}?q={here[0]},{here[1]}",
        "map": f"https://www.openstreetmap.org/?mlat={here[0]}&mlon={here[1]}#map=17/{here[0]}/{here[1]}",
        "way": f"https://www.openstreetmap.org/directions?to={here[0]}%2C{here[1]}",
    }


@lru_cache(maxsize=1024)
def _code(address: str) -> Markup:
    """Return a QR code of an address, as shapes in the page."""
    made = segno.make(address, error="m", micro=False)
    svg = made.svg_inline(scale=3, border=2, omitsize=True, svgclass="page-code", lineclass=None)
    return Markup(svg)  # noqa: S704 - segno writes shapes alone


@pages.get("/spaces/<space_id>/place.svg")
@allow("public")
def place_picture(space_id: str) -> Response:
    """A small picture of where the space is, as its page shows and prints it."""
    space = published.space(db.session(), space_id)
    if space.latitude is None or space.longitude is None:
        raise Problem("not-found")
    label = gettext("Where %(name)s is", name=space.name)
    picture = _picture(space.latitude, space.longitude, label)
    return open_data(picture.encode(), "image/svg+xml", seconds=A_DAY)


_picture = lru_cache(maxsize=256)(outline.picture)
