"""A small network of real processes, each of which can be killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from deploy.demo import network
from deploy.demo.day import clock_from
from deploy.demo.join import join
from deploy.demo.processes import Processes
from node.context import node as node_context
from node.db import db
from node.hub import outbox
from shared.net.http import PeerError
from tests.databases import Databases
from tests.e2e.processes import ROOT, free_port_base

ANSWER_SECONDS = 120
# Any number of visits, with and without the hub: here the account is tried, not the limits.
_CHANGES = {
    "per_host = 6": "per_host = 9000",
    "network = 16": "network = 9000",
    "at_least = 1": "at_least = 900",
    "visits_per_pass = 2": "visits_per_pass = 9000",
    "trust_list_hours = 72": "trust_list_hours = 9000",
    "tolerance_half_days = 10": "tolerance_half_days = 1",
    "days = 10": "days = 1",  # of a vote
}


def rules() -> str:
    found = (ROOT / "charter" / "rules.toml").read_text()
    for before, after in _CHANGES.items():
        assert found.count(f"\n{before}") == 1, before
        found = found.replace(before, after)
    return found


@dataclass
class World:
    """A hub and nodes by name; each has a server and a scheduler that can be killed."""

    hub: network.Part
    nodes: Mapping[str, network.Part]
    processes: Processes

    @property
    def parts(self) -> dict[str, network.Part]:
        return {"hub": self.hub, **self.nodes}

    @property
    def names(self) -> list[str]:
        return [name for part in self.parts for name in (part, f"{part}-jobs")]

    def start(self, name: str) -> None:
        part = self.parts[name.removesuffix("-jobs")]
        verb = "jobs" if name.endswith("-jobs") else "serve"
        self.processes.start(name, [part.kind, verb], part.environ)

    def kill(self, name: str) -> None:
        """End a process and its workers as a power cut would."""
        process: subprocess.Popen[bytes] = self.processes.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_ready(self, *names: str) -> None:
        self.processes.wait_ready({name: self.parts[name].url for name in names or self.parts})

    def set_clock(self, instant: str) -> None:
        """Say what time it is for every process that is started from now on."""
        clock = clock_from(datetime.fromisoformat(instant))
        for part in self.parts.values():
            part.environ[f"{part.kind.upper()}_CLOCK"] = clock

    def start_all(self) -> None:
        for name in self.parts:
            self.start(name)
        self.wait_ready()
        for name in self.parts:
            self.start(f"{name}-jobs")

    def kill_all(self) -> None:
        for name in list(self.processes.running):
            self.kill(name)

    def kill_one(self, dice: random.Random) -> int:
        """Kill one process, or seldom all, and start it again; return how many.

        Called by the thread that started them: they end with it.
        """
        self.processes.check()
        victims = self.names if dice.random() < 0.03 else [dice.choice(self.names)]
        for name in victims:
            self.kill(name)
        time.sleep(dice.uniform(0.0, 0.5))
        for name in victims:
            self.start(name)
        if dice.random() < 0.3:
            self.wait_ready()
        return len(victims)

    def node_token(self, name: str) -> str:
        """Return the token by which a node speaks to its hub."""
        with self.nodes[name].app.app_context():
            token: str = until(node_context().hub._access_token, PeerError)
            return token

    def waiting(self) -> dict[str, int]:
        """Return how many messages all outboxes have, by what became of them."""
        found = {"pending": 0, "stuck": 0, "dead": 0}
        for part in self.nodes.values():
            with part.app.app_context():
                for state, count in outbox.waiting(db.session()).items():
                    found[state] += count
                db.session.rollback()
        return found


@contextmanager
def running_world(
    folder: Path, databases: Databases, clock: str, names: tuple[str, ...], rules_text: str
) -> Iterator[World]:
    """Found a hub with nodes of the demonstration, and run them until the block ends."""
    base = free_port_base(1 + len(names))
    rules_file = folder / "rules.toml"
    rules_file.write_text(rules_text)
    setting = clock_from(datetime.fromisoformat(clock))
    hub = network.make_hub(folder / "hub", base, setting, "h" * 32, rules_file, databases.new())
    sheets = {sheet["id"]: sheet for sheet in network.NODES}
    nodes = {
        name: network.make_node(
            sheets[name], folder / name, base + n, setting, "n" * 32, hub.url, databases.new()
        )
        for n, name in enumerate(names, 1)
    }
    found = World(hub, nodes, Processes(folder / "logs"))
    try:
        for name in found.parts:
            found.start(name)
        found.wait_ready()
        join(hub, list(nodes.values()))
        for name in found.parts:
            found.start(f"{name}-jobs")
        yield found
    finally:
        found.processes.stop()
        for part in nodes.values():
            with part.app.app_context():
                db.session.remove()
                db.engine.dispose()


def until(call: Callable[[], Any], *faults: type[Exception]) -> Any:
    """Do something again until it succeeds."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            return call()
        except faults:
            assert time.monotonic() < deadline, "no answer"
            time.sleep(0.1)
