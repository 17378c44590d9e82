"""A space as the public sees it: what ages carries its age, and unknown stays unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from charter.hours import WEEKDAYS, read_schedule
from federation.directory.index import CLOCKS_DIFFER, Entry
from federation.directory.models import Node, Space
from shared.availability import TTL_SECONDS
from shared.spaces import host_facts


def present(space: Space, now: datetime, hub_url: str, signed: Container[str]) -> dict[str, Any]:
    """Return a space's public JSON. ``open`` and ``guest_places_free`` are null when unknown.

    ``signed`` are the nodes that signed the charter in force; a space of another one is out of
    the reciprocity, on the map all the same.
    """
    document = space.document
    schedule = read_schedule(document)
    host = host_facts(document, schedule, now)
    opening, next_opening = host["opening"], host["next_opening"]
    public = {name: value for name, value in document.items() if name not in ("paused",)}
    node: Node | None = space.node
    return {
        **public,
        "node": _node(node) if node else None,
        "listed": node is None,
        "town": space.town,
        "url": f"{hub_url}/spaces/{space.id}",
        "spaceapi": spaceapi_url(space) if node else None,
        "calendar": f"{node.url}/spaces/{space.id}/events.ics" if node else None,
        "open": opening is not None if schedule.known else None,
        "closes_at": opening[1].isoformat() if opening else None,
        "opens_at": next_opening.isoformat() if next_opening else None,
        "availability": _availability(space, host, now, admitted=space.node_id in signed),
        "reciprocity": space.node_id in signed and not _suspended(node),
        "published_at": space.published_at.isoformat(),
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "name": node.name,
        "state": node.state,
        "leaving_on": node.leaving_on.isoformat() if node.leaving_on else None,
    }


def _suspended(node: Node | None) -> bool:
    return node is not None and node.state == "suspended"


def _availability(
    space: Space, host: Mapping[str, Any], now: datetime, *, admitted: bool
) -> dict[str, Any]:
    """Return what the node said of its free places, as long as it holds.

    The sheet may say before the node's word does, or without it, that there is a pause or that
    places are fewer.
    """
    told = space.availability
    known = (
        told is not None
        and told.as_of <= now + CLOCKS_DIFFER
        and now < told.expires_at
        and not _suspended(space.node)
    )
    paused = host["paused"] or host["closed_date"] is not None
    found = {
        "guest_places": host["guest_cap"],
        "guest_places_free": None,
        "paused": paused,
        "state": "unknown",
        "as_of": _heard(space).isoformat(),
        "ttl": TTL_SECONDS,
    }
    if told is None or not known:
        return found
    paused = paused or told.paused
    places = host["guest_cap"] if space.published_at > told.as_of else told.guest_places
    return {
        **found,
        "guest_places": places,
        "guest_places_free": 0 if paused or not admitted else min(told.guest_places_free, places),
        "paused": paused,
        "state": "known",
        "ttl": int((told.expires_at - told.as_of).total_seconds()),
    }


def _heard(space: Space) -> datetime:
    """Return what time the figures are of: of their node's word, or of when it was last heard."""
    if space.availability is not None:
        return space.availability.as_of
    node: Node | None = space.node
    return node.last_seen_at if node else space.published_at


def spaceapi_url(space: Space) -> str:
    return f"{space.node.url}/spaces/{space.id}/spaceapi.json"


def spaceapi_directory(spaces: Sequence[Space]) -> dict[str, str]:
    """Return each space's SpaceAPI address by its name, with the id too where a name is not alone.

    That is the directory's format: one object, whose names are the spaces'.
    """
    spaces = [space for space in spaces if space.node is not None]
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
    named = space.document.get("occasions") or {}
    return [
        {
            "date": day.isoformat(),
            "weekday": WEEKDAYS[day.weekday()],
            "hours": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in schedule.on(day)],
            "today": day == today,
            "why": named.get(day.isoformat(), ""),
        }
        for day in days
    ]


def standing(assessments: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what a space last said of each shared value, by value id."""
    return {each["value"]: each for each in sorted(assessments, key=lambda each: each["year"])}


def feature(
    entry: Entry, now: datetime, hub_url: str, heard: Mapping[str, datetime]
) -> dict[str, Any]:
    """Return the GeoJSON feature of a space as ``present`` shows it; no place, no geometry.

    ``heard`` is when the nodes were last heard that said nothing of their free places.
    """
    placed = entry.latitude is not None
    geometry = {"type": "Point", "coordinates": [entry.longitude, entry.latitude]}
    return {
        "type": "Feature",
        "id": entry.id,
        "geometry": geometry if placed else None,
        "properties": {
            "id": entry.id,
            "name": entry.name,
            "town": entry.town,
            "url": f"{hub_url}/spaces/{entry.id}",
            "open": entry.hours.is_open(now),
            "guest_places_free": entry.free(now),
            "as_of": as_of(entry, heard).isoformat(),
            "services": entry.services,
            "values": entry.values,
            "reciprocity": entry.host.reciprocity,
            "listed": entry.listed,
        },
    }


def as_of(entry: Entry, heard: Mapping[str, datetime]) -> datetime:
    """Return what time a space's figures are of."""
    if entry.told is not None:
        return entry.told.as_of
    return heard.get(entry.host.id or "", entry.published_at)


STATES = {True: "open", False: "closed", None: "unknown"}


def point(entry: Entry, now: datetime) -> list[Any]:
    """Return what the map shows of a space, as ``/spaces/points`` lists it."""
    return [
        entry.id,
        entry.name,
        entry.town,
        entry.latitude,
        entry.longitude,
        STATES[entry.hours.is_open(now)],
        entry.free(now),
        entry.host.reciprocity,
        entry.listed,
    ]
