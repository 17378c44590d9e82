"""The open feeds (Realtime Paged Data Exchange): spaces, availability, events.

What changed goes to the end of its feed, what is gone says so there; whoever reads page after
page has everything, and misses no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.charters import service as charters
from federation.feeds import changed_spaces
from federation.feeds.models import FeedCounter, FeedItem, FeedMark
from federation.spaces import presenter
from federation.spaces import queries as published
from federation.spaces.models import Space
from shared.base.clock import Clock
from shared.store.db import release, write

PAGE = 500
AT_ONCE, IN_A_ROUND = 200, 5000  # spaces in one transaction, and found by one query
DELETED_FOR = timedelta(days=30)
BEGINNING = "beginning"
Shown = Mapping[str, Any]


class Change(NamedTuple):
    """What a feed said of an item, and what it says now; None: nothing."""

    feed: str
    item_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


# Called in the transaction in which feeds change, with the hub's time and the real one; rooms above
# add what follows.
ON_CHANGES: list[Callable[[Session, datetime, datetime, Sequence[Change]], None]] = []
# What ages by itself is no change of its own.
_AGES = ("as_of", "closes_at", "opens_at")


def _spaces(shown: Shown) -> Iterator[tuple[str, dict[str, Any]]]:
    moving = ("availability", "open", "closes_at", "opens_at", "events", "node")
    document = {name: value for name, value in shown.items() if name not in moving}
    node = shown["node"] and {"id": shown["node"]["id"], "name": shown["node"]["name"]}
    if shown["source"]:  # when it was read again is no change of the space
        told = {name: value for name, value in shown["source"].items() if name != "as_of"}
        document["source"] = told
    yield shown["id"], {"@type": "LocalBusiness", "@id": shown["url"], **document, "node": node}


def _availability(shown: Shown) -> Iterator[tuple[str, dict[str, Any]]]:
    if shown["listed"]:  # nobody tells
        return
    yield (
        shown["id"],
        {
            "@type": "Availability",
            "space": shown["url"],
            "open": shown["open"],
            "closes_at": shown["closes_at"],
            "opens_at": shown["opens_at"],
            **shown["availability"],
        },
    )


def _events(shown: Shown) -> Iterator[tuple[str, dict[str, Any]]]:
    for event in shown.get("events", ()):
        yield f"{shown['id']}:{event['id']}", {"@type": "Event", "space": shown["url"], **event}


FEEDS: dict[str, tuple[str, Callable[[Shown], Iterator[tuple[str, dict[str, Any]]]]]] = {
    "spaces": ("Space", _spaces),
    "availability": ("Availability", _availability),
    "events": ("Event", _events),
}


def refresh(session: Session, clock: Clock, hub_url: str) -> list[Change]:
    """Bring every feed up to date; returns what changed. Safe to call at any time.

    Only the spaces that the feeds are behind with are read, some at a time, so that nobody waits
    long for the write lock.
    """
    changes: list[Change] = []
    while True:
        behind = sorted(changed_spaces.find(session, clock.now(), IN_A_ROUND))
        release(session)
        for begin in range(0, len(behind), AT_ONCE):
            ids = behind[begin : begin + AT_ONCE]
            changes += _catch_up(session, clock, hub_url, ids)
        if len(behind) < IN_A_ROUND:
            return changes


def _catch_up(session: Session, clock: Clock, hub_url: str, ids: Sequence[str]) -> list[Change]:
    """Bring the feeds up to date with some spaces: read, compared and written under the lock."""
    with write(session):
        now = clock.now()
        counters = {feed: _counter(session, feed, now) for feed in sorted(FEEDS)}
        likeness = changed_spaces.likeness(session, ids)
        query = select(Space).where(Space.id.in_(ids)).execution_options(populate_existing=True)
        spaces = {space.id: space for space in session.scalars(query)}
        signed = charters.signatories(session)
        shown = {
            space.id: presenter.present(space, now, hub_url, signed)
            for space in spaces.values()
            if published.is_public(space)
        }
        held = {
            (row.feed, row.item_id): row
            for row in session.scalars(select(FeedItem).where(FeedItem.space_id.in_(["", *ids])))
        }
        changes = []
        for feed, counter in counters.items():
            for item_id, (space_id, data) in _items(feed, shown, held).items():
                change = _put(session, counter, held, now, item_id, space_id, data)
                changes += [change] if change else []
        session.execute(delete(FeedMark).where(FeedMark.space_id.in_(ids)))
        for space in spaces.values():
            told = held.get(("availability", space.id))
            told_data = told.data if told else None
            session.add(
                changed_spaces.mark(now, space, likeness[space.id], told_data, shown.get(space.id))
            )
        for follow in ON_CHANGES:
            follow(session, now, clock.real(), changes)
    return changes


def _items(
    feed: str, shown: Mapping[str, Shown], held: Mapping[tuple[str, str], FeedItem]
) -> dict[str, tuple[str, dict[str, Any] | None]]:
    """Return what a feed is to say of some spaces: by the item's id its space and its data."""
    _, items_of = FEEDS[feed]
    return {
        **{
            row.item_id: (row.space_id, None)
            for (of, _), row in held.items()
            if of == feed and row.space_id
        },
        **{
            item_id: (space_id, data)
            for space_id, public in sorted(shown.items())
            for item_id, data in items_of(public)
        },
    }


def _put(
    session: Session,
    counter: FeedCounter,
    held: dict[tuple[str, str], FeedItem],
    now: datetime,
    item_id: str,
    space_id: str,
    data: dict[str, Any] | None,
) -> Change | None:
    """Write an item at the end of its feed, if it is not what the feed says already."""
    row = held.get((counter.feed, item_id))
    before = row.data if row else None
    if _lasting(before) == _lasting(data) and not _ages(before, data):
        return None
    counter.last += 1
    if row is None:
        row = FeedItem(feed=counter.feed, item_id=item_id)
        session.add(row)
        held[counter.feed, item_id] = row
    row.space_id, row.data, row.change, row.changed_at = space_id, data, counter.last, now
    return Change(counter.feed, item_id, before, data)


def forget_deleted(session: Session, now: datetime) -> None:
    """Forget what has been gone for long: RPDE asks that it be told for a week at least."""
    with write(session):
        session.execute(
            delete(FeedItem).where(
                FeedItem.data.is_(None),
                FeedItem.changed_at < now - DELETED_FOR,
                FeedItem.item_id != BEGINNING,
            )
        )


def _ages(held: Mapping[str, Any] | None, data: Mapping[str, Any] | None) -> bool:
    """Tell whether what is in the feed would soon be past its time, while it still holds."""
    if not held or not data or data.get("state") != "known":
        return False
    since = datetime.fromisoformat(data["as_of"]) - datetime.fromisoformat(held["as_of"])
    return since >= timedelta(seconds=data["ttl"]) / 2


def _counter(session: Session, feed: str, now: datetime) -> FeedCounter:
    """Return the feed's counter, locked; the first to ask makes it.

    A feed begins with the end of something that never was: the public validator cannot go on from
    a feed in which nothing was ever said.
    """
    if session.get(FeedCounter, feed) is None:
        try:
            with session.begin_nested():
                session.add(FeedCounter(feed=feed, last=1))
                session.add(FeedItem(feed=feed, item_id=BEGINNING, change=1, changed_at=now))
        except IntegrityError:  # made by somebody else at the same moment
            session.expire_all()
    return session.get_one(FeedCounter, feed, with_for_update=True, populate_existing=True)


def _lasting(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {name: value for name, value in data.items() if name not in _AGES}


def page(session: Session, feed: str, after: int) -> list[FeedItem]:
    """Return the items that changed after a change number, the earliest change first."""
    query = select(FeedItem).where(FeedItem.feed == feed, FeedItem.change > after)
    return list(session.scalars(query.order_by(FeedItem.change).limit(PAGE)))


def to_dict(row: FeedItem) -> dict[str, Any]:
    """Return an item as RPDE has it."""
    item = {"kind": FEEDS[row.feed][0], "id": row.item_id, "modified": row.change}
    if row.data is None:
        return {"state": "deleted", **item}
    return {"state": "updated", **item, "data": row.data}
