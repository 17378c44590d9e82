"""Asking 5,000 nodes for their publications in one jobs process: nothing changed, a tenth, trouble.

The nodes are stubs on loopback, in processes of their own; their publications are really signed,
verified and stored. Processor time is this process's alone, which is the jobs process here, and
with PostgreSQL the server's beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import delete, func, insert, select

from charter import model_sources
from deploy.bench import report, stub_nodes
from deploy.bench.load import cpu_seconds
from deploy.bench.services import SECRET, postgres
from federation.app import create_new
from federation.charters import service as charters
from federation.db import db
from federation.jobs import open_connections
from federation.nodes.models import Node, NodeKey
from federation.settings import HubSettings
from federation.spaces import harvest
from federation.spaces.models import Space
from shared.crypto.keys import KeyRing, new_key_ring
from shared.net import http
from shared.net.addresses import is_public
from shared.net.http import Answer, PeerSession
from shared.ops.command import migrate
from shared.ops.logs import configure_logging
from shared.store.db import write
from shared.wire.documents import fingerprint, index_hash, split
from shared.wire.spaces import PUBLICATION_TYP

AIM_MS = 1.3
STUBS = 2
DEAD, SLOW = 50, 20
_TIMES = ("enrolled_at", "last_seen_at", "harvested_at")
DAYS = ("mo", "tu", "we", "th", "fr")


def sheet(n: int, version: int) -> dict[str, Any]:
    """Return a space as a node describes it, some 4 kB."""
    return {
        "id": f"stub-{n}",
        "name": f"Le Tiers-lieu {n}",
        "description": f"Version {version}. " + "Une ancienne filature au bord de l’eau. " * 20,
        "address": {"street": "1 rue du Canal", "postcode": "38300", "town": "Bourgoin-Jallieu"},
        "latitude": 42.0 + n % 8000 / 1000,
        "longitude": n % 7000 / 1000,
        "week": {day: [["09:00", "12:30"], ["13:30", "19:00"]] for day in DAYS},
        "capacity": 30,
        "guest_cap": 4,
        "rooms": [{"name": f"Salle {k}", "kind": "meeting", "seats": 4 + k} for k in range(4)],
        "prices": [{"label": f"Tarif {k}", "cents": 500 * k, "unit": "day"} for k in range(1, 7)],
        "services": ["wifi", "café", "imprimante", "casiers", "cuisine", "vélos"],
        "values": ["ouverture", "coopération", "écologie"],
    }


def publication(ring: KeyRing, n: int, version: int) -> tuple[str, bytes]:
    """Return ETag and body of what a node publishes."""
    space, plans = sheet(n, version), {"resident": 40, "nomad": 10}
    bodies = split(f"Opérateur {n}", plans, [space])
    hashes = {name: fingerprint(body) for name, body in bodies.items()}
    claims = {
        "iss": f"stub-{n}",
        "iat": int(time.time()),
        "revision": version,
        "name": f"Opérateur {n}",
        "plans": plans,
        "spaces": [space],
        "documents": {
            name: {"sha256": sha256, "version": version} for name, sha256 in hashes.items()
        },
    }
    return index_hash(hashes), ring.sign(claims, PUBLICATION_TYP).encode()


class Watched(PeerSession):
    """Notes when each node had answered. 127.x.y.z counts as the internet here, 10.x not."""

    def __init__(self, keep: int) -> None:
        super().__init__(allow_private=True, keep=keep)
        checked = http._pools(http._HTTP, http._HTTPS)  # noqa: SLF001
        self._manager.pool_classes_by_scheme = checked
        self.answered: dict[str, float] = {}

    def request(self, method: str, url: str, **kwargs: Any) -> Answer:
        try:
            return super().request(method, url, **kwargs)
        finally:
            self.answered[url] = time.perf_counter()


@dataclass
class Round:
    """``last`` is when the last of the good nodes had answered, in seconds."""

    nodes: int
    wall: float = 0.0
    cpu: float = 0.0
    server: float = 0.0
    last: float = 0.0
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def cpu_ms(self) -> float:
        return self.cpu / self.nodes * 1000

    def line(self, label: str) -> str:
        server = f"   database {self.server / self.nodes * 1000:.2f} ms" if self.server else ""
        return (
            f"  {label:42} {self.wall:6.2f} s   last good answer {self.last:6.2f} s   "
            f"CPU {self.cpu_ms:5.2f} ms a node{server}"
        )


class Measuring:
    def __init__(self, app: Flask, peers: Watched, nodes: int, servers: Sequence[int]) -> None:
        self.app, self.peers, self.nodes, self.servers = app, peers, nodes, servers

    def cycle(self) -> Round:
        """Do what the jobs process does in a minute: ask the living, and those that are due."""
        self.peers.answered.clear()
        found = Round(self.nodes, server=-cpu_seconds(self.servers))
        again = threading.Thread(target=self._again)
        started, cpu = time.perf_counter(), time.process_time()
        again.start()
        with self.app.app_context():
            found.wrong = harvest.harvest(db.session(), datetime.now(UTC), self.peers)
        found.wall = time.perf_counter() - started
        again.join()
        found.cpu = time.process_time() - cpu
        found.server += cpu_seconds(self.servers)
        good = [at for url, at in self.peers.answered.items() if url.startswith("http://127.1.")]
        found.last = max(good) - started
        return found

    def _again(self) -> None:
        with self.app.app_context():
            harvest.ask_again(db.session(), datetime.now(UTC), self.peers)


def add_nodes(app: Flask, ring: KeyRing, ids: Sequence[str], urls: Sequence[str]) -> None:
    now = datetime.now(UTC)
    common = {"state": "connected", "plans": {}, **dict.fromkeys(_TIMES, now)}
    key = {"kid": ring.kid, "jwk": ring.public_jwks()[0], "added_at": now}
    with app.app_context():
        session = db.session()
        with write(session):
            rows = [
                {"id": each, "name": each, "url": url, **common}
                for each, url in zip(ids, urls, strict=True)
            ]
            session.execute(insert(Node), rows)
            session.execute(insert(NodeKey), [{"node_id": each, **key} for each in ids])


def _app(folder: Path, database: str) -> Flask:
    settings = HubSettings(
        url="http://127.0.0.1:1",
        secret_key=SECRET,
        data_dir=folder,
        database_url=database,
        demo=True,
        allow_private_peers=True,
    )
    app = create_new(settings)
    migrate(app)
    with app.app_context():
        charters.adopt_first(db.session(), datetime.now(UTC), model_sources())
    return app


def _measure(app: Flask, label: str, nodes: int, rounds: int, servers: Sequence[int]) -> None:
    print(f"{label}, {nodes} nodes", flush=True)
    ring, peers = new_key_ring(), Watched(open_connections())
    add_nodes(app, ring, [f"stub-{n}" for n in range(nodes)], [*map(stub_nodes.url, range(nodes))])
    each = (nodes + STUBS - 1) // STUBS
    parts = [range(n, min(n + each, nodes)) for n in range(0, nodes, each)]
    stubs = [stub_nodes.Stubs(part) for part in parts]

    def publish(version: int, every: int) -> None:
        for part, stub in zip(parts, stubs, strict=True):
            stub.tell({n: publication(ring, n, version) for n in part if n % every == 0})

    measuring = Measuring(app, peers, nodes, servers)
    trouble = None
    try:
        publish(1, 1)
        print(measuring.cycle().line("first time: all is new"))
        same = [measuring.cycle() for _ in range(rounds)]
        for one in same:
            print(one.line("nothing changed"))
        cost = report.median([one.cpu_ms for one in same])
        print(f"    median CPU: {report.at_most(cost, AIM_MS)}")
        publish(2, 10)
        print(measuring.cycle().line("a tenth changed"))
        _check(app, nodes)
        trouble = stub_nodes.Trouble(DEAD, SLOW)
        among = nodes // len(trouble.urls)  # as if that many had failed at the same moment
        bad = [f"stub-{n * among}-bad" for n in range(len(trouble.urls))]
        add_nodes(app, ring, bad, trouble.urls)
        for met in (
            f"{len(trouble.urls)} bad ones, met for the first time",
            "and known to be so",
        ):
            found = measuring.cycle()
            print(found.line(met), f"  {len(found.wrong)} at fault")
        for fault, count in _faults(app):
            print(f"      {count:3} × {fault}")
        with app.app_context(), write(db.session()):  # the same again without them
            for table, column in ((NodeKey, NodeKey.node_id), (Node, Node.id)):
                db.session.execute(delete(table).where(column.endswith("-bad")))
        print(measuring.cycle().line("without them"), "\n")
    finally:
        for stub in stubs:
            stub.end()
        if trouble:
            trouble.end()
        with app.app_context():
            db.engine.dispose()


def _check(app: Flask, nodes: int) -> None:
    """See that what changed is what the hub has. Raises SystemExit."""
    with app.app_context():
        asked = select(func.count()).select_from(Node)
        changed = db.session.scalar(asked.where(Node.publication_revision == 2))
        spaces = db.session.scalar(select(func.count()).select_from(Space))
        if (changed, spaces) != ((nodes + 9) // 10, nodes):
            sys.exit(f"failed: {changed} changes and {spaces} spaces were taken")


def _faults(app: Flask) -> list[tuple[str, int]]:
    with app.app_context():
        query = (
            select(Node.harvest_fault, func.count())
            .where(Node.harvest_fault.is_not(None))
            .group_by(Node.harvest_fault)
        )
        return sorted((str(row[0]), row[1]) for row in db.session.execute(query))


def _loopback_too(address: str) -> bool:
    return address.startswith("127.") or is_public(address)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3, help="with nothing changed")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    configure_logging("ERROR", "hub")
    http._Checked.allowed = staticmethod(_loopback_too)  # noqa: SLF001
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as name:
        folder = Path(name)
        if options.only != "postgres":
            (folder / "sqlite").mkdir()
            app = _app(folder / "sqlite", "")
            _measure(app, "SQLite FULL", options.nodes, options.rounds, ())
        if options.only == "sqlite":
            return
        with postgres(folder) as server:
            if server is None:
                print("PostgreSQL is left out: install the development requirements.")
                return
            (folder / "data").mkdir()
            app = _app(folder / "data", server.new("hub"))
            _measure(app, "PostgreSQL", options.nodes, options.rounds, (server.pid,))


if __name__ == "__main__":
    main()
