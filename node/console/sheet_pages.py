"""The console's pages of one space: its sheet, section by section, and what will be published."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import get_locale, gettext, lazy_gettext, ngettext

from node.bookings import hosted
from node.context import node
from node.db import db
from node.hub import outbox
from node.hub import service as sync
from node.spaces import hours, osm, service
from node.spaces.forms import text_field
from node.spaces.models import Space
from node.spaces.section import Section
from node.spaces.sections import SECTIONS, completeness
from node.spaces.tables import HoursForm, region_name
from shared.web import allow
from shared.web.formats import clock_time, day
from shared.web.forms import Form
from shared.wire.error_messages import translate
from shared.wire.problems import Problem

pages = Blueprint(
    "sheet_pages",
    __name__,
    template_folder="templates",
    static_folder="static/sheet",
    static_url_path="/static/sheet",
)


class NewSpaceForm(Form):
    name = text_field(lazy_gettext("Name of the space"), 120, required=True)
    town = text_field(lazy_gettext("Town"), 120, required=True)


@pages.route("/console/new-space", methods=["GET", "POST"])
@allow("admin")
def new() -> Any:
    form = NewSpaceForm()
    if form.validate_on_submit():
        row = service.open_space(db.session(), node(), form.name.data or "", form.town.data or "")
        flash(gettext("The space is made. Tell more about it, in your own time."), "success")
        return redirect(f"/console/spaces/{row}/sheet/identity")
    return render_template("spaces/new.html", form=form), 422 if form.errors else 200


@pages.get("/console/spaces/<space_id>")
@allow("admin")
def overview(space_id: str) -> str:
    row = service.space(db.session(), space_id)
    done = completeness(row)
    return render_template(
        "spaces/overview.html",
        space=row,
        sections=SECTIONS,
        done=done,
        next_section=next((key for key, (n, of) in done.items() if n < of), None),
        **_shared(row),
    )


@pages.post("/console/spaces/<space_id>/pause")
@allow("admin")
def pause(space_id: str) -> Any:
    """Welcome no roaming member for now, or welcome them again."""
    paused = request.form.get("paused") == "yes"
    service.set_paused(db.session(), node(), space_id, paused)
    flash(
        gettext("Paused: those who are here stay, nobody new is admitted.")
        if paused
        else gettext("Visitors are welcome again."),
        "success",
    )
    return redirect(f"/console/spaces/{space_id}")


@pages.route("/console/spaces/<space_id>/sheet/<section>", methods=["GET", "POST"])
@allow("admin")
def section(space_id: str, section: str) -> Any:
    row = service.space(db.session(), space_id)
    if section not in SECTIONS:
        raise Problem("not-found")
    kind = SECTIONS[section][1]
    form = kind() if request.method == "POST" else kind(data=kind.filled(row))
    form.offer(row)
    status = 200
    if isinstance(form, HoursForm) and ("read" in request.form or (form.osm.data or "").strip()):
        form, status = _read_osm(form, row)
    elif form.validate_on_submit() and _save(row, form):
        return _saved(row, section)
    elif form.errors:
        status = 422
    form.seen.data = kind.stamp(row)
    following = _following(section)
    return render_template(
        f"spaces/sections/{section}.html",
        space=row,
        form=form,
        section=section,
        sections=SECTIONS,
        following=following,
        settings=node().settings,
        **_shared(row),
    ), status


def _following(section: str) -> str | None:
    keys = list(SECTIONS)
    after = keys.index(section) + 1
    return keys[after] if after < len(keys) else None


def _save(row: Space, form: Section) -> bool:
    """Save a valid section, unless somebody else did since it was opened: two tabs undo nothing."""
    seen = form.seen.data

    def still(now: Space) -> bool:
        return not seen or form.stamp(now) == seen

    followed = form.follow(row)
    values, about = {**form.values(), **followed}, form.facts()
    saved = service.save(
        db.session(), node(), row.id, values, about=about, still=still, **form.rows()
    )
    if not saved:
        words = gettext(
            "Somebody saved this section meanwhile: look at it in another tab, then save yours."
        )
        form.form_errors.append(words)
    elif "timezone" in followed:
        flash(gettext("The time zone follows the place: %(zone)s.", zone=followed["timezone"]))
    if saved and "holidays_region" in followed:
        region = region_name(followed["holidays_region"])
        flash(gettext("The public holidays follow the place: %(region)s.", region=region))
    return saved


def _saved(row: Space, section: str) -> Any:
    space_id = row.id
    outbox.tell_soon(db.session(), node())
    state = sync_state()
    if state["published"]:
        at = clock_time(state["accepted_at"])
        flash(gettext("Saved. On the map since %(time)s.", time=at), "success")
    elif state["fault"]:
        flash(gettext("Saved here, but the hub did not take it: see below."), "error")
    else:
        flash(gettext("Saved. It goes on the map as soon as the hub answers."), "success")
    say_what_is_booked(space_id)
    following = _following(section)
    if "go_on" in request.form:
        tail = f"/sheet/{following}" if following else ""
        return redirect(f"/console/spaces/{space_id}{tail}")
    return redirect(f"/console/spaces/{space_id}/sheet/{section}")


def say_what_is_booked(space_id: str) -> None:
    """Tell the admin how many have booked for days that are closed by what was just saved."""
    number = hosted.closed_by_saving(db.session(), node(), space_id)
    if number:
        words = ngettext(
            "%(num)d person has booked for a day on which the space is now closed.",
            "%(num)d people have booked for days on which the space is now closed.",
            number,
        )
        flash(words, "error")


def _read_osm(form: HoursForm, row: Space) -> tuple[HoursForm, int]:
    """Return the form filled from the text that was pasted, for the admin to look at and save."""
    text = (form.osm.data or "").strip()
    try:
        found = osm.read(text, service.today(row, node().clock.now()))
    except osm.OsmError as error:
        form.osm.errors = [
            gettext(
                "This cannot be read, from character %(n)s on.", n=str(error).rpartition(":")[2]
            )
        ]
        return form, 422
    read = HoursForm(
        formdata=None,
        data={
            **HoursForm.of_hours(found),
            "closed_on_holidays": found["closed_on_holidays"],
            "holidays_region": form.holidays_region.data,
        },
    )
    read.offer(row)
    if found["week"] or found["special_days"]:
        flash(gettext("Read, and not saved yet: look at it, then save."), "success")
    else:
        flash(gettext("No hours can be taken from it: they stay unknown."), "error")
    for words in found["comments"]:
        flash(gettext("It says in words, without times: “%(words)s”.", words=words), "error")
    if found["schools"]:
        flash(gettext("Hours of the school holidays (SH) cannot be kept here."), "error")
    if found["loose"]:
        flash(
            gettext(
                "Times of the sun, open ends and words beside times cannot be kept here: look at"
                " what became of them."
            ),
            "error",
        )
    differs = osm.first_difference(text, found, service.today(row, node().clock.now()))
    if differs is not None:
        words = gettext(
            "Not all of it can be said here: from %(day)s on, compare.", day=day(differs)
        )
        flash(words, "error")
    return read, 200


def _shared(row: Space) -> dict[str, Any]:
    now = node().clock.now()
    today, language = service.today(row, now), str(get_locale())
    return {
        "days": hours.days_ahead(row, today, language),
        "hours_known": hours.schedule(row, today).known,
        "holidays": hours.coming_holidays(row.holidays_region, today, language),
        "osm_text": osm.write(row, today),
        **sync_state(),
    }


def sync_state() -> dict[str, Any]:
    """Return the publication's state: what was changed here, and what the hub has."""
    session = db.session()
    row = sync.enrolment(session)
    waiting = outbox.waiting(session)
    fault = row.publication_fault if row else None
    return {
        "enrolled": row is not None,
        "published": row is not None
        and row.accepted_at is not None
        and row.accepted_revision >= row.revision
        and not fault,
        "accepted_at": row.accepted_at if row else None,
        "fault": translate(fault) if fault else None,
        "hub_away": node().hub.away,
        "hub_url": node().hub.url,
        "waiting": waiting["pending"],
        "booked_closed": len(hosted.closed_of(session, node().clock.now())),
        "dead": waiting["dead"],
        "stuck": waiting["stuck"],
    }
