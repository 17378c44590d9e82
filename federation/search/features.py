"""An entry of the index as the public sees it: a feature of GeoJSON, a point of the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from federation.search.index import Entry
from federation.spaces.models import ListingSource, Space


class Heard(NamedTuple):
    """When what is said of a space was last heard, and whom a licence asks to be named for it."""

    at: datetime
    source: Mapping[str, Any] | None


def heard_of(session: Session, entries: Sequence[Entry]) -> dict[str, Heard]:
    """Return when those were last heard of whose free places nothing was said, by space id."""
    silent = [entry.id for entry in entries if entry.told is None]
    source = ListingSource
    query = (
        select(Space.id, Space.published_at, Node.last_seen_at, source.imported_at)
        .add_columns(source.name, source.licence, source.attribution, Space.source_id)
        .outerjoin(Node, Node.id == Space.node_id)
        .outerjoin(source, source.id == Space.source_id)
        .where(Space.id.in_(silent))
    )
    return {
        row.id: Heard(
            row.last_seen_at or row.imported_at or row.published_at,
            None
            if row.source_id is None
            else {"name": row.name, "licence": row.licence, "attribution": row.attribution},
        )
        for row in (session.execute(query) if silent else ())
    }


def feature(
    entry: Entry, now: datetime, hub_url: str, heard: Mapping[str, Heard]
) -> dict[str, Any]:
    """Return the GeoJSON feature of a space as ``present`` shows it; no place, no geometry.

    ``heard`` is of the spaces of whose free places nothing was said.
    """
    placed = entry.latitude is not None
    geometry = {"type": "Point", "coordinates": [entry.longitude, entry.latitude]}
    source = heard[entry.id].source if entry.listed and entry.id in heard else None
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
            "source": source,
        },
    }


def as_of(entry: Entry, heard: Mapping[str, Heard]) -> datetime:
    """Return what time a space's figures are of."""
    if entry.told is not None:
        return entry.told.as_of
    return heard[entry.id].at if entry.id in heard else entry.published_at


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
