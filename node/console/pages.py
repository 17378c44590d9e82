"""The node's public pages, and the admin's console."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, render_template
from flask_babel import get_locale
from sqlalchemy.orm import Session

from charter.hours import WEEKDAYS
from charter.values import shared_values
from node.console import requeue_pages
from node.console.sheet_pages import sync_state
from node.console.today import at_a_glance
from node.context import node
from node.db import db
from node.desk import incidents
from node.governance.pending_actions import awaited
from node.hub import service as sync
from node.hub.departures import last_day
from node.mail.service import mailbox
from node.publication.service import full_document
from node.reports import service as reports
from node.spaces import hours, service
from node.spaces.sections import completeness
from node.watch import service as watching
from shared.web import allow
from shared.wire.events import coming
from shared.wire.linked_data import linked_space

pages = Blueprint("spaces_pages", __name__, template_folder="templates")


@pages.get("/")
@allow("public")
def home() -> Any:
    return render_template("spaces/home.html", spaces=service.spaces(db.session()))


@pages.get("/spaces/<space_id>")
@allow("public")
def space_page(space_id: str) -> str:
    now = node().clock.now()
    row = service.space(db.session(), space_id)
    schedule = hours.schedule(row, service.today(row, now))
    today = now.astimezone(schedule.zone).date()
    days, named = [today + timedelta(n) for n in range(7)], hours.labels(row, today)
    week = [
        {
            "date": day.isoformat(),
            "weekday": WEEKDAYS[day.weekday()],
            "hours": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in schedule.openings(day)],
            "today": day == today,
            "why": named.get(day.isoformat(), ""),
        }
        for day in days
    ]
    opening = schedule.opening_at(now)
    known = sync.network(db.session(), node())
    document = full_document(db.session(), node(), row)
    return render_template(
        "spaces/space.html",
        space=row,
        document=document,
        events=coming(document, now),
        linked=linked_space(document, schedule, now, document["page"]),
        shared=shared_values(known.charter) if known else (),
        language=str(get_locale()),
        week=week,
        hours_known=schedule.known,
        opening=opening,
        hub_url=node().hub.url,
    )


@pages.get("/console")
@allow("admin")
def console() -> Any:
    session = db.session()
    found, now = service.spaces(session), node().clock.now()
    done = {space.id: completeness(space) for space in found}
    return render_template(
        "spaces/console.html",
        spaces=found,
        own=watching.own_concerns(),
        unsigned=sync.unsigned(session, node()),
        awaited=awaited(session, node()),
        memory=requeue_pages.concerns(session, node()),
        incidents=incidents.latest(session),
        today={space.id: at_a_glance(session, node(), space) for space in found},
        done={
            key: (sum(n for n, _ in each.values()), sum(of for _, of in each.values()))
            for key, each in done.items()
        },
        leaving_on=_leaving_on(session),
        letters=mailbox.in_trouble(session),
        reported=reports.told(session).waiting,
        ending=[
            space
            for space in found
            if space.until and (space.until - service.today(space, now)).days <= 30
        ],
        **sync_state(),
    )


def _leaving_on(session: Session) -> date | None:
    known, row = sync.network(session, node()), sync.enrolment(session)
    return last_day(known.trust, row.node_id) if known and row else None
