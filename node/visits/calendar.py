"""A member's visits as a calendar file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_babel import gettext

from shared.wire.icalendar import Entry, calendar_bytes


def visits_ics(
    visits: Sequence[Mapping[str, Any]], names: Mapping[str, str], node_url: str, now: datetime
) -> bytes:
    """Return the visits that count as events; one that goes on has no end yet."""
    host = node_url.partition("://")[2]
    entries = (
        _entry(visit, names.get(visit["space"], visit["space"]), host, now)
        for visit in visits
        if visit["state"] != "void"
    )
    return calendar_bytes(gettext("My visits"), "node", entries, followed=False)


def _entry(visit: Mapping[str, Any], space: str, host: str, now: datetime) -> Entry:
    return Entry(
        uid=f"{visit['id']}@{host}",
        stamp=now,
        starts_at=visit["started_at"],
        ends_at=visit["ended_at"],
        summary=gettext("Visit to %(space)s", space=space),
        location=space,
    )
