"""A list that was brought: its columns, its trial, and its import with progress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, stream_template
from flask_babel import gettext

from federation.context import hub
from federation.db import db
from federation.listings import importing, labels, reading, service
from federation.listings import mapping as mappings
from federation.listings.dry_run import Trial, examine
from federation.listings.importing import Decision, Wanted
from federation.listings.mapping import FIELDS
from federation.listings.models import ListingDraft
from federation.listings.pages import EDITORS, ROOM, actor
from shared.base.schemas import unstorable
from shared.web import allow, current

pages = Blueprint("listing_drafts", __name__, template_folder="templates")

SHOWN = 100  # of each kind of row
MOST_TEXT = 1000


def _draft(draft_id: str) -> ListingDraft | None:
    found = service.kept(db.session(), hub().clock.now(), current().id, draft_id)
    if found is None:
        words_ = gettext("This list was imported already, or is too old: bring it again.")
        flash(words_, "error")
    return found


@pages.route(f"{ROOM}/drafts/<draft_id>", methods=["GET", "POST"])
@allow(*EDITORS)
def columns(draft_id: str) -> Any:
    """Which column is what: guessed first, then as chosen."""
    draft = _draft(draft_id)
    if draft is None:
        return redirect(ROOM)
    table, mapping, faults = reading.read(draft.text), draft.mapping, []
    if request.method == "POST":
        mapping = _chosen(table, request.form)
        faults = mappings.missing(mapping)
        if not faults:
            service.map_columns(db.session(), draft_id, mapping)
            return redirect(f"{ROOM}/drafts/{draft_id}/trial")
    return render_template(
        "listings/columns.html",
        draft=draft,
        table=table,
        mapping=mapping,
        faults=[labels.MISSING[code] for code in faults],
        labels=labels.LABELS,
        constants=labels.CONSTANTS,
        samples=labels.samples(table),
        kinds=labels.KINDS,
    ), (422 if faults else 200)


def _chosen(table: reading.Table, given: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the columns and the texts that were chosen; a column goes before a text."""
    found: dict[str, dict[str, str]] = {}
    for name in FIELDS:
        place = given.get(f"column_{name}", "")
        text = reading.clean(given.get(f"text_{name}", ""))[:MOST_TEXT]
        if place.isascii() and place.isdecimal() and int(place[:4]) < len(table.columns):
            found[name] = {"column": table.columns[int(place[:4])]}
        elif text and name in labels.CONSTANTS and not unstorable(text):
            found[name] = {"text": text}
    return found


@pages.get(f"{ROOM}/drafts/<draft_id>/trial")
@allow(*EDITORS)
def trial(draft_id: str) -> Any:
    """What importing would do; nothing is written."""
    draft = _draft(draft_id)
    if draft is None:
        return redirect(ROOM)
    if mappings.missing(draft.mapping):
        return redirect(f"{ROOM}/drafts/{draft_id}")
    session = db.session()
    table = reading.read(draft.text)
    found = examine(session, table, draft.mapping, draft.source_id)
    source = service.source(session, draft.source_id) if draft.source_id is not None else None
    return render_template(
        "listings/trial.html",
        draft=draft,
        source=source,
        revision=source.revision if source is not None else 0,
        trial=found,
        counts=found.counts(),
        faults=_faults(table.kind, found),
        notes=[
            labels.say(table.kind, line, note)
            for line in found.of("new", "changed", "doubtful", "same")
            for note in line.notes
        ],
        kind=table.kind,
        words=labels,
        shown=SHOWN,
    )


def _faults(kind: str, found: Trial) -> list[str]:
    return [
        said
        for line in found.of("fault")
        for said in (
            [labels.say_twin(kind, line)]
            if line.twin
            else [labels.say(kind, line, fault) for fault in line.faults]
        )
    ]


@pages.post(f"{ROOM}/drafts/<draft_id>/reconsider")
@allow(*EDITORS)
def reconsider(draft_id: str) -> Any:
    """Forget what was decided of the rows that are named; the trial asks again."""
    draft = _draft(draft_id)
    if draft is None:
        return redirect(ROOM)
    session, source_id = db.session(), draft.source_id
    places = {int(each) for each in request.form.getlist("place") if _is_place(each)}
    if source_id is not None and places:
        found = examine(session, reading.read(draft.text), draft.mapping, source_id)
        keys = {line.key for line in found.lines if line.place in places}
        service.reconsider(session, hub().clock.now(), actor(), source_id, keys)
    return redirect(f"{ROOM}/drafts/{draft_id}/trial")


def _is_place(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 9


@pages.post(f"{ROOM}/drafts/<draft_id>/import")
@allow(*EDITORS)
def go(draft_id: str) -> Any:
    """Import. The page is sent as the work goes on: without any script, it shows how far it is."""
    wanted = _wanted()  # all of the form, before the answer begins
    draft = _draft(draft_id)
    if draft is None or mappings.missing(draft.mapping):
        return redirect(ROOM)
    again = f"{ROOM}/drafts/{draft_id}/trial"
    steps = importing.run(db.session(), hub().clock.now(), draft, wanted)
    page = stream_template("listings/importing.html", steps=steps, again=again)
    # Proxies that gather a page before they pass it on would show no progress.
    return Response(page, mimetype="text/html", headers={"X-Accel-Buffering": "no"})


def _wanted() -> Wanted:
    form = request.form
    decisions = {}
    for name, value in form.items():
        place = name.removeprefix("row_")
        decision = _decision(value)
        if place != name and _is_place(place) and decision is not None:
            decisions[int(place)] = decision
    rest = form.get("rest", "")
    revision = form.get("revision", "")
    return Wanted(
        revision=int(revision) if _is_place(revision) else 0,
        decisions=decisions,
        rest=rest if rest in ("skip", "same", "apart") else None,
        gone=frozenset(form.getlist("gone")),
        all_gone=bool(form.get("all_gone")),
    )


def _decision(value: str) -> Decision | None:
    choice, _, space_id = value.partition(" ")
    if choice == "same" and space_id and not unstorable(space_id):
        return Decision("same", space_id[:64])
    return Decision(choice) if choice in ("skip", "apart") else None
