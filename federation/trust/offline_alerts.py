"""Telling people by e-mail of nodes that have gone silent, and of those that are back.

Once for each silence, and one letter for all that fall silent together: when that is most of the
network, the hub's own connection may be what is broken. Nothing is said while the hub itself has
only just started: nobody could be heard before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from federation.context import Hub
from federation.nodes import notifications
from federation.nodes.models import Node
from shared.store.db import release, write

TAKING_PART = ("connected", "late", "offline")
# Long enough for every node to have told something.
WARM_UP = timedelta(minutes=10)
# Without a look for so long, this process slept: nothing was heard meanwhile.
ASLEEP_AFTER = timedelta(minutes=5)
# Others may be about to follow: they are of the same letter, unless somebody waits for too long.
SETTLED_AFTER, AT_LATEST = timedelta(minutes=2), timedelta(minutes=15)
# From so many on, and if it is half of the network, their own people are not written to.
MANY = 3


@dataclass(slots=True)
class Watch:
    """Since when somebody has been watching without a gap, and seeing nodes come back."""

    since: datetime | None = None
    last: datetime | None = None
    back_since: datetime | None = None

    def look(self, now: datetime) -> timedelta:
        """Return for how long nodes have been watched."""
        if self.since is None or self.last is None or now - self.last > ASLEEP_AFTER:
            self.since = now
        self.last = now
        return now - self.since

    def all_back(self, now: datetime, *, some: bool) -> bool:
        """Tell whether it is time to say who came back: a little after the first of them."""
        self.back_since = (self.back_since or now) if some else None
        return self.back_since is not None and now - self.back_since >= SETTLED_AFTER


def due(overdue: Sequence[timedelta]) -> bool:
    """Tell whether to write now, by how long each is silent beyond what is borne."""
    return bool(overdue) and (min(overdue) >= SETTLED_AFTER or max(overdue) >= AT_LATEST)


def tell(session: Session, hub: Hub, watch: Watch) -> None:
    """Write about who is silent for longer than the settings bear, and who is back."""
    now, borne = hub.clock.now(), timedelta(minutes=hub.settings.silence_minutes)
    if hub.settings.smtp_url is None or not borne or watch.look(now) < WARM_UP:
        return
    silent = _silent(session, now - borne)
    back = _back(session)
    release(session)
    if due([now - borne - node.last_seen_at for node in silent]):
        _tell_silent(session, hub, now, now - borne)
    if watch.all_back(now, some=bool(back)):
        watch.back_since = None
        _tell_back(session, hub, now)


def _silent(session: Session, since: datetime) -> list[Node]:
    query = select(Node).where(
        Node.state.in_(TAKING_PART), Node.last_seen_at < since, Node.silence_told_at.is_(None)
    )
    return list(session.scalars(query.order_by(Node.last_seen_at, Node.id).with_for_update()))


def _back(session: Session) -> list[Node]:
    query = select(Node).where(
        Node.state.in_(TAKING_PART), Node.last_seen_at > Node.silence_told_at
    )
    return list(session.scalars(query.order_by(Node.id).with_for_update()))


def _tell_silent(session: Session, hub: Hub, now: datetime, since: datetime) -> None:
    with write(session):
        found = _silent(session, since)
        partners = len(session.scalars(select(Node.id).where(Node.state.in_(TAKING_PART))).all())
        most = len(found) >= MANY and 2 * len(found) >= partners
        if found:
            key, page = f"silent:{now:%Y%m%dT%H%M%S%f}", f"{hub.url}/coordination/nodes"
            notifications.write_to_coordinators(
                session, hub, key, "console/mail/silent.txt", nodes=found, most=most, url=page
            )
        told = {} if most else notifications.contacts(session, [node.id for node in found])
        for node in found:
            node.silence_told_at = now
            if node.id in told:
                key = f"silent:{node.id}:{node.last_seen_at:%Y%m%dT%H%M%S}"
                template = "console/mail/silent_node.txt"
                notifications.write(session, hub, key, told[node.id], template, node=node)


def _tell_back(session: Session, hub: Hub, now: datetime) -> None:
    with write(session):
        found = _back(session)
        if found:
            key, url = f"back:{now:%Y%m%dT%H%M%S%f}", f"{hub.url}/coordination/nodes"
            template = "console/mail/back.txt"
            notifications.write_to_coordinators(session, hub, key, template, nodes=found, url=url)
        for node in found:
            node.silence_told_at = None
        # of one that was suspended or has left nobody waits to hear
        session.execute(
            update(Node).where(Node.state.notin_(TAKING_PART)).values(silence_told_at=None)
        )
