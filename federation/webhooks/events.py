"""Making messages of what has changed: of the feeds' changes, and of states told before.

What is told is a difference between what the tables say and what was told last, and is noted in
the transaction in which it is owed. Nothing is lost when a process dies, nobody who changes
something waits for it; what changes back within seconds is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.charters.models import CharterVersion
from federation.nodes.models import Node
from federation.statements.models import Statement
from federation.webhooks.models import Told, Webhook
from federation.webhooks.service import AVAILABILITY, active, enqueue
from shared.store.db import release, write

Item = Mapping[str, Any] | None
_State = tuple[str, str, dict[str, Any]]  # of what, which, and what else is said of it
_PLACES = ("guest_places", "guest_places_free", "paused", "state")
_SHOWN = {
    "spaces": ("name", "town", "latitude", "longitude", "url"),
    "availability": ("space", *_PLACES, "as_of", "ttl"),
    "events": ("space", "title", "starts_at", "ends_at", "place", "open_to", "url", "cancelled"),
}
_VERBS = {"spaces": "space", "events": "event"}


def enqueue_changes(
    session: Session,
    now: datetime,
    real: datetime,
    changes: Iterable[tuple[str, str, Item, Item]],
) -> None:
    """Owe what changed in the feeds, in the transaction that changes them.

    A change is the feed, the item's id, what the feed said before and what it says now.
    """
    webhooks: Sequence[Webhook] = active(session)
    if not webhooks:
        return
    for feed, item_id, before, after in changes:
        kind = _kind(feed, before, after)
        if kind is not None:
            item = after or before or {}
            shown = {name: item[name] for name in _SHOWN[feed] if name in item}
            enqueue(session, webhooks, now, real, kind, item_id, {"id": item_id, **shown})


def _kind(feed: str, before: Item, after: Item) -> str | None:
    if feed == "availability":  # of a space that was and is on the map
        if before is None or after is None or _places(before) == _places(after):
            return None
        return AVAILABILITY
    if before is None:
        return f"{_VERBS[feed]}.published"
    return f"{_VERBS[feed]}.{'changed' if after else 'withdrawn'}"


def _places(said: Mapping[str, Any]) -> list[Any]:
    return [said.get(name) for name in _PLACES]


@dataclass(frozen=True, slots=True)
class _Thing:
    """Rows of a table that have a state worth telling of, by name."""

    subject: Any
    state: Any
    kind: str
    shown: tuple[Any, ...]
    only: ColumnElement[bool] | None = None


_THINGS = {
    "node": _Thing(Node.id, Node.state, "node.state", (Node.name, Node.url)),
    "charter": _Thing(
        CharterVersion.version,
        CharterVersion.state,
        "charter.{state}",
        (CharterVersion.sha256, CharterVersion.effective_at),
        CharterVersion.state.in_(("adopted", "in_force")),
    ),
    "statement": _Thing(
        Statement.month, Statement.state, "statement.{state}", (), Statement.state != "closing"
    ),
}


def enqueue_states(session: Session, now: datetime, real: datetime, hub_url: str) -> None:
    """Owe what nodes, the charter and the months have become since this was last called.

    What is there at the first call was never told, and is no news.
    """
    for thing, found in _differing(session):
        with suppress(IntegrityError), write(session):  # another process may tell the very same
            _owe_states_of(session, now, real, hub_url, thing, found)


def _owe_states_of(
    session: Session, now: datetime, real: datetime, hub_url: str, thing: str, found: list[_State]
) -> None:
    first = session.scalar(select(Told.thing).where(Told.thing == thing).limit(1)) is None
    webhooks = [] if first else active(session)
    for subject, state, shown in found:
        told = session.get(Told, (thing, subject), with_for_update=True, populate_existing=True)
        if told is not None and told.state == state:  # by another process, just now
            continue
        session.merge(Told(thing=thing, subject=subject, state=state))
        kind = _THINGS[thing].kind.format(state=state)
        data = {"id": subject, "state": state, **shown, "hub": hub_url}
        enqueue(session, webhooks, now, real, kind, subject, data)


def _differing(session: Session) -> Iterator[tuple[str, list[_State]]]:
    for name, thing in _THINGS.items():
        query = (
            select(thing.subject, thing.state, *thing.shown)
            .outerjoin(Told, (Told.thing == name) & (Told.subject == thing.subject))
            .where(or_(Told.state.is_(None), Told.state != thing.state))
        )
        if thing.only is not None:
            query = query.where(thing.only)
        rows = session.execute(query).all()
        release(session)
        if rows:
            yield name, [(row[0], row[1], _plain(thing.shown, row[2:])) for row in rows]


def _plain(columns: Iterable[Any], values: Iterable[Any]) -> dict[str, Any]:
    return {
        column.key: value.isoformat() if isinstance(value, datetime) else value
        for column, value in zip(columns, values, strict=True)
    }
