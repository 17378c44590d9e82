"""The open feeds (Realtime Paged Data Exchange): spaces, availability, events.

What changed goes to the end of its feed, what is gone says so there; whoever reads page after
page has everything, and misses no change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.directory import search
from federation.feeds.models import FeedCounter, FeedItem
from shared.db import begin_write

PAGE = 500
Shown = Mapping[str, Any]
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


def refresh(session: Session, now: datetime, hub_url: str) -> int:
    """Bring every feed up to date; returns how many items changed. Safe to call at any time."""
    every = list(search.find(session, search.Wanted(), now, hub_url))
    changed = 0
    for feed, (_, items_of) in FEEDS.items():
        items = dict(item for shown in every for item in items_of(shown))
        changed += _bring_up_to_date(session, feed, items)
    return changed


def _bring_up_to_date(session: Session, feed: str, items: dict[str, dict[str, Any]]) -> int:
    begin_write(session)
    counter = _counter(session, feed)
    held = {row.item_id: row for row in session.scalars(select(FeedItem).filter_by(feed=feed))}
    changed = 0
    for item_id in sorted(held.keys() | items.keys()):
        row, data = held.get(item_id), items.get(item_id)
        if row is not None and _lasting(row.data) == _lasting(data) and not _ages(row.data, data):
            continue
        changed += 1
        counter.last += 1
        if row is None:
            session.add(FeedItem(feed=feed, item_id=item_id, change=counter.last, data=data))
        else:
            row.data, row.change = data, counter.last
    session.commit() if changed else session.rollback()
    return changed


def _ages(held: Mapping[str, Any] | None, data: Mapping[str, Any] | None) -> bool:
    """Tell whether what is in the feed would soon be past its time, while it still holds."""
    if not held or not data or data.get("state") != "known":
        return False
    since = datetime.fromisoformat(data["as_of"]) - datetime.fromisoformat(held["as_of"])
    return since.total_seconds() >= data["ttl"] / 2


def _counter(session: Session, feed: str) -> FeedCounter:
    """Return the feed's counter, locked; the first to ask makes it."""
    if session.get(FeedCounter, feed) is None:
        try:
            with session.begin_nested():
                session.add(FeedCounter(feed=feed, last=0))
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
