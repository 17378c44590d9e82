"""Why a booking was not taken, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_gettext

from charter.messages import message

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
}


def words_of(reason: Mapping[str, Any], language: str) -> str:
    """Return the sentence for a reason that a host, the hub or we ourselves gave."""
    code = str(reason.get("code"))
    if code in _WORDS:
        return str(_WORDS[code])
    params = reason.get("params")
    return message(code, params if isinstance(params, dict) else {}, language)
