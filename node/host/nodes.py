"""The nodes that a process holds ready: made when first asked for, so many at most, apart."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

import structlog
from flask import Flask

from node.host.operators import Place, names_of, note_writes, placed
from node.host.settings import HostSettings
from node.settings import MIGRATIONS, NodeSettings
from shared.ops.server import note_serving
from shared.store.revisions import State, find_at, say
from shared.wire.problems import frames_of

log = structlog.get_logger()

LOOK_SECONDS = 1.0
# Once a node could not be made it is tried again after so long, or as soon as its folder changes.
TRY_AGAIN_SECONDS = 10.0

MakeApp = Callable[[NodeSettings], Flask]


class NotMigrated(Exception):
    """An operator's database is not at the tables of this version."""


def if_migrated(make_app: MakeApp) -> MakeApp:
    """Return what makes a node of those databases alone that are at this version's tables."""

    def made(settings: NodeSettings) -> Flask:
        found = find_at(settings.database, MIGRATIONS)
        if found.state not in (State.CURRENT, State.AWAY):
            raise NotMigrated(say(found, "host"))
        return make_app(settings)

    return made


def make(make_app: MakeApp, place: Place) -> Flask:
    """Make an operator's node, whose log lines say whose they are."""
    app = make_app(place.settings)
    app.extensions["log_fields"] = {"operator": place.operator.id}
    return app


@dataclass(eq=False)
class Ready:
    """A node's application. ``serving`` tells a restore that this process uses the folder."""

    place: Place
    app: Flask
    uses: int = 0
    dropped: bool = False
    process: int = 0
    serving: IO[str] | None = None


class Nodes:
    """Safe to use from several threads; what is made before a fork is shared with the parent."""

    def __init__(self, host: HostSettings, make_app: MakeApp) -> None:
        self.faults: dict[str, list[str]] = {}
        self._host = host
        self._make_app = make_app
        self._places: dict[str, Place] = {}
        self._ids: dict[str, str] = {}
        self._ready: OrderedDict[str, Ready] = OrderedDict()
        self._failed: dict[str, tuple[Place, float]] = {}
        self._lock = threading.RLock()
        self._makes: dict[str, threading.Lock] = {}
        self._looked = float("-inf")
        self.look()

    def look(self) -> None:
        """See who came, went or changed."""
        with self._lock:
            self._looked = time.monotonic()
            places, faults = placed(self._host.data_dir, self._host, self._places)
            for operator_id in faults.keys() - self.faults.keys():
                log.error("host.left-aside", operator=operator_id, faults=faults[operator_id])
            self.faults = faults
            if places == self._places:
                return
            self._places = places
            self._ids = {n: one for one, p in places.items() for n in names_of(p.settings.url)}
            for operator_id, ready in list(self._ready.items()):
                if places.get(operator_id) != ready.place:
                    self._drop(operator_id)

    def watch(self) -> None:
        """Look again and again, for as long as this process lives."""

        def go_on() -> None:
            while True:
                time.sleep(LOOK_SECONDS)
                try:
                    self.look()
                except Exception as error:  # noqa: BLE001 - a folder that cannot be read now
                    log.error("host.look", error=type(error).__name__, where=frames_of(error))

        threading.Thread(target=go_on, daemon=True, name="look").start()

    def find(self, name: str) -> Place | None:
        """Return whose host name this is. Whoever has just come is found at once."""
        with self._lock:
            if name not in self._ids and time.monotonic() - self._looked > LOOK_SECONDS / 4:
                self.look()
            found = self._ids.get(name)
            return self._places[found] if found else None

    def places(self) -> list[Place]:
        with self._lock:
            return list(self._places.values())

    def enter(self, place: Place) -> Ready | None:
        """Return an operator's node, to be given back with ``leave``; None if it is not to be had.

        One operator's node is made while those of others are used.
        """
        operator_id = place.operator.id
        ready = self._use(place)
        if ready is not None or self._failed_lately(place):
            return ready
        with self._lock:
            make = self._makes.setdefault(operator_id, threading.Lock())
        with make:
            ready = self._use(place)
            if ready is not None or self._failed_lately(place):
                return ready
            app = self._made(place)
            if app is None:
                return None
            with self._lock:
                self._ready[operator_id] = Ready(place, app)
                self._bound()
            return self._use(place)

    def _use(self, place: Place) -> Ready | None:
        with self._lock:
            ready = self._ready.get(place.operator.id)
            if ready is None or ready.place != place:
                return None
            if ready.process != os.getpid():
                ready.serving = note_serving(place.settings)
                if ready.serving is None:  # a backup is being restored
                    self._drop(place.operator.id)
                    self._failed[place.operator.id] = (place, time.monotonic() + LOOK_SECONDS)
                    return None
                ready.process = os.getpid()
            self._ready.move_to_end(place.operator.id)
            ready.uses += 1
            return ready

    def leave(self, ready: Ready) -> None:
        with self._lock:
            ready.uses -= 1
            self._end(ready)

    def make_all(self) -> None:
        """Make as many as are held ready, before this process has children that share them."""
        for place in self.places()[: self._host.kept]:
            app = self._made(place)
            if app is not None:
                self._ready[place.operator.id] = Ready(place, app)

    def close(self) -> None:
        """Let go of all of them, once they are not used any more."""
        with self._lock:
            for operator_id in list(self._ready):
                self._drop(operator_id)

    def _made(self, place: Place) -> Flask | None:
        try:
            app = make(self._make_app, place)
        except Exception as error:  # noqa: BLE001 - one operator's fault is no other's
            told = {"error": type(error).__name__, "where": frames_of(error)}
            if isinstance(error, NotMigrated):
                told = {"error": str(error)}
            log.error("host.not-made", operator=place.operator.id, **told)
            with self._lock:
                self._failed[place.operator.id] = (place, time.monotonic() + TRY_AGAIN_SECONDS)
            return None
        with app.app_context():
            note_writes(place.operator, app.extensions["sqlalchemy"].engine)
        return app

    def _failed_lately(self, place: Place) -> bool:
        with self._lock:
            failed, until = self._failed.get(place.operator.id, (None, 0.0))
            return failed == place and time.monotonic() < until

    def _bound(self) -> None:
        """Let go of those that were asked for least lately."""
        for operator_id in list(self._ready)[: max(0, len(self._ready) - self._host.kept)]:
            self._drop(operator_id)

    def _drop(self, operator_id: str) -> None:
        ready = self._ready.pop(operator_id)
        ready.dropped = True
        self._end(ready)

    def _end(self, ready: Ready) -> None:
        if not ready.dropped or ready.uses:
            return
        with ready.app.app_context():
            for engine in ready.app.extensions["sqlalchemy"].engines.values():
                engine.dispose()
        if ready.serving is not None:
            ready.serving.close()
            ready.serving = None
