"""The admin's page of the synchronisation: what the hub has of us, what waits, and how we look."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template
from flask_babel import gettext
from sqlalchemy.orm import Session

from node.console import diagnostics, hub_labels
from node.context import node
from node.db import db
from node.hub import contact, outbox, service
from node.hub.models import Enrolment
from node.publication import service as publication
from node.spaces import service as spaces
from node.spaces.models import Document
from node.watch.service import watch
from shared.ops.watch import is_silent
from shared.web import allow, current
from shared.wire.documents import space_of
from shared.wire.problems import Problem

pages = Blueprint(
    "sync_pages",
    __name__,
    template_folder="templates",
    static_folder="static/sync",
    static_url_path="/static/sync",
)

# The hub hears of us each minute.
SILENT_AFTER = timedelta(minutes=3)
CHECK_TAKES = timedelta(seconds=30)


@pages.get("/console/sync")
@allow("admin")
def state() -> str:
    session, now = db.session(), node().clock.now()
    row, alive_at = service.enrolment(session), watch.alive_at(session)
    names = {space.id: space.name for space in spaces.spaces(session)}
    groups = _groups(session, names) if row else []
    return render_template(
        "sync/state.html",
        row=row,
        hub_url=node().hub.url,
        groups=groups,
        owed=sum(group["owed"] for group in groups),
        messages=contact.messages(session),
        counts=outbox.waiting(session),
        reason=hub_labels.reason,
        topics=hub_labels.TOPICS,
        away=node().hub.away or _silent(row.heard_at if row else None, now),
        jobs_at=alive_at,
        jobs_silent=is_silent(alive_at, node().clock.real()),
        check=_check(row, now) if row else None,
    )


@pages.post("/console/sync/publish")
@allow("admin")
def send_again() -> Any:
    """Send the publication once more, what was refused included."""
    spaces.publish_again(db.session(), node())
    flash(gettext("It is being sent. What the hub says of each document is below."), "success")
    return redirect("/console/sync")


@pages.post("/console/sync/messages/<int:message_id>/send")
@allow("admin")
def send_message_again(message_id: int) -> Any:
    """Try a message that is stuck, or was refused, once more."""
    if not outbox.send_again(db.session(), node().clock.real(), message_id):
        raise Problem("not-found")
    flash(gettext("It is being sent. What the hub says is below."), "success")
    return redirect("/console/sync#messages")


@pages.post("/console/sync/messages/<int:message_id>/give-up")
@allow("admin")
def give_message_up(message_id: int) -> Any:
    """Never send a message that is stuck."""
    if not outbox.give_up(db.session(), node().clock.real(), message_id, current().id):
        raise Problem("not-found")
    flash(gettext("It is given up, and noted in the log."), "success")
    return redirect("/console/sync#messages")


@pages.post("/console/sync/check")
@allow("admin")
def ask_for_check() -> Any:
    diagnostics.ask(db.session(), node().clock.now())
    return redirect("/console/sync#check")


def _silent(since: datetime | None, now: datetime) -> bool:
    return since is None or now - since > SILENT_AFTER


def _groups(session: Session, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the documents, those of the operator first, then each space's under its name."""
    said = publication.say(session, node())
    held = {each.name: each for each in publication.documents(session)}
    groups: dict[str | None, list[dict[str, Any]]] = {}
    for name, entry in said.index.items():
        of = groups.setdefault(space_of(name), [])
        of.append(_document(name, entry, held.get(name)))
    return [
        {
            "space": names.get(of or "", of),
            "documents": each,
            "owed": sum(document["state"] != "accepted" for document in each),
        }
        for of, each in groups.items()
    ]


def _document(name: str, entry: dict[str, Any], held: Document | None) -> dict[str, Any]:
    recorded = held is not None and held.sha256 == entry["sha256"]
    refused = held.refused if held and recorded and held.state == "refused" else None
    return {
        "title": hub_labels.document(name),
        "version": entry["version"],
        "changed_at": held.changed_at if held and recorded else None,
        "state": held.state if held and recorded else "waiting",
        "accepted_at": held.accepted_at if held else None,
        "accepted_version": held.accepted_version if held else None,
        "faults": hub_labels.lines(refused["errors"]) if refused else [],
    }


def _check(row: Enrolment, now: datetime) -> dict[str, Any]:
    """Return how the check stands: never asked, under way, nobody looks, or the findings."""
    report, pending = row.check_report or {}, diagnostics.is_pending(row)
    asked = row.check_asked_at
    late = pending and asked is not None and now - asked > CHECK_TAKES
    fault = report.get("fault")
    return {
        "pending": pending,
        "late": late,
        "at": row.check_done_at,
        "url": report.get("url"),
        "fault": _fault(fault) if fault else None,
        "items": [
            {
                "title": hub_labels.CHECKS.get(found["name"], found["name"]),
                "name": found["name"],
                "state": found["state"],
                "words": hub_labels.finding(found),
            }
            for found in report.get("items") or []
        ],
    }


def _fault(fault: dict[str, Any]) -> str:
    if fault.get("status") == 429:
        return gettext("it was asked too often; try again in a minute")
    if fault.get("title"):
        return hub_labels.reason(f'"title":"{fault["title"]}"')
    return hub_labels.reason(f"{fault.get('reason', '')} {fault.get('detail', '')}")
