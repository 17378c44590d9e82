"""Networks that are made once in a process; each test finds them as they were then.

Making a network is most of what a short test costs. The applications, their ports and their keys
stay; databases, data folders, settings and whatever a process remembers are put back.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import update

from federation.context import Hub
from federation.search import index_refresh
from node.context import Node
from node.hub.models import Cached
from node.hub_client import HubClient
from shared.base.clock import Clock, parse_clock
from shared.base.memory import forget_all
from shared.crypto.keys import load_key_ring
from shared.net.http import PeerSession
from shared.store.db import begin_write
from tests.databases import Databases
from tests.network import (
    LocalHub,
    LocalNode,
    LocalServer,
    LocalService,
    Network,
    be_patient,
    new_hub,
    new_node,
    open_hub,
)

Nodes = Mapping[str, Mapping[str, Any]]


@dataclass
class _Service:
    """An application and what it was before anybody used it."""

    app: Flask
    server: LocalServer
    kind: str
    empty: str

    def __post_init__(self) -> None:
        self.held: Any = self.app.extensions[self.kind]
        settings = self.held.settings
        self.settings = {each.name: getattr(settings, each.name) for each in fields(settings)}
        self.config = dict(self.app.config)
        self.key_file = next(self.folder.glob("*-keys.json"))
        self.keys = self.key_file.read_bytes()

    @property
    def folder(self) -> Path:
        found: Path = self.settings["data_dir"]
        return found

    @property
    def database(self) -> str:
        url: str = self.config["SQLALCHEMY_DATABASE_URI"]
        return url

    def end(self) -> None:
        if self.kind == "node":
            self.app.extensions["node"].hub._circuit._closed.set()
        self.server.stop()
        with self.app.app_context():
            self.app.extensions["sqlalchemy"].engine.dispose()

    def put_back(self, databases: Databases, backup: str) -> None:
        """Make it as it was: nobody is connected to its database."""
        databases.restore(self.database, backup)
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.key_file.touch(mode=0o600)
        self.key_file.write_bytes(self.keys)
        settings = self.held.settings
        for name, value in self.settings.items():
            object.__setattr__(settings, name, value)
        self.app.config.clear()
        self.app.config.update(self.config)
        self.app.extensions["settings"] = settings
        forget_all(self.app)
        ring, peers = load_key_ring(self.key_file), PeerSession(allow_private=True)
        be_patient(peers)
        if self.kind == "hub":
            self.app.extensions["hub"] = Hub(settings, ring, peers)
            self.app.extensions["answers"].forget()
            self.app.extensions["views"].forget()
            return
        client = HubClient(settings.hub_url, ring, peers, self.held.hub._node_id)
        client._circuit._pause = 0.02
        self.app.extensions["node"] = Node(settings, ring, peers, client)


@dataclass
class _Made:
    """A network as it was when it had been made; ``ended`` by its own clock."""

    hub: LocalHub
    nodes: dict[str, LocalNode]
    backups: dict[str, str]
    ended: datetime


class Shelf:
    """The networks of one kind of database."""

    def __init__(self, folder: Path, databases: Databases) -> None:
        self._folder, self._databases = folder, databases
        self._clock = Clock()
        self._services: dict[str, _Service] = {}
        self._made: dict[str, _Made] = {}
        self._lent: Network | None = None

    @property
    def is_lent(self) -> bool:
        return self._lent is not None

    def lend(self, rules: str | None, clock: str, nodes: Nodes) -> Network:
        """Return a network with these nodes, each with what ``add_node`` takes."""
        key = repr((rules, clock, nodes))
        if key not in self._made:
            self._made[key] = self._make(rules, clock, nodes)
        made = self._made[key]
        self._set(made.ended)
        for name, backup in made.backups.items():
            self._services[name].put_back(self._databases, backup)
        index_refresh.forget()
        network = Network(self._folder, self._databases, self._clock, replace(made.hub))
        network.make_node = self._node
        network.nodes = {name: replace(node) for name, node in made.nodes.items()}
        for service in [network.hub, *network.nodes.values()]:
            service.server.start()
        for node in network.nodes.values():
            _learnt_just_now(node)
        for served in [network.hub, *network.nodes.values()]:
            served.jobs_at_work()
        self._lent = network
        return network

    def give_back(self) -> None:
        network, self._lent = self._lent, None
        if network is None:
            return
        ours = {id(service.server) for service in self._services.values()}
        for service in [*network.nodes.values(), network.hub]:
            if id(service.server) not in ours:
                self._throw_away(service)
        for kept in self._services.values():
            kept.end()
        if any(kept.server.is_closed for kept in self._services.values()):
            self.close()

    def _throw_away(self, service: LocalService) -> None:
        """End what a test added."""
        if isinstance(service, LocalNode):
            service.circuit._closed.set()
        service.close()
        shutil.rmtree(service.app.extensions["settings"].data_dir, ignore_errors=True)

    def close(self) -> None:
        for kept in self._services.values():
            kept.server.close()
            shutil.rmtree(kept.folder, ignore_errors=True)
        self._services.clear()
        self._made.clear()

    def _set(self, instant: datetime) -> None:
        object.__setattr__(self._clock, "offset", instant - datetime.now(UTC))

    def _make(self, rules: str | None, clock: str, nodes: Nodes) -> _Made:
        object.__setattr__(self._clock, "offset", parse_clock(clock).offset)
        index_refresh.forget()
        hub = self._service("hub")
        network = open_hub(hub.app, hub.server, self._folder, self._databases, self._clock, rules)
        network.make_node = self._node
        for name, sheet in nodes.items():
            network.add_node(name, **sheet)
        services = {"hub": network.hub, **network.nodes}
        for name in services:
            self._services[name].end()
        backups = {
            name: self._databases.back_up(service.database) for name, service in services.items()
        }
        return _Made(network.hub, dict(network.nodes), backups, self._clock.now())

    def _service(self, name: str, network: Network | None = None) -> _Service:
        """Return an application that is as nobody had used it."""
        if name not in self._services:
            if network is None:
                app, server = new_hub(self._folder, self._databases, self._clock)
            else:
                app, server = new_node(network, name)
            kind = "hub" if network is None else "node"
            empty = self._databases.back_up(app.config["SQLALCHEMY_DATABASE_URI"])
            self._services[name] = _Service(app, server, kind, empty)
        found = self._services[name]
        found.put_back(self._databases, found.empty)
        return found

    def _node(self, network: Network, name: str) -> tuple[Flask, LocalServer]:
        service = self._service(name, network)
        return service.app, service.server


def _learnt_just_now(node: LocalNode) -> None:
    """What it knows of the network ages by the real clock, from when the network was made."""
    with node.context() as (session, context):
        begin_write(session)
        session.execute(update(Cached).values(fetched_at=context.clock.real()))
        session.commit()
