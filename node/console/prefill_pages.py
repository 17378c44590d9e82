"""The sheet from a SpaceAPI document: shown field by field, and taken field by field."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext, lazy_gettext, ngettext
from wtforms import HiddenField, ValidationError

from node.adapters import spaceapi_in
from node.adapters.fetching import Fetcher, clean_url
from node.adapters.interface import Unreadable
from node.context import node
from node.db import db
from node.spaces import service as spaces
from node.spaces.forms import text_field
from shared.store.db import release
from shared.web import allow
from shared.web.forms import Form
from shared.wire.error_messages import translate

pages = Blueprint("prefill_pages", __name__, template_folder="templates")

LABELS = {
    "name": lazy_gettext("Name"),
    "street": lazy_gettext("Street"),
    "postcode": lazy_gettext("Postcode"),
    "town": lazy_gettext("Town"),
    "latitude": lazy_gettext("Latitude"),
    "longitude": lazy_gettext("Longitude"),
    "timezone": lazy_gettext("Time zone"),
    "transport": lazy_gettext("How to get there"),
    "email": lazy_gettext("E-mail"),
    "website": lazy_gettext("Web site"),
}


class AddressForm(Form):
    url = text_field(lazy_gettext("The address of the SpaceAPI document"), 500, required=True)
    seen = HiddenField()

    def validate_url(self, field: Any) -> None:
        try:
            allowed = node().settings.allow_private_peers
            field.data = clean_url(field.data or "", allow_private=allowed)
        except Unreadable as error:
            raise ValidationError(translate(str(error))) from None


@pages.route("/console/spaces/<space_id>/spaceapi", methods=["GET", "POST"])
@allow("admin")
def prefill(space_id: str) -> Any:
    """Show what the document says beside what the sheet says; take what was chosen of it."""
    session, form = db.session(), AddressForm()
    space = spaces.space(session, space_id)
    held = {name: getattr(space, name) for name in LABELS}
    found = _read(form) if form.validate_on_submit() else None
    if found is None:
        return _page(space_id, form, None, held), (422 if form.errors else 200)
    differs = {name: value for name, value in found.items() if value != held[name]}
    stamp = hashlib.sha256(orjson.dumps(found, option=orjson.OPT_SORT_KEYS)).hexdigest()
    chosen = {name: differs[name] for name in request.form.getlist("take") if name in differs}
    shown_before, form.seen.data = form.seen.data, stamp
    if not chosen:
        return _page(space_id, form, found, held)
    if shown_before != stamp:
        form.form_errors.append(gettext("It has changed meanwhile: look again."))
        return _page(space_id, form, found, held), 422
    spaces.save(session, node(), space_id, chosen)
    words = ngettext(
        "%(num)d field taken, and published.", "%(num)d fields taken, and published.", len(chosen)
    )
    flash(words, "success")
    return redirect(f"/console/spaces/{space_id}")


def _read(form: AddressForm) -> dict[str, Any] | None:
    """Return what the document fills; None, with the form's error, if it cannot be read."""
    allowed = node().settings.allow_private_peers
    fetch = Fetcher(node().peers, form.url.data, allow_private=allowed)
    release(db.session())  # nothing is held while somebody else is asked
    try:
        return spaceapi_in.read(fetch(form.url.data))
    except Unreadable as error:
        form.url.errors = [*form.url.errors, translate(str(error))]
        return None


def _page(
    space_id: str, form: AddressForm, found: dict[str, Any] | None, held: dict[str, Any]
) -> str:
    rows = [
        {"name": name, "label": LABELS[name], "here": held[name], "there": found[name]}
        for name in LABELS
        if found is not None and name in found and found[name] != held[name]
    ]
    return render_template(
        "adapters/prefill.html",
        space=spaces.space(db.session(), space_id),
        form=form,
        found=found,
        rows=rows,
        same=len(found or ()) - len(rows),
    )
