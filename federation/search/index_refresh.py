"""Keeping a process's index of spaces what the database says: each process looks for itself.

Every row of a space and of its free places carries when it was written. A look asks for what was
written since the last one, a little before included: who wrote earlier may have committed later.
Now and then it looks further back, and compares every stamp, so that nothing is missed for good.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import orjson
import structlog
from sqlalchemy import Engine, Select, Text, cast, func, or_, select
from sqlalchemy.orm import Session

from federation.charters.models import CharterVersion, Signature
from federation.nodes.models import Node
from federation.search.index import Host, Index, Told
from federation.spaces.models import Availability, Space, stamp

# A check-in is on the map within two seconds, a second of which its node may take.
LOOK_SECONDS = 0.25
# How far back, and how often in seconds: at each look, and now and then.
SHORT_BACK, LONG_BACK, LONG_EVERY, ALL_EVERY = 2_000_000, 60_000_000, 10, 300
AT_ONCE = 500

_SPACE = (
    Space.id,
    Space.node_id,
    Space.name,
    Space.town,
    Space.latitude,
    Space.longitude,
    cast(Space.document, Text).label("document"),
    Space.published_at,
    Space.withdrawn_at,
    Space.hidden_at,
    Space.stamp,
    Node.state,
)
_TOLD = (
    Availability.guest_places,
    Availability.guest_places_free,
    Availability.paused,
    Availability.as_of,
    Availability.expires_at,
)
_told_stamp = Availability.stamp.label("told_stamp")
log = structlog.get_logger()


class Watch:
    """One database's index, and up to where it was read. ``lock`` is held while it is used."""

    def __init__(self) -> None:
        self.index = Index()
        self.lock = threading.RLock()
        self.revision = 0
        self._stamps: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._hosts: dict[str, Host] = {}
        self._apart: dict[str, str] = {}
        self._signed: tuple[str | None, int] = (None, 0)
        # By the steady clock, when it was looked; by the stamps' clock, up to when.
        self._looked = self._looked_long = self._looked_all = 0.0
        self._until = self._until_long = 0

    @property
    def fresh(self) -> bool:
        """Tell whether the last look was but ``LOOK_SECONDS`` ago."""
        return self._looked > 0 and time.monotonic() - self._looked < LOOK_SECONDS

    def look(self, session: Session) -> Index:
        """Return the index as the database was at most ``LOOK_SECONDS`` ago."""
        if self.fresh:
            return self.index
        with self.lock:
            now, written = time.monotonic(), stamp()
            everything = not self._looked or now - self._looked_all >= ALL_EVERY
            further = everything or now - self._looked_long >= LONG_EVERY
            # The clock may have been set back since.
            until, until_long = (min(each, written) for each in (self._until, self._until_long))
            since = until_long - LONG_BACK if further else until - SHORT_BACK
            self._look_at_nodes(session, again=everything)
            self._look_at_spaces(session, -1 if everything else since)
            self._look_at_places(session, -1 if everything else since)
            self._looked, self._until = now, written
            if further:
                self._looked_long, self._until_long = now, written
            if everything:
                self._looked_all = now
            return self.index

    def _look_at_nodes(self, session: Session, *, again: bool) -> None:
        """Notice who signed the charter in force, is suspended, or has left."""
        states = select(Node.id, Node.state).where(Node.state.in_(("suspended", "left")))
        apart = {row.id: row.state for row in session.execute(states)}
        version = session.scalar(
            select(CharterVersion.version).where(CharterVersion.state == "in_force")
        )
        of_version = Signature.version == version
        many = session.scalar(select(func.count()).select_from(Signature).where(of_version)) or 0
        if again or (version, many) != self._signed:
            signed = set(session.scalars(select(Signature.node_id).where(of_version)))
            for node_id in signed | self._hosts.keys():
                self._host(node_id).signed = node_id in signed
            self._signed = version, many
            self.revision += 1
        if apart == self._apart:
            return
        changed = {id_ for id_, _ in apart.items() ^ self._apart.items()}
        for node_id in changed:
            self._host(node_id).suspended = apart.get(node_id) == "suspended"
        self._apart = apart
        self.revision += 1
        gone_or_back = select(Space.id).where(Space.node_id.in_(changed))
        self._read(session, list(session.scalars(gone_or_back)))

    def _look_at_spaces(self, session: Session, since: int) -> None:
        rows = session.execute(select(Space.id, Space.stamp).where(Space.stamp > since)).all()
        held = self._stamps
        self._read(session, [row.id for row in rows if held.get(row.id) != row.stamp])
        if since < 0 and len(rows) < len(held):
            for space_id in held.keys() - {row.id for row in rows}:
                self.index.drop(space_id)
                del held[space_id]
                self.revision += 1

    def _look_at_places(self, session: Session, since: int) -> None:
        query = select(Availability.space_id, Availability.stamp)
        rows = session.execute(query.where(Availability.stamp > since)).all()
        entries, held = self.index.entries, self._told
        new = [id_ for id_, written in rows if held.get(id_) != written and id_ in entries]
        for chunk in _chunks(new):
            told = select(Availability.space_id, *_TOLD, Availability.stamp)
            for space_id, *found, written in session.execute(
                told.where(Availability.space_id.in_(chunk))
            ):
                entries[space_id].told, held[space_id] = Told._make(found), written
                self.revision += 1

    def _read(self, session: Session, ids: list[str]) -> None:
        for chunk in _chunks(ids):
            self._take(session.execute(_published().where(Space.id.in_(chunk))))

    def _take(self, rows: Iterable[Any]) -> None:
        for row in rows:
            self.revision += 1
            self._stamps[row.id] = row.stamp
            if row.withdrawn_at or row.hidden_at or row.state == "left":
                self.index.drop(row.id)
                continue
            told = None
            if row.as_of is not None:
                told, self._told[row.id] = Told(*row[-6:-1]), row.told_stamp
            host = Host(None) if row.node_id is None else self._host(row.node_id)
            try:
                self.index.put(row, orjson.loads(row.document), host, told)
            except (AttributeError, KeyError, TypeError, ValueError):
                self.index.drop(row.id)
                log.warning("a space cannot be read", space=row.id)

    def _host(self, node_id: str) -> Host:
        found = self._hosts.get(node_id)
        if found is None:
            found = self._hosts[node_id] = Host(node_id)
            found.suspended = self._apart.get(node_id) == "suspended"
        return found


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


def _published() -> Select[*tuple[Any, ...]]:
    return (
        select(*_SPACE, *_TOLD, _told_stamp)
        .select_from(Space)
        .outerjoin(Node, Node.id == Space.node_id)
        .outerjoin(Availability, Availability.space_id == Space.id)
        .where(or_(Node.id.is_not(None), Space.node_id.is_(None)))
    )


_watches: WeakKeyDictionary[Engine, Watch] = WeakKeyDictionary()


def of(session: Session) -> Watch:
    """Return what this process keeps of the session's database."""
    engine = session.get_bind().engine
    found = _watches.get(engine)
    return found if found is not None else _watches.setdefault(engine, Watch())


def forget() -> None:
    """Know nothing any more, as a process that starts."""
    _watches.clear()
