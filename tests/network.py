"""A small network inside the test's process: real applications on real loopback ports."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from joserfc.jwk import OKPKey
from werkzeug.serving import BaseWSGIServer, make_server

from charter import model_sources
from federation.app import create_app as create_hub
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.directory import service as directory
from federation.governance import service as governance
from federation.identity.service import accounts as hub_accounts
from federation.settings import HubSettings
from node.app import create_app as create_node
from node.context import node as node_context
from node.db import db as node_db
from node.identity.service import accounts as node_accounts
from node.members import service as members
from node.settings import NodeSettings
from node.spaces import service as spaces
from node.sync import service as sync
from shared.clock import Clock
from shared.db import begin_write
from shared.passes import bind
from tests.databases import Databases, create_tables

PASSWORD = "correct horse battery"
# Tuesday 24 November 2026, ten in the morning in Paris.
TUESDAY = "2026-11-24T10:00:00+01:00"
WEEK = {day: [["09:00", "19:00"]] for day in ("mo", "tu", "we", "th", "fr")}


class LocalServer:
    """Serves one application on a port of its own; can be stopped and started again."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.app: Flask | None = None

    def start(self) -> None:
        assert self.app is not None
        if self._socket.fileno() == -1:
            self._socket = socket.socket()
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("127.0.0.1", self.port))
        self._socket.listen(128)
        self._server = make_server(
            "127.0.0.1", self.port, self.app, threaded=True, fd=self._socket.fileno()
        )
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        self._socket.close()


@dataclass
class Person:
    """A member with a phone: its key, and the credential once there is one."""

    node: LocalNode
    account_id: int
    email: str
    token: str
    plan_class: str
    key: OKPKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))
    credential: str = ""
    pass_id: str = ""

    def get_pass(self) -> Person:
        answer = self.node.post(
            "/api/v1/me/passes", {"jwk": self.key.as_dict(private=False)}, self.token
        )
        assert answer.status_code == 201, answer.text
        self.credential, self.pass_id = answer.json()["credential"], answer.json()["pass_id"]
        return self

    def show(self, issued_at: float | None = None) -> str:
        """Return the text of a fresh QR."""
        if not self.credential:
            self.get_pass()
        return bind(self.credential, self.key, time.time() if issued_at is None else issued_at)


@dataclass
class LocalService:
    app: Flask
    server: LocalServer

    @property
    def url(self) -> str:
        return self.server.url

    def _headers(self, token: str | None, extra: dict[str, str]) -> dict[str, str]:
        return {**({"Authorization": f"Bearer {token}"} if token else {}), **extra}

    def get(self, path: str, token: str | None = None, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=self._headers(token, headers), timeout=20)

    def post(
        self, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> requests.Response:
        return requests.post(
            self.url + path, json=body, headers=self._headers(token, headers), timeout=20
        )

    def delete(self, path: str, token: str) -> requests.Response:
        return requests.delete(self.url + path, headers=self._headers(token, {}), timeout=20)


@dataclass
class LocalHub(LocalService):
    token: str = ""

    def statement(self, month: str = "2026-11") -> dict[str, Any]:
        answer = self.get(f"/api/v1/statements/{month}", self.token)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document


@dataclass
class LocalNode(LocalService):
    id: str = ""
    desk: str = ""
    admin: str = ""
    people: int = 0

    @contextmanager
    def context(self) -> Iterator[Any]:
        """Give the node's session and context, as a job has them."""
        with self.app.app_context():
            yield node_db.session(), node_context()

    def add_person(
        self, plan_class: str = "resident", joined_on: date = date(2026, 1, 5)
    ) -> Person:
        self.people += 1
        email = f"p{self.people}@{self.id}.example"
        with self.context() as (session, node):
            now = node.clock.now()
            plans = {p.plan_class: p.id for p in session.scalars(_all_plans())}
            member = members.add_member(
                session,
                now,
                email=email,
                given_name=f"Ada{self.people}",
                family_name="Test",
                password=PASSWORD,
                plan_id=plans[plan_class],
                joined_on=joined_on,
            )
            account_id = member.account_id
            token = node_accounts.add_token(session, now, account_id, "test", ["member"])
        return Person(self, account_id, email, token, plan_class)

    def scan(
        self, shown: str, space: str | None = None, key: str | None = None, **headers: str
    ) -> requests.Response:
        """Check in at the desk."""
        if key:
            headers["Idempotency-Key"] = key
        body = {"space": space or self.id, "pass": shown}
        return self.post("/api/v1/check-ins", body, self.desk, **headers)

    def refresh(self) -> None:
        """Do what the jobs process does: deliver, and learn what the network says."""
        with self.context() as (session, node):
            sync.flush(session, node)
            sync.refresh(session, node)
            sync.refresh_status_lists(session, node)


def _all_plans() -> Any:
    from sqlalchemy import select

    from node.members.models import Plan

    return select(Plan)


@dataclass
class Network:
    folder: Path
    databases: Databases
    clock: Clock
    hub: LocalHub
    nodes: dict[str, LocalNode] = field(default_factory=dict)

    def add_node(
        self, name: str, *, guest_cap: int = 5, week: Any = None, **sheet: Any
    ) -> LocalNode:
        """Make a node with one space of its own id, enrol it, and let all learn of it."""
        server = LocalServer()
        folder = self.folder / name
        folder.mkdir()
        app = create_node(
            NodeSettings(
                url=server.url,
                hub_url=self.hub.url,
                name=name,
                secret_key="n" * 32,
                data_dir=folder,
                database_url=self.databases.new(),
                demo=True,
                allow_private_peers=True,
                clock=self.clock,
            )
        )
        create_tables(app)
        node = LocalNode(app, server, id=name)
        with node.context() as (session, context):
            now = context.clock.now()
            begin_write(session)
            hours = WEEK if week is None else week
            spaces.add(
                session, now, name, "Lyon", id=name, week=hours, guest_cap=guest_cap, **sheet
            )
            ids = {
                role: node_accounts.create(
                    session,
                    now,
                    email=f"{role}@{name}.example",
                    name=role,
                    password=PASSWORD,
                    roles=[role],
                ).id
                for role in ("admin", "desk")
            }
            session.commit()
            for plan_class in ("resident", "nomad", "ticket"):
                members.add_plan(session, plan_class, plan_class, None)
            node.admin = node_accounts.add_token(session, now, ids["admin"], "t", ["admin"])
            node.desk = node_accounts.add_token(session, now, ids["desk"], "t", ["desk"])
        server.app = app
        server.start()
        self._enrol(node)
        self.nodes[name] = node
        self.refresh()
        return node

    def _enrol(self, node: LocalNode) -> None:
        with self.hub.app.app_context():
            token, _ = directory.invite(hub_db.session(), hub_context().clock.now(), node.id, None)
        with node.context() as (session, context):
            assert sync.enrol(session, context, token) == node.id
            sync.sign_charter(session, context)
            spaces.publish_now(session, context)

    def refresh(self) -> None:
        for node in self.nodes.values():
            node.refresh()

    def move_to(self, instant: str) -> None:
        """Set what day it is, everywhere."""
        from datetime import datetime

        from shared.clock import parse_clock

        assert datetime.fromisoformat(instant).tzinfo
        object.__setattr__(self.clock, "offset", parse_clock(instant).offset)

    def pass_time(self, **delta: float) -> None:
        object.__setattr__(self.clock, "offset", self.clock.offset + timedelta(**delta))

    def close(self) -> None:
        for service in [*self.nodes.values(), self.hub]:
            service.server.stop()
            with service.app.app_context():
                service.app.extensions["sqlalchemy"].engine.dispose()


def new_network(
    folder: Path, databases: Databases, *, rules: str | None = None, clock: str = TUESDAY
) -> Network:
    """Start a hub with the model charter, or with other rules (TOML text)."""
    from shared.clock import parse_clock

    shared_clock = parse_clock(clock)
    server = LocalServer()
    data = folder / "hub"
    data.mkdir()
    app = create_hub(
        HubSettings(
            url=server.url,
            secret_key="h" * 32,
            data_dir=data,
            database_url=databases.new(),
            demo=True,
            allow_private_peers=True,
            clock=shared_clock,
        )
    )
    create_tables(app)
    hub = LocalHub(app, server)
    sources = model_sources()
    if rules is not None:
        sources["rules.toml"] = rules
    with app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        governance.adopt_first(session, now, sources)
        begin_write(session)
        account = hub_accounts.create(
            session,
            now,
            email="coord@hub.example",
            name="Coord",
            password=PASSWORD,
            roles=["coordinator"],
        )
        session.commit()
        hub.token = hub_accounts.add_token(session, now, account.id, "t", ["coordinator"])
    server.app = app
    server.start()
    return Network(folder, databases, shared_clock, hub)
