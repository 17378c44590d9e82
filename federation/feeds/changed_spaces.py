"""Which spaces the feeds are behind with: asked of the database, which compares without reading.

Nobody who changes a space needs to know of the feeds, and nothing is missed: what the rows say
now is compared with what they said when the feeds were last brought up to date.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, String, case, cast, func, or_, select
from sqlalchemy.orm import Session

from charter.conditions import NOON, read_conditions
from charter.hours import read_schedule
from federation.charters.models import CharterVersion, Signature
from federation.feeds.models import FeedMark
from federation.nodes.models import Node
from federation.spaces.models import Availability, Space

# Each is looked at again after so long, whatever the comparison says.
AT_LEAST_EVERY = timedelta(hours=1)


def _likeness() -> ColumnElement[str]:
    """Return everything about a space's rows that shows in a feed, as one text."""
    signed = (
        select(Signature.version)
        .join(CharterVersion, CharterVersion.version == Signature.version)
        .where(Signature.node_id == Space.node_id, CharterVersion.state == "in_force")
        .scalar_subquery()
    )
    told_since = case((Availability.as_of >= Space.published_at, "1"), else_="0")
    parts: list[Any] = [
        *(Space.published_at, Space.withdrawn_at, Space.hidden_at, Space.node_id),
        *(Node.state, Node.leaving_on, signed),
        *(Availability.guest_places, Availability.guest_places_free, Availability.paused),
        *(Node.name, Node.url),
    ]
    found: ColumnElement[str] = told_since
    for part in parts:
        found = found.concat("|").concat(func.coalesce(cast(part, String), ""))
    return func.substr(found, 1, 800)


def find(session: Session, now: datetime, limit: int) -> set[str]:
    """Return the ids of some spaces that the feeds are behind with."""
    now_like = _likeness()
    query = (
        select(Space.id)
        .outerjoin(Node, Node.id == Space.node_id)
        .outerjoin(Availability, Availability.space_id == Space.id)
        .outerjoin(FeedMark, FeedMark.space_id == Space.id)
        .where(
            or_(
                FeedMark.space_id.is_(None),
                FeedMark.likeness != now_like,
                FeedMark.due_at <= now,
                FeedMark.again_at <= Availability.as_of,
            )
        )
        .limit(limit)
    )
    gone = select(FeedMark.space_id).outerjoin(Space, Space.id == FeedMark.space_id)
    gone = gone.where(Space.id.is_(None)).limit(limit)
    return {*session.scalars(query), *session.scalars(gone)}


def likeness(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Return what spaces are like now, by id."""
    query = (
        select(Space.id, _likeness())
        .outerjoin(Node, Node.id == Space.node_id)
        .outerjoin(Availability, Availability.space_id == Space.id)
        .where(Space.id.in_(ids))
    )
    rows: Sequence[Any] = session.execute(query).all()
    return dict(rows)


def mark(
    now: datetime,
    space: Space,
    likeness: str,
    told: Mapping[str, Any] | None,
    shown: Mapping[str, Any] | None,
) -> FeedMark:
    """Return the note that the feeds are up to date; ``told`` is what they say of its places.

    ``shown`` is the space as the public sees it now, None if it does not.
    """
    again_at = None
    if told and told["state"] == "known":
        again_at = datetime.fromisoformat(told["as_of"]) + timedelta(seconds=told["ttl"] / 2)
    found = FeedMark(space_id=space.id, likeness=likeness, again_at=again_at)
    found.due_at = _due(space, shown, now)
    return found


def _due(space: Space, shown: Mapping[str, Any] | None, now: datetime) -> datetime:
    """Return when a space's hours, places or pause will change by themselves, at the latest."""
    spread = random.uniform(0.8, 1)  # noqa: S311 - not all at once
    due = [now + AT_LEAST_EVERY * spread]
    if shown is None:
        return due[0]
    if space.availability is not None:
        due.append(space.availability.expires_at)
    due += [datetime.fromisoformat(at) for at in (shown["closes_at"], shown["opens_at"]) if at]
    local = now.astimezone(read_schedule(space.document).zone)
    for clock in (time(), NOON, *read_conditions(space.document).release):
        if clock is not None:
            today = datetime.combine(local.date(), clock, local.tzinfo)
            due += [today, today + timedelta(days=1)]
    return min(each for each in due if each > now)
