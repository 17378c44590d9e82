"""A space as the public sees it: what ages carries its age, and unknown stays unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from charter.hours import WEEKDAYS, read_schedule
from federation.directory.models import Space
from shared.spaces import host_facts

# Presence older than this is not shown as known.
AVAILABILITY_TTL = timedelta(minutes=15)


def present(
    space: Space, now: datetime, guests: int, hub_url: str, signed: Container[str]
) -> dict[str, Any]:
    """Return a space's public JSON. ``open`` and ``guest_places_free`` are null when unknown.

    ``signed`` are the nodes that signed the charter in force; a space of another one is out of
    the reciprocity, on the map all the same.
    """
    document = space.document
    schedule = read_schedule(document)
    host = host_facts(document, schedule, now)
    opening, next_opening = host["opening"], host["next_opening"]
    last_seen = space.node.last_seen_at
    known = now - last_seen <= AVAILABILITY_TTL and space.node.state == "connected"
    closed = host["paused"] or host["closed_date"] is not None
    free = None
    if known:
        free = 0 if closed or space.node_id not in signed else max(0, host["guest_cap"] - guests)
    public = {name: value for name, value in document.items() if name not in ("paused",)}
    return {
        **public,
        "node": {
            "id": space.node.id,
            "name": space.node.name,
            "state": space.node.state,
            "leaving_on": space.node.leaving_on.isoformat() if space.node.leaving_on else None,
        },
        "town": space.town,
        "url": f"{hub_url}/spaces/{space.id}",
        "spaceapi": spaceapi_url(space),
        "calendar": f"{space.node.url}/spaces/{space.id}/events.ics",
        "open": opening is not None if schedule.known else None,
        "closes_at": opening[1].isoformat() if opening else None,
        "opens_at": next_opening.isoformat() if next_opening else None,
        "availability": {
            "guest_places": host["guest_cap"],
            "guest_places_free": free,
            "paused": closed,
            "state": "known" if known else "unknown",
            "as_of": last_seen.isoformat(),
            "ttl": int(AVAILABILITY_TTL.total_seconds()),
        },
        "reciprocity": space.node_id in signed and space.node.state != "suspended",
        "published_at": space.published_at.isoformat(),
    }


def spaceapi_url(space: Space) -> str:
    return f"{space.node.url}/spaces/{space.id}/spaceapi.json"


def spaceapi_directory(spaces: Sequence[Space]) -> dict[str, str]:
    """Return each space's SpaceAPI address by its name, with the id too where a name is not alone.

    That is the directory's format: one object, whose names are the spaces'.
    """
    times = Counter(space.name for space in spaces)
    return {
        space.name if times[space.name] == 1 else f"{space.name} ({space.id})": spaceapi_url(space)
        for space in spaces
    }


def week(space: Space, now: datetime) -> list[dict[str, Any]]:
    """Return the next seven days' hours: date, weekday code, pairs of HH:MM, and whether today."""
    schedule = read_schedule(space.document)
    today = now.astimezone(schedule.zone).date()
    days = [today + timedelta(n) for n in range(7)]
    return [
        {
            "date": day.isoformat(),
            "weekday": WEEKDAYS[day.weekday()],
            "hours": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in schedule.on(day)],
            "today": day == today,
        }
        for day in days
    ]


def standing(assessments: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what a space last said of each shared value, by value id."""
    return {each["value"]: each for each in sorted(assessments, key=lambda each: each["year"])}


def feature(shown: dict[str, Any]) -> dict[str, Any]:
    """Return the GeoJSON feature of a presented space; no place, no geometry."""
    placed = shown.get("latitude") is not None and shown.get("longitude") is not None
    geometry = {"type": "Point", "coordinates": [shown["longitude"], shown["latitude"]]}
    return {
        "type": "Feature",
        "id": shown["id"],
        "geometry": geometry if placed else None,
        "properties": {
            "id": shown["id"],
            "name": shown["name"],
            "town": shown["town"],
            "url": shown["url"],
            "open": shown["open"],
            "guest_places_free": shown["availability"]["guest_places_free"],
            "as_of": shown["availability"]["as_of"],
            "services": shown.get("services", []),
            "values": shown.get("values", []),
        },
    }
