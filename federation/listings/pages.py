"""The sources of listed spaces, on the coordinator's desk."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import gettext

from federation.context import hub
from federation.db import db
from federation.identity.roles import STAFF
from federation.listings import fetching, labels, reading, service, spaces
from federation.listings.forms import LICENCES, ExistingSourceForm, NewSourceForm
from shared.store.db import release
from shared.web import allow, current
from shared.web.guards import max_body
from shared.wire.error_messages import translate
from shared.wire.problems import Problem
from shared.wire.tables import SheetFault

pages = Blueprint("listings", __name__, template_folder="templates")

ROOM = "/coordination/listings"
EDITORS = ("coordinator", "moderator")
PAGE = 100
FORM_BYTES = 1 << 16  # around the file


@pages.get(ROOM)
@allow(*STAFF)
def sources() -> str:
    session = db.session()
    joined = spaces.joined(session)
    return render_template(
        "listings/sources.html",
        sources=service.sources(session),
        joined=joined[:PAGE],
        more=max(0, len(joined) - PAGE),
        kinds=labels.KINDS,
        why=labels.why,
        translate=translate,
        edits=may_edit(),
    )


def may_edit() -> bool:
    return bool(current().roles & set(EDITORS))


def actor() -> str:
    return f"account:{current().id}"


@pages.get(f"{ROOM}/new")
@allow(*EDITORS)
def new() -> str:
    return _new_page(NewSourceForm())


def _new_page(form: NewSourceForm, fault: str = "") -> str:
    return render_template(
        "listings/new.html",
        form=form,
        fault=fault,
        licences=LICENCES,
        megabytes=reading.MAX_BYTES >> 20,
        most=reading.MAX_ROWS,
    )


@pages.post(f"{ROOM}/new")
@allow(*EDITORS)
@max_body(reading.MAX_BYTES + FORM_BYTES)
def bring() -> Any:
    """Take a list in from a new source, for its trial."""
    form, session = NewSourceForm(), db.session()
    if not form.validate():
        return _new_page(form), 422
    told = {
        "name": form.name.data,
        "licence": form.licence.data,
        "attribution": form.attribution.data or "",
    }
    if any(source.name == told["name"] for source, _ in service.sources(session)):
        form.name.errors = [gettext("Another source has this name.")]
        return _new_page(form), 422
    try:
        text, table, where = _brought(form.url.data or "")
    except (SheetFault, fetching.Unreadable) as fault:
        return _new_page(form, _say(fault)), 422
    draft_id = service.store(
        session, hub().clock.now(), current().id, text, table, told={**told, **where}
    )
    return redirect(f"{ROOM}/drafts/{draft_id}")


def _brought(url: str) -> tuple[str, reading.Table, dict[str, Any]]:
    """Return a list's text and table, and where it is from. Raises SheetFault, Unreadable."""
    file = request.files.get("file")
    content = file.read() if file is not None else b""
    if content:
        name = reading.clean(file.filename or "")[-200:] if file is not None else ""
        where = {"file_name": name or "?", "url": None}
    elif url:
        settings, peers = hub().settings, hub().peers
        url = fetching.check(url, allow_private=settings.allow_private_peers)
        release(db.session())  # nothing is held while somebody is asked
        content, where = fetching.fetch(peers, url), {"file_name": None, "url": url}
    else:
        raise SheetFault(gettext("Choose a file, or give an address."))
    text = reading.to_text(content)
    return text, reading.read(text), where


def _say(fault: Exception) -> str:
    said: str = translate(str(fault))
    return said


@pages.get(f"{ROOM}/sources/<int:source_id>")
@allow(*STAFF)
def source(source_id: int) -> str:
    found = service.source(db.session(), source_id)
    values = {name: getattr(found, name) for name in ("name", "licence", "attribution", "url")}
    form = ExistingSourceForm(formdata=None, data={**values, "refreshed": found.refreshed})
    return _source_page(source_id, form)


def _source_page(source_id: int, form: ExistingSourceForm, fault: str = "") -> str:
    session = db.session()
    after = request.args.get("after", "")[:64].replace("\x00", "")
    found = service.spaces_of(session, source_id, after, PAGE + 1)
    return render_template(
        "listings/source.html",
        source=service.source(session, source_id),
        spaces=found[:PAGE],
        after=after,
        following=found[PAGE - 1].id if len(found) > PAGE else "",
        form=form,
        fault=fault,
        kinds=labels.KINDS,
        licences=LICENCES,
        translate=translate,
        edits=may_edit(),
    )


@pages.post(f"{ROOM}/sources/<int:source_id>")
@allow(*EDITORS)
def change_source(source_id: int) -> Any:
    form, session = ExistingSourceForm(), db.session()
    if not form.validate():
        return _source_page(source_id, form), 422
    values = {
        "name": form.name.data,
        "licence": form.licence.data,
        "attribution": form.attribution.data or "",
        "url": form.url.data or None,
        "refreshed": form.refreshed.data,
    }
    try:
        service.change_source(session, hub().clock.now(), actor(), source_id, values)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        form.name.errors = [gettext("Another source has this name.")]
        return _source_page(source_id, form), 422
    flash(gettext("The source is changed."), "success")
    return redirect(f"{ROOM}/sources/{source_id}")


@pages.post(f"{ROOM}/sources/<int:source_id>/list")
@allow(*EDITORS)
@max_body(reading.MAX_BYTES + FORM_BYTES)
def bring_again(source_id: int) -> Any:
    """Take a source's list in again: a new file, or what is at its address now."""
    session = db.session()
    found = service.source(session, source_id)
    url = found.url if request.form.get("again") else None
    try:
        text, table, where = _brought(url or "")
    except (SheetFault, fetching.Unreadable) as fault:
        flash(_say(fault), "error")
        return redirect(f"{ROOM}/sources/{source_id}")
    draft_id = service.store(
        session,
        hub().clock.now(),
        current().id,
        text,
        table,
        told=where,
        of=service.source(session, source_id),
    )
    return redirect(f"{ROOM}/drafts/{draft_id}/trial")
