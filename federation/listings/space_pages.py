"""One listed space: on the desk to be edited or invited, and as the public sees it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import get_locale, gettext

from charter.hours import read_schedule
from federation.context import hub
from federation.db import db
from federation.listings import service, spaces
from federation.listings.document import merged
from federation.listings.forms import SpaceForm, space_form
from federation.listings.pages import EDITORS, ROOM, actor
from federation.nodes import enrolment
from federation.spaces import presenter
from federation.spaces.models import Space
from shared.mail.letters import letter
from shared.web import allow, current
from shared.wire.linked_data import linked_space
from shared.wire.problems import Problem

pages = Blueprint("listed_space", __name__, template_folder="templates")


@pages.route(f"{ROOM}/spaces/<space_id>", methods=["GET", "POST"])
@allow(*EDITORS)
def edit(space_id: str) -> Any:
    """A listed space's facts, as they are edited by hand."""
    session = db.session()
    _, listing = spaces.listed(session, space_id)
    form = space_form(merged(listing.facts, listing.edits))
    if form.validate_on_submit():
        spaces.edit(session, hub().clock.now(), actor(), space_id, form.edits(listing.facts))
        flash(gettext("The space is changed. What you wrote stays when its list is read again."))
        return redirect(f"{ROOM}/spaces/{space_id}")
    return _page(space_id, form), (422 if form.errors else 200)


def _page(space_id: str, form: SpaceForm, **more: Any) -> str:
    session = db.session()
    space, listing = spaces.listed(session, space_id)
    return render_template(
        "listings/edit.html",
        space=space,
        listing=listing,
        source=service.source(session, space.source_id or 0),
        form=form,
        coordinator="coordinator" in current().roles,
        **more,
    )


@pages.post(f"{ROOM}/spaces/<space_id>/remove")
@allow(*EDITORS)
def remove(space_id: str) -> Any:
    spaces.remove(db.session(), hub().clock.now(), actor(), current().id, space_id)
    flash(gettext("The space is off the map, and stays off when its list is read again."))
    return redirect(f"{ROOM}/spaces/{space_id}")


@pages.post(f"{ROOM}/spaces/<space_id>/restore")
@allow(*EDITORS)
def restore(space_id: str) -> Any:
    spaces.restore(db.session(), hub().clock.now(), actor(), space_id)
    flash(gettext("The space is on the map again."))
    return redirect(f"{ROOM}/spaces/{space_id}")


@pages.post(f"{ROOM}/spaces/<space_id>/became")
@allow(*EDITORS)
def became(space_id: str) -> Any:
    """Say which space this one is now, by its id or its page's address."""
    given = request.form.get("space", "").replace("\x00", "").strip().rstrip("/")
    new_id = given.rpartition("/")[2][:64]
    try:
        spaces.become(db.session(), hub().clock.now(), actor(), space_id, new_id)
    except Problem as problem:
        if problem.slug != "conflict":
            raise
        flash(gettext("There is no such space on the map."), "error")
    else:
        flash(gettext("It is one space now: the old address leads to the new page."))
    return redirect(_back(space_id))


@pages.post(f"{ROOM}/spaces/<space_id>/apart")
@allow(*EDITORS)
def apart(space_id: str) -> Any:
    other = request.form.get("space", "").replace("\x00", "")[:64]
    now = hub().clock.now()
    spaces.keep_apart(db.session(), now, actor(), current().id, space_id, other)
    flash(gettext("They stay two spaces."))
    return redirect(_back(space_id))


def _back(space_id: str) -> str:
    return ROOM if request.form.get("from") == "joined" else f"{ROOM}/spaces/{space_id}"


@pages.post(f"{ROOM}/spaces/<space_id>/invitation")
@allow("coordinator")
def invite(space_id: str) -> Any:
    """Make an invitation to enrol a node, and the letter that brings it."""
    session, now = db.session(), hub().clock.now()
    space, listing = spaces.listed(session, space_id)
    name, email = space.name, merged(listing.facts, listing.edits).get("email", "")
    try:
        token, invitation = enrolment.invite(session, now, name, current().id)
    except Problem as problem:
        if problem.slug != "name-taken":
            raise
        flash(gettext("Another operator goes by this name."), "error")
        return redirect(_back(space_id))
    subject, text = letter(
        "listings/letter.txt",
        name=name,
        network=hub().settings.network,
        page=f"{hub().url}/spaces/{space_id}",
        charter=f"{hub().url}/charter",
        token=token,
        expires_at=invitation.expires_at,
    )
    mail = f"mailto:{quote(email)}?subject={quote(subject)}&body={quote(text)}" if email else ""
    form = space_form(merged(listing.facts, listing.edits), formdata=None)
    return _page(space_id, form, letter=text, mail=mail)


def public_page(space: Space) -> str:
    """Return the page of a listed space: what its source says, and who that is."""
    now, here = hub().clock.now(), f"{hub().url}/spaces/{space.id}"
    document = space.document
    return render_template(
        "listings/space.html",
        space=presenter.present(space, now, hub().url, ()),
        linked=linked_space(document, read_schedule(document), now, here),
        language=str(get_locale()),
        contact=hub().settings.contact,
    )
