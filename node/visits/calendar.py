"""A member's visits as a calendar file (RFC 5545)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from flask_babel import gettext
from icalendar import Calendar, Event


def visits_ics(
    visits: Sequence[Mapping[str, Any]], names: Mapping[str, str], node_url: str, now: datetime
) -> bytes:
    """Return the visits that count as events; one that goes on has no end yet."""
    calendar = Calendar()
    calendar.add("prodid", "-//Passerelle//node//FR")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", gettext("My visits"))
    for visit in visits:
        if visit["state"] == "void":
            continue
        space = names.get(visit["space"], visit["space"])
        event = Event()
        event.add("uid", f"{visit['id']}@{node_url.partition('://')[2]}")
        event.add("dtstamp", now.astimezone(UTC))
        event.add("dtstart", visit["started_at"].astimezone(UTC))
        if visit["ended_at"]:
            event.add("dtend", visit["ended_at"].astimezone(UTC))
        event.add("summary", gettext("Visit to %(space)s", space=space))
        event.add("location", space)
        calendar.add_component(event)
    return bytes(calendar.to_ical())
