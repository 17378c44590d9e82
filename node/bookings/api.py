"""JSON: a member's bookings, and what homes and hosts say to each other of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

from flask_babel import get_locale
from marshmallow import fields, validate

from node.bookings import hosted, messages, outgoing, restore
from node.bookings.labels import words_of
from node.bookings.models import Trip
from node.context import node
from node.db import db
from node.passes.api import me
from node.spaces import service as spaces
from shared.base.schemas import WireSchema, moment, text
from shared.web import allow
from shared.web.api import Blueprint
from shared.web.application import limiter
from shared.web.paging import page_of
from shared.wire.problems import Problem

blp = Blueprint("bookings", __name__, url_prefix="/api/v1", description="Bookings")


class NewBookingSchema(WireSchema):
    id = fields.String(
        load_default=None,
        validate=messages.ID,
        metadata={"description": "32 hex digits of your own: sent again, it is the same booking."},
    )
    space = text(64)
    room = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(min=1, max=120)
    )
    starts_at = moment(required=True)
    ends_at = moment(required=True)
    wait = fields.Boolean(
        load_default=False, metadata={"description": "Go on the waiting list if it is full."}
    )
    confirm = fields.Boolean(load_default=True, metadata={"description": "Else it is held only."})


def _closed() -> fields.List[Any]:
    told = {"description": "Booked dates on which the space has closed since."}
    return fields.List(fields.String(), required=True, metadata=told)


class BookingSchema(WireSchema):
    """``state``: held, confirmed, waiting, cancelled, lapsed, arrived, no_show, or being asked."""

    id = fields.String(required=True)
    space = fields.String(required=True, attribute="space_id")
    room = fields.String(required=True, allow_none=True)
    starts_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(required=True)
    state = fields.String(required=True)
    held_until = fields.AwareDateTime(required=True, allow_none=True)
    reason = fields.String(required=True)
    closed = _closed()


BookingsSchema = page_of("Bookings", BookingSchema)


class ExpectedSchema(WireSchema):
    id = fields.String(required=True)
    given_name = fields.String(required=True)
    home = fields.String(required=True, attribute="home_id")
    plan = fields.String(required=True)
    room = fields.String(required=True, allow_none=True)
    starts_at = fields.AwareDateTime(required=True)
    ends_at = fields.AwareDateTime(required=True)
    state = fields.String(required=True)
    closed = _closed()


ExpectedListSchema = page_of("ExpectedList", ExpectedSchema)


class ExpectedQuerySchema(WireSchema):
    space = text(64)
    day = fields.Date(
        load_default=None, validate=validate.Range(date(2000, 1, 1), date(2200, 1, 1))
    )


class BookingAskedSchema(WireSchema):
    request = text(6000, metadata={"description": "A JWS by the member’s home."})


class BookingWordSchema(messages.WordSchema):
    pass


class BookingSaidSchema(WireSchema):
    word = text(6000, metadata={"description": "A JWS by the host."})


@blp.route("/me/bookings")
@blp.response(200, BookingsSchema)
@allow("member")
def my_bookings() -> dict[str, Any]:
    """My bookings that are not over, the earliest first."""
    return {
        "items": outgoing.of_member(db.session(), me().id, node().clock.now()),
        "next_cursor": None,
    }


def _in_words(view: Callable[..., Trip]) -> Callable[..., Trip]:
    """Say the reasons against a booking in the language of who asks."""

    @wraps(view)
    def told(*args: Any, **kwargs: Any) -> Trip:
        try:
            return view(*args, **kwargs)
        except Problem as problem:
            if reasons := problem.extra.get("reasons"):
                spoken = str(get_locale())
                problem.extra["reasons"] = [
                    {**reason, "message": words_of(reason, spoken)} for reason in reasons
                ]
            raise

    return told


@blp.route("/me/bookings", methods=["POST"])
@blp.arguments(NewBookingSchema)
@blp.response(201, BookingSchema)
@allow("member")
@_in_words
def book(data: dict[str, Any]) -> Trip:
    """Book a place or a room at a partner space. The host decides; its answer is final."""
    session, member = db.session(), me()
    member_id = member.id
    trip = outgoing.ask(
        session,
        node(),
        member,
        data["space"],
        data["starts_at"],
        data["ends_at"],
        data["room"],
        wait=data["wait"],
        trip_id=data["id"],
    )
    if data["confirm"] and trip.state == "held":
        trip = outgoing.confirm(session, node(), trip.id, member_id)
    return trip


@blp.route("/me/bookings/<booking_id>/confirm", methods=["POST"])
@blp.response(200, BookingSchema)
@allow("member")
@_in_words
def confirm_booking(booking_id: str) -> Trip:
    """Confirm what is held."""
    return outgoing.confirm(db.session(), node(), booking_id, me().id)


@blp.route("/me/bookings/<booking_id>", methods=["DELETE"])
@blp.response(200, BookingSchema)
@allow("member")
def cancel_booking(booking_id: str) -> Trip:
    """Cancel a booking, or leave the waiting list."""
    return outgoing.cancel(db.session(), node(), booking_id, me().id)


@blp.route("/bookings")
@blp.arguments(ExpectedQuerySchema, location="query")
@blp.response(200, ExpectedListSchema)
@allow("desk")
def expected(query: dict[str, Any]) -> dict[str, Any]:
    """Who is expected at one of our spaces, today or on another day."""
    session, now = db.session(), node().clock.now()
    row = spaces.space(session, query["space"])
    return {
        "items": hosted.of_day(session, row, query["day"] or spaces.today(row, now)),
        "next_cursor": None,
    }


@blp.route("/bookings/recall", methods=["POST"])
@blp.arguments(BookingAskedSchema)
@blp.response(200, restore.RecalledSchema)
@allow("public")
@limiter.limit("60 per minute")
def recall(data: dict[str, Any]) -> dict[str, Any]:
    """Tell a partner that has lost them its bookings, as far as we know of them."""
    return restore.answer(db.session(), node(), data["request"])


@blp.route("/bookings/<booking_id>", methods=["PUT"])
@blp.arguments(BookingAskedSchema)
@blp.response(200, BookingWordSchema)
@allow("public")
@limiter.limit("600 per minute")
def answer_home(data: dict[str, Any], booking_id: str) -> dict[str, Any]:
    """Ask for, confirm or cancel a booking here, as a member's home; safe to repeat."""
    word = hosted.handle(db.session(), node(), booking_id, data["request"])
    return messages.load_word(word)


@blp.route("/trips/<booking_id>", methods=["PUT"])
@blp.arguments(BookingSaidSchema)
@blp.response(200)
@allow("public")
@limiter.limit("600 per minute")
def hear_host(data: dict[str, Any], booking_id: str) -> dict[str, Any]:
    """Hear a host's word on a booking of one of our members; safe to repeat."""
    outgoing.hear(db.session(), node(), booking_id, data["word"])
    return {}
