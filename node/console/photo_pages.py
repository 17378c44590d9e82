"""The console's page of a space's photos, and the photos themselves."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    flash,
    redirect,
    render_template,
    request,
    send_from_directory,
)
from flask_babel import gettext, lazy_gettext

from node.context import node
from node.db import db
from node.photos import files, listing, service
from node.photos.pictures import MOST_BYTES, Picture, PictureFault, prepare
from node.spaces import service as spaces
from node.spaces.forms import text_field
from shared.web import allow
from shared.web.forms import Form
from shared.web.guards import max_body
from shared.wire.error_messages import translate
from shared.wire.problems import Problem
from shared.wire.spaces import MOST_PHOTOS

pages = Blueprint("photos_pages", __name__, template_folder="templates")

# Four of the largest at once, or a dozen as telephones make them.
_AT_ONCE_BYTES = 50 << 20
# Not for ever: a photo that somebody had removed is gone from everywhere within a month.
_KEPT_SECONDS = 30 * 86_400


class PhotoForm(Form):
    alt_fr = text_field(lazy_gettext("What it shows, in French"), 300, required=True)
    alt_en = text_field(lazy_gettext("What it shows, in English"), 300)
    credit = text_field(lazy_gettext("Whose picture it is"), 120)

    def texts(self) -> dict[str, str]:
        return {name: (self[name].data or "").strip() for name in ("alt_fr", "alt_en", "credit")}


@pages.get("/console/spaces/<space_id>/photos")
@allow("admin")
def photos(space_id: str) -> Any:
    return _page(space_id)


def _page(space_id: str, wrong: dict[str, PhotoForm] | None = None, faults: Any = ()) -> Any:
    session = db.session()
    space, rows = spaces.space(session, space_id), listing.photos(session, space_id)
    forms = {row.id: PhotoForm(None, obj=row, prefix=row.id) for row in rows} | (wrong or {})
    return render_template(
        "photos/list.html",
        space=space,
        rows=rows,
        forms=forms,
        faults=faults,
        most=MOST_PHOTOS,
        megabytes=MOST_BYTES >> 20,
        at_once=_AT_ONCE_BYTES >> 20,
    ), (422 if wrong or faults else 200)


@pages.post("/console/spaces/<space_id>/photos")
@max_body(_AT_ONCE_BYTES)
@allow("admin")
def add(space_id: str) -> Any:
    """Add what was chosen: all of it, or nothing and why."""
    pictures, faults = _chosen()
    if not pictures and not faults:
        faults = [gettext("Choose a picture.")]
    if not faults:
        try:
            service.add(db.session(), node(), space_id, pictures)
            flash(gettext("Added. Say what each shows, and it is published."), "success")
            return redirect(f"/console/spaces/{space_id}/photos")
        except Problem as problem:
            if problem.slug != "conflict":
                raise
            faults = [translate(problem.detail)]
    return _page(space_id, faults=faults)


def _chosen() -> tuple[list[Picture], list[str]]:
    """Return what was chosen, made anew, and what is wrong with it, file by file."""
    chosen = [file for file in request.files.getlist("files") if file.filename]
    if len(chosen) > MOST_PHOTOS:
        return [], [gettext("At most %(n)s pictures at once.", n=MOST_PHOTOS)]
    pictures, faults = [], []
    for file in chosen:
        try:
            pictures.append(prepare(file.read(MOST_BYTES + 1)))
        except PictureFault as fault:
            name = "".join(c for c in (file.filename or "") if c.isprintable())[:80]
            words = translate(str(fault))
            faults.append(gettext("%(file)s: %(fault)s", file=name, fault=words))
    return pictures, faults


@pages.post("/console/spaces/<space_id>/photos/<photo_id>")
@allow("admin")
def describe(space_id: str, photo_id: str) -> Any:
    service.find(db.session(), space_id, photo_id)
    form = PhotoForm(prefix=photo_id)
    if not form.validate():
        return _page(space_id, wrong={photo_id: form})
    service.describe(db.session(), node(), space_id, photo_id, form.texts())
    return _published(space_id, photo_id, gettext("Saved. It is on the space’s public page."))


@pages.post("/console/spaces/<space_id>/photos/<photo_id>/place")
@allow("admin")
def place(space_id: str, photo_id: str) -> Any:
    up = request.form.get("to") == "up"
    service.move(db.session(), node(), space_id, photo_id, up=up)
    return _published(space_id, photo_id, gettext("Moved."))


@pages.post("/console/spaces/<space_id>/photos/<photo_id>/remove")
@allow("admin")
def remove(space_id: str, photo_id: str) -> Any:
    service.remove(db.session(), node(), space_id, photo_id)
    return _published(space_id, "", gettext("Removed, and its files with it."))


def _published(space_id: str, photo_id: str, said: str) -> Any:
    flash(said, "success")
    anchor = f"#photo-{photo_id}" if photo_id else ""
    return redirect(f"/console/spaces/{space_id}/photos{anchor}")


@pages.get("/photos/<stem>.webp")
@allow("public")
def photo(stem: str) -> Response:
    name = f"{stem}.webp"
    if not files.is_name(name):
        abort(404)
    where = files.folder(node().settings.data_dir).resolve()
    found: Response = send_from_directory(where, name, mimetype="image/webp", max_age=_KEPT_SECONDS)
    found.headers["Cache-Control"] = f"public, max-age={_KEPT_SECONDS}, immutable"
    return found
