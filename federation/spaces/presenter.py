"""A space as the public sees it: what ages carries its age, and unknown stays unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from charter.hours import WEEKDAYS, read_schedule
from federation.nodes.models import Node
from federation.spaces.models import Space
from shared.wire.availability import TTL_SECONDS
from shared.wire.spaces import host_facts

CLOCKS_DIFFER = timedelta(seconds=5)  # of the hub's own processes


def present(space: Space, now: datetime, hub_url: str, signed: Container[str]) -> dict[str, Any]:
    """Return a space's public JSON. ``open`` and ``guest_places_free`` are null when unknown.

    ``signed`` are the nodes that signed the charter in force; a space of another one is out of
    the reciprocity, on the map all the same. One that runs no node is ``listed``: its ``node`` is
    null, and its ``source`` says who tells of it, under which licence.
    """
    document = space.document
    schedule = read_schedule(document)
    host = host_facts(document, schedule, now)
    opening, next_opening = host["opening"], host["next_opening"]
    public = {name: value for name, value in document.items() if name not in ("paused",)}
    node = space.node
    return {
        **public,
        "node": _node(node),
        "listed": node is None,
        "source": _source(space),
        "town": space.town,
        "url": f"{hub_url}/spaces/{space.id}",
        "spaceapi": spaceapi_url(space),
        "calendar": f"{node.url}/spaces/{space.id}/events.ics" if node else None,
        "open": opening is not None if schedule.known else None,
        "closes_at": opening[1].isoformat() if opening else None,
        "opens_at": next_opening.isoformat() if next_opening else None,
        "availability": _availability(space, host, now, admitted=space.node_id in signed),
        "reciprocity": space.node_id in signed and not _suspended(node),
        "published_at": space.published_at.isoformat(),
    }


def _suspended(node: Node | None) -> bool:
    return node is not None and node.state == "suspended"


def _node(node: Node | None) -> dict[str, Any] | None:
    if node is None:
        return None
    return {
        "id": node.id,
        "name": node.name,
        "state": node.state,
        "leaving_on": node.leaving_on.isoformat() if node.leaving_on else None,
    }


def _source(space: Space) -> dict[str, Any] | None:
    """Return who tells of a listed space; ``as_of`` is when it was last read there."""
    source = space.source
    if source is None:
        return None
    return {
        "name": source.name,
        "licence": source.licence,
        "attribution": source.attribution,
        "url": source.url,
        "as_of": _heard(space).isoformat(),
    }


def _heard(space: Space) -> datetime:
    """Return when what is said of a space was last heard."""
    if space.node is not None:
        return space.node.last_seen_at
    read = space.source.imported_at if space.source is not None else None
    return read or space.published_at


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
        and not space.document.get("project")  # nobody is received there yet
    )
    paused = host["paused"] or host["closed_date"] is not None
    found = {
        "guest_places": host["guest_cap"],
        "guest_places_free": None,
        "paused": paused,
        "state": "unknown",
        "as_of": (told.as_of if told else _heard(space)).isoformat(),
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


def spaceapi_url(space: Space) -> str | None:
    """Return where a space's SpaceAPI document is, if it has one; a listed one may have its own."""
    if space.node is not None:
        return f"{space.node.url}/spaces/{space.id}/spaceapi.json"
    source = space.source
    return source.url if source is not None and source.kind == "spaceapi" else None


def spaceapi_directory(spaces: Sequence[Space]) -> dict[str, str]:
    """Return each space's SpaceAPI address by its name, with the id too where a name is not alone.

    That is the directory's format: one object, whose names are the spaces'.
    """
    times = Counter(space.name for space in spaces)
    return {
        space.name if times[space.name] == 1 else f"{space.name} ({space.id})": address
        for space in spaces
        if (address := spaceapi_url(space)) is not None
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
            "hours": [[f"{a:%H:%M}", f"{b:%H:%M}"] for a, b in schedule.openings(day)],
            "today": day == today,
            "why": named.get(day.isoformat(), ""),
        }
        for day in days
    ]


def standing(assessments: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what a space last said of each shared value, by value id."""
    return {each["value"]: each for each in sorted(assessments, key=lambda each: each["year"])}
