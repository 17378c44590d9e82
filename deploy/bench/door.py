"""How long a door takes from the scan to the answer: with the hub asked, and with the hub away.

The hub and the node are real servers. Then the hub is stopped as a lost network would stop
it: it takes connections and answers nothing; so does the home of the people who come.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from charter.hours import WEEKDAYS
from deploy.bench import load, network, report
from deploy.bench.load import Measured, percentile
from deploy.bench.services import Bench, Hello, Postgres, Service, bench, postgres
from deploy.demo.processes import ProcessError
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import enrolment
from node.context import node as node_context
from node.db import db as node_db
from node.hub import service as sync
from node.hub.models import Cached
from node.identity.service import accounts
from node.spaces import service as spaces
from shared.crypto.status_list import sign_list
from shared.store.db import write

NODE = "host"
DESKS = 8
WARM_UP = 16
GUESTS = 1000  # the most that a space can welcome at once
P50_MS, P99_MS, FIRST_SECONDS, AWAY_P50_MS = 10.0, 40.0, 2.0, 8.0
OPEN_ALWAYS = {day: [["00:00", "00:00"]] for day in WEEKDAYS}
LIST_AGE = timedelta(minutes=10)


@dataclass
class Door:
    """A node that is enrolled, its desk's token, and the phones of another home's members."""

    hub: Service
    node: Service
    token: str
    phones: list[network.Phone]
    servers: tuple[int, ...]

    def scans(self, count: int) -> list[bytes]:
        """Return that many check-ins, of as many people, with codes made now."""
        shown = [self.phones.pop().show() for _ in range(count)]
        bodies = [json.dumps({"space": NODE, "pass": text}).encode() for text in shown]
        return [load.post("/api/v1/check-ins", body, self.token) for body in bodies]

    def run(self, count: int, desks: int) -> Measured:
        return load.run(self.node.port, self.scans(count), desks, 201, self.servers)


def open_door(found: Bench, kind: str, server: Postgres | None, people: int) -> Door:
    """Start hub and node, and bring the node in by the way any node comes in."""
    hub = found.hub(f"{kind}-hub", server.new("hub") if server else "", "FULL")
    home_url = f"http://127.0.0.1:{_silent_port()}"
    homes = network.found(hub.app, 1, home_url)
    phones = network.add_phones(hub.app, homes, people)
    database = server.new("node") if server else ""
    node = found.node(f"{kind}-node", database, hub.url, "FULL")
    with hub.app.app_context():
        now = hub_context().clock.now()
        invitation, _ = enrolment.invite(hub_db.session(), now, NODE, None)
        hub_db.engine.dispose()
    with node.app.app_context():
        session, context = node_db.session(), node_context()
        now = context.clock.now()
        with write(session):
            spaces.add(
                session,
                now,
                NODE,
                "Lyon",
                id=NODE,
                week=OPEN_ALWAYS,
                closed_on_holidays=False,
                guest_cap=GUESTS,
                capacity=2 * GUESTS,
            )
            desk = accounts.create(
                session,
                now,
                email="desk@host.example",
                name="Desk",
                password="-" * 12,
                roles=["desk"],
            ).id
        token = accounts.add_token(session, now, desk, "bench", ["desk"])
        sync.enrol(session, context, invitation)
        sync.sign_charter(session, context)
        spaces.publish_now(session, context)
        _keep_status_list(homes[0], people)
        sync.refresh(session, context)
        node_db.engine.dispose()
    servers = (hub.pid, node.pid, server.pid) if server else (hub.pid, node.pid)
    return Door(hub, node, token, phones, servers)


_listening: list[socket.socket] = []


def _silent_port() -> int:
    """Return a port that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    _listening.append(listener)
    port: int = listener.getsockname()[1]
    return port


def _keep_status_list(home: network.Home, people: int) -> None:
    """Leave the home's list with the node, as its jobs would have fetched it a while ago."""
    uri = f"{home.url}/status-lists/1"
    body = sign_list(
        home.ring, issuer=home.id, uri=uri, statuses={}, size=people, now=datetime.now(UTC)
    )
    session = node_db.session()
    sync.store(session, node_context().clock.real(), f"status:{home.id}", body)
    with write(session):
        session.execute(
            update(Cached)
            .where(Cached.name == f"status:{home.id}")
            .values(fetched_at=datetime.now(UTC) - LIST_AGE)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=200, help="check-ins at one desk")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    if _people(options.scans) >= GUESTS:
        parser.error(f"at most {GUESTS} people come: fewer scans, please")
    try:
        with bench() as found:
            hello = found.hello(1, 8)
            if options.only != "postgres":
                _measure(found, "SQLite", None, hello, options.scans)
            if options.only != "sqlite":
                _on_postgres(found, hello, options.scans)
    except (load.LoadError, ProcessError) as error:
        sys.exit(f"failed: {error}")


def _on_postgres(found: Bench, hello: Hello, scans: int) -> None:
    with postgres(found.folder) as server:
        if server is None:
            print("PostgreSQL is left out: install the development requirements.")
            return
        try:
            _measure(found, "PostgreSQL", server, hello, scans)
        finally:
            found.stop()


def _measure(found: Bench, kind: str, server: Postgres | None, hello: Hello, scans: int) -> None:
    door = open_door(found, kind.lower(), server, _people(scans))
    door.run(WARM_UP, 4)
    print(f"{kind}, hub asked")
    served = _both(hello, door, scans, 1).served
    print(f"  server time, one desk: p50 {report.at_most(report.median(served), P50_MS)}")
    print(f"{'':24} p99 {report.at_most(percentile(served, 99), P99_MS)}")
    _both(hello, door, scans, DESKS)

    print(f"{kind}, hub and home cut off")
    os.killpg(door.hub.pid, signal.SIGSTOP)
    try:
        first = door.run(1, 1)
        print(f"  first answer after {report.at_most(first.waited[0] / 1000, FIRST_SECONDS, 's')}")
        served = _both(hello, door, scans, 1).served
        print(f"  server time, one desk: p50 {report.at_most(report.median(served), AWAY_P50_MS)}")
        print(f"{'':24} p99 {percentile(served, 99):.2f} ms")
        _both(hello, door, scans, DESKS)
    finally:
        found.kill(f"{kind.lower()}-hub")
    print()


def _both(hello: Hello, door: Door, scans: int, connections: int) -> Measured:
    requests = [load.get("/")] * (8 * scans)
    limit = load.run(hello.port, requests, connections, 200, (hello.pid,))
    measured = door.run(scans, connections)
    desks = "one desk" if connections == 1 else f"{connections} desks"
    print(report.line(f"hello, {desks}", limit))
    print(report.line(f"check-ins, {desks}", measured, report.ratio(measured.rate / limit.rate)))
    return measured


def _people(scans: int) -> int:
    return WARM_UP + 1 + 4 * scans


if __name__ == "__main__":
    main()
