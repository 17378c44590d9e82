"""Booking as a member; and, as a host, who is expected."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, flash, redirect, render_template, request
from flask_babel import get_locale, gettext, ngettext
from icalendar import Calendar, Event
from sqlalchemy.orm import Session

from charter.conditions import read_conditions
from charter.hours import read_schedule
from node.bookings import hosted, outgoing, rules
from node.bookings.forms import BookingForm
from node.bookings.labels import words_of
from node.context import node
from node.db import db
from node.hub import service as sync
from node.passes import rights
from node.passes.api import me
from node.publication import partner_documents
from node.spaces import service as spaces
from shared.base.schemas import unstorable
from shared.web import allow, current
from shared.wire.problems import Problem
from shared.wire.spaces import is_bookable

pages = Blueprint("bookings_pages", __name__, template_folder="templates")

PAST = timedelta(days=31)


@pages.get("/bookings")
@allow("member")
def my_bookings() -> Any:
    if request.args.get("at"):
        return redirect(f"/bookings/at/{quote(request.args['at'][:64], safe='')}")
    session, now = db.session(), node().clock.now()
    found = outgoing.of_member(session, me().id, now - PAST)
    return render_template(
        "bookings/bookings.html",
        coming=[trip for trip in found if trip.ends_at > now],
        past=[trip for trip in reversed(found) if trip.ends_at <= now],
        places=partner_documents.places(session, node()),
    )


@pages.route("/bookings/at/<space_id>", methods=["GET", "POST"])
@allow("member")
def new_booking(space_id: str) -> Any:
    session, member = db.session(), me()
    document = partner_documents.sheet(session, node(), space_id)
    known = sync.network(session, node())
    if document is None or known is None:
        return render_template("bookings/unreachable.html", space_id=space_id), 503
    own = any(space.id == space_id for space in spaces.spaces(session))
    form = BookingForm()
    rooms = [
        room["name"]
        for room in document.get("rooms", [])
        if is_bookable(room["kind"], room.get("half_days"))
    ]
    form.offer(rooms, seat=not own)
    schedule = read_schedule(document)
    today = node().clock.now().astimezone(schedule.zone).date()
    refused: list[str] = []
    if form.validate_on_submit():
        span = form.span(schedule, known.charter.rules.opening_hours.split)
        room, wait = form.room.data or None, bool(form.wait.data)
        reasons: Any = [{"code": "booking_hours"}]
        if span is not None:
            try:
                trip = outgoing.ask(session, node(), member, space_id, *span, room, wait=wait)
            except Problem as problem:
                if "booking" in problem.extra:  # the space is asked again, by itself
                    return redirect(f"/bookings/{problem.extra['booking']}")
                if problem.slug != "booking-refused":
                    raise
                reasons = problem.extra["reasons"]
            else:
                return redirect(f"/bookings/{trip.id}")
        refused = [words_of(reason, str(get_locale())) for reason in reasons]
    return render_template(
        "bookings/new.html",
        form=form,
        document=document,
        conditions=read_conditions(document),
        own=own,
        refused=refused,
        days=_days(document),
        hours_known=schedule.known,
        decision=None if own else _decision(session, space_id),
        language=str(get_locale()),
        earliest=today.isoformat(),
        latest=(today + rules.AHEAD).isoformat(),
    ), (422 if form.errors or refused else 200)


def _decision(session: Session, space_id: str) -> dict[str, Any] | None:
    try:
        found = rights.rights(session, node(), me(), str(get_locale()), space_id, None)
    except Problem:
        return None
    return found[0]["decision"] if found else None


def _days(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the hours of the next two weeks, and whether visitors are received."""
    schedule, conditions = read_schedule(document), read_conditions(document)
    today = node().clock.now().astimezone(schedule.zone).date()
    return [
        {
            "date": (day := today + timedelta(n)).isoformat(),
            "hours": [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in schedule.openings(day)],
            "closed": conditions.closed_on(day) is not None,
        }
        for n in range(14)
    ]


@pages.get("/bookings/<booking_id>")
@allow("member")
def one_booking(booking_id: str) -> str:
    trip = outgoing.find(db.session(), booking_id, me().id)
    return render_template(
        "bookings/one.html",
        trip=trip,
        reasons=[words_of(reason, str(get_locale())) for reason in trip.codes],
        over=trip.ends_at <= node().clock.now(),
        hub_url=node().hub.url,
    )


@pages.post("/bookings/<booking_id>/confirm")
@allow("member")
def confirm(booking_id: str) -> Any:
    try:
        trip = outgoing.confirm(db.session(), node(), booking_id, me().id)
    except Problem as problem:
        if problem.slug != "booking-refused":
            raise
        for reason in problem.extra["reasons"]:
            flash(words_of(reason, str(get_locale())), "error")
        return redirect(f"/bookings/{booking_id}")
    if trip.state == "confirmed":
        flash(gettext("Your place is kept."), "success")
    elif trip.state == "confirming":
        flash(gettext("The space does not answer: it is asked again by itself."), "error")
    else:
        flash(gettext("Too late: the place was given to somebody else."), "error")
    return redirect(f"/bookings/{booking_id}")


@pages.post("/bookings/<booking_id>/cancel")
@allow("member")
def cancel(booking_id: str) -> Any:
    outgoing.cancel(db.session(), node(), booking_id, me().id)
    flash(gettext("The booking is cancelled. Thank you for giving the place back."), "success")
    return redirect("/bookings")


@pages.get("/bookings/<booking_id>.ics")
@allow("member")
def calendar_file(booking_id: str) -> Response:
    trip = outgoing.find(db.session(), booking_id, me().id)
    calendar, event = Calendar(), Event()
    calendar.add("prodid", "-//Passerelle//node//FR")
    calendar.add("version", "2.0")
    event.add("uid", f"{trip.id}@{node().url.partition('://')[2]}")
    event.add("dtstamp", node().clock.now().astimezone(UTC))
    event.add("dtstart", trip.starts_at.astimezone(UTC))
    event.add("dtend", trip.ends_at.astimezone(UTC))
    event.add("summary", " – ".join(filter(None, (trip.space_name, trip.room))))
    event.add("location", trip.space_name)
    kept = "TENTATIVE" if trip.state in outgoing.LIVE else "CANCELLED"
    event.add("status", "CONFIRMED" if trip.state in ("confirmed", "arrived") else kept)
    calendar.add_component(event)
    headers = {"Content-Disposition": 'attachment; filename="booking.ics"'}
    return Response(calendar.to_ical(), mimetype="text/calendar", headers=headers)


# As a host


@pages.get("/console/bookings")
@allow("admin", "desk")
def expected() -> str:
    session, now = db.session(), node().clock.now()
    today = now.astimezone(spaces.own_zone(session)).date()
    try:
        first = date.fromisoformat(request.args.get("from", ""))
    except ValueError:
        first = today
    if not date(2000, 1, 1) <= first < date(2200, 1, 1):
        first = today
    days = [first + timedelta(n) for n in range(14)]
    rows = spaces.spaces(session)
    known = sync.network(session, node())
    return render_template(
        "bookings/expected.html",
        listed=[
            {"space": row, "days": [(day, hosted.of_day(session, row, day)) for day in days]}
            for row in rows
        ],
        first=first,
        names={home: entry["name"] for home, entry in known.trust.nodes.items()} if known else {},
        zones={row.id: row.timezone for row in rows},
        closed=hosted.closed_of(session, now),
        homes=hosted.homes_ahead(session, now),
        is_admin="admin" in current().roles,
        now=now,
    )


def _called_off(number: int) -> Any:
    words = ngettext(
        "%(num)d booking is called off; who booked is told.",
        "%(num)d bookings are called off; those who booked are told.",
        number,
    )
    flash(words, "success")
    return redirect("/console/bookings")


def _reason() -> str | None:
    """Return the reason that was typed; None, and a word about it, where there is none."""
    reason = request.form.get("reason", "").strip()
    if 1 <= len(reason) <= 300 and not unstorable(reason):
        return reason
    flash(gettext("Say why, in 300 characters at most: the member reads it."), "error")
    return None


@pages.post("/console/bookings/<booking_id>/cancel")
@allow("admin", "desk")
def call_off(booking_id: str) -> Any:
    reason = _reason()
    if reason is not None:
        hosted.cancel_as_host(db.session(), node(), booking_id, reason)
        flash(gettext("Called off; the member is told."), "success")
    return redirect("/console/bookings")


@pages.post("/console/bookings/homes/<home_id>/cancel")
@allow("admin")
def call_off_home(home_id: str) -> Any:
    """Call off all that one home's members have booked here."""
    reason = _reason()
    if reason is None:
        return redirect("/console/bookings")
    return _called_off(hosted.cancel_home(db.session(), node(), home_id, reason))


@pages.post("/console/bookings/closed/cancel")
@allow("admin", "desk")
def call_off_closed() -> Any:
    """Call off what was booked for days on which a space has closed since."""
    reason = _reason()
    if reason is None:
        return redirect("/console/bookings")
    return _called_off(hosted.cancel_closed(db.session(), node(), reason))
