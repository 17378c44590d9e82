"""The network's agenda: the events of all spaces, in the order in which they begin."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session, contains_eager

from federation.nodes.models import Node
from federation.search.area import EARTH_KM, distance_km
from federation.spaces.events import as_words
from federation.spaces.models import Space, SpaceEvent
from shared.base.schemas import DEFAULT_ZONE
from shared.web.paging import Paging

AT_ONCE = 500
_MARK = "%Y%m%dT%H%M%S%fZ"
Place = tuple[datetime, str, str]


@dataclass(frozen=True, slots=True)
class Filters:
    """What is looked for; None and "" ask for nothing.

    ``first`` and ``last`` are days in each space's own time; without ``first``, what is not over.
    ``near`` is latitude and longitude: spaces that are not on the map are not found then.
    """

    words: str = ""
    town: str = ""
    first: date | None = None
    last: date | None = None
    open_to: str = ""
    space: str = ""
    near: tuple[float, float] | None = None
    radius_km: float = 20.0


def _key(row: SpaceEvent) -> str:
    return f"{row.starts_at:{_MARK}}~{row.space_id}~{row.event_id}"


def _place(key: str) -> Place:
    starts_at, space_id, event_id = key.split("~")
    at = datetime.strptime(starts_at, _MARK).replace(tzinfo=UTC)
    return at, space_id, event_id


PAGING = Paging("events", _key, _place, None)


def page(
    session: Session, wanted: Filters, now: datetime, *, after: Place | None = None, limit: int
) -> tuple[list[SpaceEvent], str | None]:
    """Return events by their beginning, and the cursor of the next page, None at the end."""
    rows = list(islice(_find(session, wanted, now, after), limit + 1))
    page = PAGING.page(rows, limit)
    return page["items"], page["next_cursor"]


def _find(
    session: Session, wanted: Filters, now: datetime, after: Place | None
) -> Iterator[SpaceEvent]:
    while True:
        query = _query(wanted, now)
        if after is not None:
            query = query.where(_behind(after))
        rows = list(session.scalars(query.limit(AT_ONCE)))
        yield from (row for row in rows if _is_near(wanted, row.space))
        if len(rows) < AT_ONCE:
            return
        after = rows[-1].starts_at, rows[-1].space_id, rows[-1].event_id


def _behind(place: Place) -> Any:
    starts_at, space_id, event_id = place
    of = SpaceEvent
    return or_(
        of.starts_at > starts_at,
        and_(of.starts_at == starts_at, of.space_id > space_id),
        and_(of.starts_at == starts_at, of.space_id == space_id, of.event_id > event_id),
    )


def _query(wanted: Filters, now: datetime) -> Select[SpaceEvent]:
    """Return the events that are looked for; a suspended operator's are nobody's to go to."""
    query = (
        select(SpaceEvent)
        .join(SpaceEvent.space)
        .outerjoin(Space.node)
        .options(contains_eager(SpaceEvent.space).contains_eager(Space.node))
        .where(
            Space.withdrawn_at.is_(None),
            Space.hidden_at.is_(None),
            or_(Node.id.is_(None), Node.state.notin_(("suspended", "left"))),
        )
        .order_by(SpaceEvent.starts_at, SpaceEvent.space_id, SpaceEvent.event_id)
    )
    query = query.where(
        SpaceEvent.ends_at > now if wanted.first is None else SpaceEvent.last_day >= wanted.first
    )
    if wanted.last is not None:
        query = query.where(SpaceEvent.first_day <= wanted.last)
    if wanted.space:
        query = query.where(SpaceEvent.space_id == wanted.space)
    if wanted.open_to:
        query = query.where(SpaceEvent.document["open_to"].as_string() == wanted.open_to)
    for column, words in ((SpaceEvent.words, wanted.words), (SpaceEvent.town, wanted.town)):
        for word in as_words(words).split():  # letters and digits: nothing that LIKE would read
            query = query.where(column.like(f"% {word}%"))
    if wanted.near is not None:
        west, south, east, north = _box(wanted.near, wanted.radius_km)
        query = query.where(
            Space.latitude.between(south, north), Space.longitude.between(west, east)
        )
    return query


def _box(near: tuple[float, float], radius_km: float) -> tuple[float, float, float, float]:
    """Return west, south, east, north of a box, in degrees, that holds the circle."""
    latitude, longitude = near
    up = math.degrees(radius_km / EARTH_KM)
    beside = up / max(math.cos(math.radians(latitude)), 0.01)
    return longitude - beside, latitude - up, longitude + beside, latitude + up


def _is_near(wanted: Filters, space: Space) -> bool:
    if wanted.near is None:
        return True
    if space.latitude is None or space.longitude is None:
        return False
    return distance_km(wanted.near, (space.latitude, space.longitude)) <= wanted.radius_km


def to_dict(row: SpaceEvent, hub_url: str) -> dict[str, Any]:
    """Return an event as the public JSON has it; times keep the offset they were published with."""
    space = row.space
    return {
        **row.document,
        "id": f"{row.space_id}:{row.event_id}",
        "space": {
            "id": space.id,
            "name": space.name,
            "town": space.town,
            "url": f"{hub_url}/spaces/{space.id}",
            "timezone": space.document.get("timezone") or DEFAULT_ZONE,
            "latitude": space.latitude,
            "longitude": space.longitude,
        },
        "as_of": space.published_at.isoformat(),
    }


def by_day(rows: list[SpaceEvent], first: date) -> list[tuple[date, list[SpaceEvent]]]:
    """Return events under the days on which they begin; what began earlier is under ``first``."""
    days: dict[date, list[SpaceEvent]] = {}
    for row in rows:
        days.setdefault(max(row.first_day, first), []).append(row)
    return sorted(days.items())
