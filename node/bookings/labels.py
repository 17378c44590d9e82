"""Why a booking was not taken, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import gettext, lazy_gettext

from charter.messages import message
from shared.web.formats import day

_WORDS = {
    "booking_full": lazy_gettext("No place is left at that time."),
    "room_taken": lazy_gettext("This room is taken at that time."),
    "booking_span": lazy_gettext(
        "Choose a time that is still to come, within 60 days, for 5 days at most."
    ),
    "booking_hours": lazy_gettext("The space is not open all that time."),
    "no_such_room": lazy_gettext("There is no such room there."),
    "room_not_then": lazy_gettext("This room is not for visitors on all those half-days."),
    "own_house": lazy_gettext("At home you need no booking: come. Only rooms are booked."),
    "host_leaves": lazy_gettext("The space leaves the network before the end of this booking."),
    "home_leaves": lazy_gettext("Your home leaves the network before the end of this booking."),
    "booked_elsewhere": lazy_gettext("You have another booking at that time."),
    "home_share": lazy_gettext(
        "Members of your space have booked as many places at that time as one space may."
    ),
    "subscription_suspended": lazy_gettext("Your subscription is suspended."),
}


def words_of(reason: Mapping[str, Any], language: str) -> str:
    """Return the sentence for a reason that a host, the hub or we ourselves gave."""
    code = str(reason.get("code"))
    if code in _WORDS:
        return str(_WORDS[code])
    given = reason.get("params")
    params = given if isinstance(given, dict) else {}
    if code == "subscription_ends":
        return gettext(
            "Your subscription ends on %(day)s, before the end of this booking.",
            day=day(params["last_day"]),
        )
    if "asked" in params:
        return _beyond(code, params)
    return message(code, params, language)


def _beyond(code: str, params: Mapping[str, Any]) -> str:
    """Say how many half-days a booking has, and how many are left."""
    where = (
        gettext("at this space that month")
        if code == "quota_host"
        else gettext("in the network that month")
    )
    return gettext(
        "Half-days of this booking: %(asked)s. Left %(where)s, beside your bookings: %(left)s.",
        asked=params["asked"],
        where=where,
        left=params["left"],
    )
