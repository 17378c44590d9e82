"""Describing the spaces, and announcing in the same transaction that they are to be published."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import outbox
from node.hub import service as sync
from node.hub.models import Enrolment
from node.spaces.models import Assessment, Price, Room, Space
from shared.base.names import slug
from shared.base.schemas import DEFAULT_ZONE
from shared.store.db import release, write
from shared.wire.problems import Problem

TOPIC = "publication"


def spaces(session: Session) -> list[Space]:
    return list(session.scalars(select(Space).order_by(Space.name)))


def space(session: Session, space_id: str) -> Space:
    """Return one space. Raises Problem("not-found")."""
    row = session.get(Space, space_id)
    if row is None:
        raise Problem("not-found")
    return row


@contextmanager
def _locked(session: Session, space_id: str) -> Iterator[Space]:
    """Write to a space, locked and as it is now. Raises Problem("not-found")."""
    with write(session):
        row = session.get(Space, space_id, with_for_update=True, populate_existing=True)
        if row is None:
            raise Problem("not-found")
        yield row


def save(
    session: Session,
    node: Node,
    space_id: str,
    values: Mapping[str, Any],
    *,
    about: Mapping[str, Any] | None = None,
    rooms: Sequence[Mapping[str, Any]] | None = None,
    prices: Sequence[Mapping[str, Any]] | None = None,
    still: Callable[[Space], bool] = lambda _row: True,
) -> bool:
    """Save what an admin wrote of a space and queue the publication, in one transaction.

    ``values`` are columns, ``about`` some of the further facts; rooms and prices are replaced as a
    whole where they are given. Where the space is not ``still`` as whoever wrote this saw it,
    nothing is saved; returns whether it was. Raises Problem.
    """
    with _locked(session, space_id) as row:
        if not still(row):
            return False
        for name, value in values.items():
            setattr(row, name, value)
        if about:
            row.about = {**row.about, **about}
        if rooms is not None:
            row.rooms = [Room(place=n, **room) for n, room in enumerate(rooms)]
        if prices is not None:
            row.prices = [Price(place=n, **price) for n, price in enumerate(prices)]
        row.revision += 1
        row.updated_at = node.clock.now()
        queue_publication(session, node)
    return True


def save_values(
    session: Session,
    node: Node,
    space_id: str,
    stories: Mapping[str, str],
    year: int,
    answers: Mapping[str, tuple[int, str]],
) -> None:
    """Save a space's own values, and where it stands on the shared ones this year.

    ``stories`` has each value's anecdote or an empty text; ``answers`` is ``{value id: (level,
    evidence)}``: what is missing is not said. Queues the publication. Raises Problem.
    """
    with _locked(session, space_id) as row:
        row.values, row.stories = list(stories), {n: text for n, text in stories.items() if text}
        row.revision += 1
        held = {each.value: each for each in row.assessments if each.year == year}
        for value in held.keys() - answers.keys():
            row.assessments.remove(held[value])
        for value, (level, evidence) in answers.items():
            if value in held:
                held[value].level, held[value].evidence = level, evidence
            else:
                row.assessments.append(
                    Assessment(year=year, value=value, level=level, evidence=evidence)
                )
        row.updated_at = node.clock.now()
        queue_publication(session, node)


def add(session: Session, now: datetime, name: str, town: str, **values: Any) -> Space:
    """Add a space to the caller's transaction; its id is made of its name, once."""
    space_id = values.pop("id", None) or slug(name)
    row = Space(
        id=space_id,
        name=name,
        town=town,
        updated_at=now,
        **{"week": {}, "services": [], "values": [], **values},
    )
    session.add(row)
    session.flush()
    return row


def open_space(session: Session, node: Node, name: str, town: str) -> str:
    """Add a further space of this operator and queue the publication; returns its id.

    The id is made of the name, and of the town or a number where that is taken in the network.
    """
    known = sync.network(session, node)
    listed = known.trust.nodes.values() if known else ()
    with write(session):
        taken = {each["id"] for entry in listed for each in entry["spaces"]}
        taken |= set(session.scalars(select(Space.id)))
        wanted = [
            slug(name),
            slug(f"{name} {town}"),
            *(f"{slug(name)}-{n}" for n in range(2, 1000)),
        ]
        space_id = next(each for each in wanted if each not in taken)
        add(session, node.clock.now(), name, town, id=space_id)
        queue_publication(session, node)
    return space_id


def publish_again(session: Session, node: Node) -> None:
    """Queue the publication, whatever the hub has said of it."""
    with write(session):
        queue_publication(session, node)


def publish_now(session: Session, node: Node) -> None:
    """Queue the publication and deliver it, in a command: nobody waits at a page."""
    publish_again(session, node)
    outbox.flush(session, node)


def set_paused(session: Session, node: Node, space_id: str, paused: bool) -> None:
    """Stop or resume welcoming roaming members, for good. Raises Problem."""
    now = node.clock.now()
    with _locked(session, space_id) as row:
        row.paused, row.paused_on, row.updated_at = paused, None, now
        queue_publication(session, node)


def pause_today(session: Session, node: Node, space_id: str, paused: bool) -> bool:
    """Do so for this day; tells whether it is done: a pause by the admin is the admin's to end.

    Raises Problem.
    """
    now = node.clock.now()
    with _locked(session, space_id) as row:
        if row.paused and row.paused_on is None:
            return False
        row.paused, row.updated_at = paused, now
        row.paused_on = today(row, now) if paused else None
        queue_publication(session, node)
    return True


def own_zone(session: Session) -> ZoneInfo:
    """Return the clock that this operator lives by: that of most of its spaces."""
    most = func.count().desc()
    query = select(Space.timezone).group_by(Space.timezone).order_by(most, Space.timezone)
    return ZoneInfo(session.scalars(query.limit(1)).first() or DEFAULT_ZONE)


def zone(row: Space) -> ZoneInfo:
    return ZoneInfo(row.timezone)


def today(row: Space, now: datetime) -> date:
    """Return what day it is at a space."""
    return now.astimezone(zone(row)).date()


def published(session: Session, now: datetime) -> list[Space]:
    """Return the spaces that are published: a temporary site's last day is not behind it."""
    return [row for row in spaces(session) if row.until is None or today(row, now) <= row.until]


def end_pauses(session: Session, node: Node) -> None:
    """Resume where the pause was for a day that is over, in the space's time."""
    now = node.clock.now()
    paused = session.scalars(select(Space).where(Space.paused_on.is_not(None)))
    over = [row.id for row in paused if row.paused_on and row.paused_on < today(row, now)]
    release(session)
    for space_id in over:
        set_paused(session, node, space_id, paused=False)


def queue_publication(session: Session, node: Node) -> None:
    """Queue the publication as a new revision, within the caller's transaction."""
    row = session.get(Enrolment, 1, with_for_update=True, populate_existing=True)
    if row is None:
        return
    row.revision += 1
    key = f"{TOPIC}:{row.revision}"
    payload = {"revision": row.revision}
    outbox.queue(session, node.clock.real(), TOPIC, key, payload, TOPIC, instead=True)


def renew_poster(session: Session, space_id: str) -> None:
    """Give the poster another code: those that hang open nothing any more. Raises Problem."""
    with _locked(session, space_id) as row:
        row.poster = secrets.token_urlsafe(9)
