"""A small network inside the test's process: real applications on real loopback ports."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import requests
from argon2 import PasswordHasher
from flask import Flask, Response, current_app, request
from joserfc.jwk import ECKey, OKPKey
from sqlalchemy import select, update
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from charter import model_sources
from federation.app import create_new as create_hub
from federation.charters import service as charters
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.identity.service import accounts as hub_accounts
from federation.nodes import access_tokens, enrolment
from federation.nodes.models import Node as HubNode
from federation.search import index_refresh
from federation.settings import HubSettings
from federation.spaces.models import SpaceHours
from federation.watch.service import watch as hub_watch
from node import app as node_app
from node import hub_client as hub_calls
from node import jobs
from node.app import create_new as create_node
from node.context import node as node_context
from node.db import db as node_db
from node.hub import outbox
from node.hub import service as sync
from node.hub.models import Cached, Outbox
from node.identity.service import accounts as node_accounts
from node.members import service as members
from node.members.models import Plan
from node.settings import NodeSettings
from node.spaces import service as spaces
from node.visits import scan
from node.watch.service import watch as node_watch
from shared.base.clock import Clock
from shared.base.memory import forget_all
from shared.crypto.passes import AUDIENCE, bind
from shared.net.http import Answer, Away, Circuit, PeerSession
from shared.ops.watch import Tally
from shared.store import account_tables
from shared.store.db import begin_write
from shared.web.application import limiter
from tests.databases import Databases

index_refresh.LOOK_SECONDS = 0  # what was told is found by the very next request
access_tokens.LOOK_SECONDS = 0

PASSWORD = "correct horse battery"
# Tuesday 24 November 2026, ten in the morning in Paris.
TUESDAY = "2026-11-24T10:00:00+01:00"
WEEK = {day: [["09:00", "19:00"]] for day in ("mo", "tu", "we", "th", "fr")}

# Passwords of tests need not withstand anybody; hashing them well is a third of a test's time.
account_tables._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
account_tables._NOBODY = account_tables._hasher.hash("nobody")

# All services share this process: that one is slow on a busy machine is not its absence.
PATIENCE_SECONDS = 10.0
hub_calls.TIMEOUT_SECONDS = scan.ASK_SECONDS = node_app.RECORD_SECONDS = PATIENCE_SECONDS

T = TypeVar("T")


def be_patient(peers: PeerSession) -> None:
    ask = peers.request

    def request(method: str, url: str, *, timeout: float = 5.0, **kwargs: Any) -> Answer:
        return ask(method, url, timeout=max(timeout, PATIENCE_SECONDS), **kwargs)

    peers.request = request  # type: ignore[method-assign]


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all the calls at the same moment, each in a thread, and return their results."""
    barrier = threading.Barrier(len(calls))

    def wait_and(call: Callable[[], T]) -> T:
        barrier.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(wait_and, calls))


def rules(**changes: object) -> str:
    """Return the model charter's rules (TOML), each named value changed wherever it stands."""
    toml = model_sources()["rules.toml"]
    for name, value in changes.items():
        toml, times = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value}", toml)
        assert times, f"no rule has a value named {name}"
    return toml


def codes(answer: requests.Response) -> list[str]:
    """Return the codes of a refusal, in the order in which they were given."""
    return [reason["code"] for reason in answer.json()["decision"]["reasons"]]


class _OneRequest(WSGIRequestHandler):
    """Answers one request a connection, so that ending a server ends whatever it was doing."""

    protocol_version = "HTTP/1.0"

    def log_request(self, *_args: Any) -> None:
        pass


class LocalServer:
    """Serves one application on a port of its own; can be stopped and started again.

    The port stays ours while it is stopped: a socket that was shut down is bound, and refuses.
    """

    def __init__(self) -> None:
        self._socket, chosen = socket.socket(), socket.socket()
        for one in (chosen, self._socket):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        chosen.bind(("127.0.0.1", 0))
        self.port: int = chosen.getsockname()[1]
        # Only a port that was named at binding outlives a shutdown.
        self._socket.bind(("127.0.0.1", self.port))
        chosen.close()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self.app: Flask | None = None

    def start(self) -> None:
        assert self.app is not None
        self._socket.listen(128)
        self._server = make_server(
            "127.0.0.1",
            self.port,
            self.app,
            threaded=True,
            request_handler=_OneRequest,
            fd=self._socket.fileno(),
        )
        self._server.daemon_threads = False  # type: ignore[attr-defined] # closing waits for them
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._socket.fileno() < 0

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.stop()
        self._socket.close()


@dataclass
class Person:
    """A member with a phone: its key, and the credential once there is one."""

    node: LocalNode
    account_id: int
    email: str
    token: str
    plan_class: str
    key: OKPKey | ECKey = field(default_factory=lambda: OKPKey.generate_key("Ed25519"))
    credential: str = ""
    pass_id: str = ""
    days: int = 10

    def get_pass(self, days_ago: int | None = None) -> Person:
        """Get a pass that was made some days ago: tests tell of visits that were before today."""
        with self.node.days_ago(self.days if days_ago is None else days_ago):
            answer = self.node.post(
                "/api/v1/me/passes", {"jwk": self.key.as_dict(private=False)}, self.token
            )
        assert answer.status_code == 201, answer.text
        self.credential, self.pass_id = answer.json()["credential"], answer.json()["pass_id"]
        return self

    def other_phone(self) -> Person:
        """Return the same member with a second device, a pass of its own."""
        return Person(self.node, self.account_id, self.email, self.token, self.plan_class)

    def show(self, issued_at: float | None = None, audience: str = AUDIENCE) -> str:
        """Return the text of a fresh QR; a phone's clock says what day it is, too."""
        if not self.credential:
            self.get_pass()
        now = self.node.app.extensions["node"].clock.now().timestamp()
        at = now if issued_at is None else issued_at
        return bind(self.credential, self.key, at, audience=audience)


@dataclass
class LocalService:
    app: Flask
    server: LocalServer

    @property
    def url(self) -> str:
        return self.server.url

    def close(self) -> None:
        self.server.close()
        with self.app.app_context():
            self.app.extensions["sqlalchemy"].engine.dispose()

    def jobs_at_work(self, ago: timedelta = timedelta(0)) -> None:
        """Let the jobs process have given its sign of life some time ago, or now."""
        kind = "hub" if "hub" in self.app.extensions else "node"
        watch = {"hub": hub_watch, "node": node_watch}[kind]
        with self.app.app_context():
            session = self.app.extensions["sqlalchemy"].session()
            watch.write_down(session, datetime.now(UTC) - ago, Tally())

    @property
    def database(self) -> str:
        url: str = self.app.config["SQLALCHEMY_DATABASE_URI"]
        return url

    @contextmanager
    def ended(self) -> Iterator[None]:
        """End this service meanwhile: nobody is answered, nobody is in its database."""
        self.server.stop()
        with self.app.app_context():
            self.app.extensions["sqlalchemy"].engine.dispose()
        yield
        self.server.start()

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

    def put(self, path: str, body: Any, token: str | None = None) -> requests.Response:
        headers = self._headers(token, {})
        return requests.put(self.url + path, json=body, headers=headers, timeout=20)

    def delete(self, path: str, token: str) -> requests.Response:
        return requests.delete(self.url + path, headers=self._headers(token, {}), timeout=20)


@dataclass
class LocalHub(LocalService):
    token: str = ""

    def lines(self, visit_id: str, month: str = "2026-11") -> list[int]:
        """Return what a visit counts in the account, corrections after, in half-days."""
        document = self.statement(month)
        every = [*document["visits"], *document["corrections"]]
        return [line["half_days"] for line in every if line["id"] == visit_id]

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

    @property
    def circuit(self) -> Circuit:
        found: Circuit = self.app.extensions["node"].hub._circuit
        return found

    def await_hub(self) -> None:
        """Wait until this node has noticed that the hub is back."""
        assert self.circuit._closed.wait(10), "the hub is still away"

    @contextmanager
    def without_jobs(self) -> Iterator[None]:
        """Let nothing be delivered by itself meanwhile."""
        self.app.config["JOBS_AT_WORK"] = False
        yield
        self.app.config["JOBS_AT_WORK"] = True

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Keep this node alone from reaching the hub."""
        peers, hub_url = self.app.extensions["node"].peers, self.app.extensions["node"].hub.url
        ask = peers.request

        def refuse(method: str, url: str, **kwargs: Any) -> Answer:
            if url.startswith(hub_url):
                raise Away("cut off")
            answer: Answer = ask(method, url, **kwargs)
            return answer

        peers.request = refuse
        yield
        peers.request = ask
        self.await_hub()

    @contextmanager
    def calls(self) -> Iterator[list[str]]:
        """Note which addresses this node asks, but for whether the hub is back."""
        peers, asked = self.app.extensions["node"].peers, list[str]()
        ask = peers.request

        def note(method: str, url: str, **kwargs: Any) -> Answer:
            if not url.endswith("/readyz"):
                asked.append(url)
            answer: Answer = ask(method, url, **kwargs)
            return answer

        peers.request = note
        yield asked
        peers.request = ask

    @contextmanager
    def context(self) -> Iterator[Any]:
        """Give the node's session and context, as a job has them."""
        with self.app.app_context():
            yield node_db.session(), node_context()

    @contextmanager
    def days_ago(self, days: int) -> Iterator[None]:
        clock = self.app.extensions["node"].clock
        object.__setattr__(clock, "still", clock.real() - timedelta(days=days))
        try:
            yield
        finally:
            object.__setattr__(clock, "still", None)

    def add_person(
        self, plan_class: str = "resident", joined_on: date = date(2026, 1, 5)
    ) -> Person:
        self.people += 1
        email = f"p{self.people}@{self.id}.example"
        with self.context() as (session, node):
            now = node.clock.now()
            plans = {p.plan_class: p.id for p in session.scalars(select(Plan))}
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
        days = min(10, max(0, (now.date() - joined_on).days))
        return Person(self, account_id, email, token, plan_class, days=days)

    def scan(
        self, shown: str, space: str | None = None, key: str | None = None, **headers: str
    ) -> requests.Response:
        """Check in at the desk."""
        if key:
            headers["Idempotency-Key"] = key
        body = {"space": space or self.id, "pass": shown}
        return self.post("/api/v1/check-ins", body, self.desk, **headers)

    def preview(self, shown: str, space: str | None = None) -> requests.Response:
        body = {"space": space or self.id, "pass": shown}
        return self.post("/api/v1/check-ins/preview", body, self.desk)

    def check_out(self, visit_id: str) -> requests.Response:
        return self.post(f"/api/v1/check-ins/{visit_id}/check-out", None, self.desk)

    def void(self, visit_id: str, reason: str = "a mistake") -> requests.Response:
        return self.post(f"/api/v1/check-ins/{visit_id}/void", {"reason": reason}, self.desk)

    def presence(self) -> list[dict[str, Any]]:
        answer = self.get(f"/api/v1/presence?space={self.id}", self.desk)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def waiting(self) -> dict[str, int]:
        """Return how many messages are ``pending`` and ``dead`` in the outbox, or ``stuck``."""
        with self.context() as (session, _):
            counts = outbox.waiting(session)
        return {state: count for state, count in counts.items() if count or state != "stuck"}

    def deliver(self) -> None:
        """Deliver what waits, without the pause between attempts."""
        with self.context() as (session, node):
            begin_write(session)
            session.execute(update(Outbox).values(next_attempt_at=node.clock.real()))
            session.commit()
            outbox.flush(session, node)

    def age(self, name: str, **delta: float) -> None:
        """Make what was kept of the network older: ``trust-list``, ``status:cordee``."""
        with self.context() as (session, _):
            begin_write(session)
            kept = session.get_one(Cached, name)
            kept.fetched_at -= timedelta(**delta)
            session.commit()

    def tell(self) -> None:
        """Do what the jobs process does each second: tell how many places are free."""
        with self.app.app_context():
            jobs.tell_availability()

    def learn(self) -> None:
        """Learn what the network says, and no more."""
        with self.context() as (session, node):
            sync.refresh(session, node)
            sync.refresh_status_lists(session, node)

    def refresh(self) -> None:
        """Do what the jobs process does: deliver, and learn what the network says."""
        with self.app.app_context():
            jobs.deliver()
            jobs.learn()
            jobs.refresh()
            jobs.refresh_status_lists()
            jobs.tell_availability()


def be_at_work(response: Response) -> Response:
    """Deliver what a request has left to be told, as the jobs process does within a second."""
    if current_app.config.get("JOBS_AT_WORK", True) and request.method != "GET":
        node_db.session.rollback()
        outbox.flush(node_db.session(), node_context())
    return response


def new_node(network: Network, name: str) -> tuple[Flask, LocalServer]:
    """Return a node that nobody has written anything into, and its server, not started."""
    server, folder = LocalServer(), network.folder / name
    folder.mkdir()
    server.app = create_node(
        NodeSettings(
            url=server.url,
            hub_url=network.hub.url,
            name=name,
            secret_key="n" * 32,
            data_dir=folder,
            database_url=network.databases.new("node"),
            demo=True,
            allow_private_peers=True,
            clock=network.clock,
        )
    )
    server.app.after_request(be_at_work)
    return server.app, server


def new_hub(folder: Path, databases: Databases, clock: Clock) -> tuple[Flask, LocalServer]:
    """Return a hub that nobody has written anything into, and its server, not started."""
    server, data = LocalServer(), folder / "hub"
    data.mkdir()
    server.app = create_hub(
        HubSettings(
            url=server.url,
            secret_key="h" * 32,
            data_dir=data,
            database_url=databases.new("hub"),
            demo=True,
            allow_private_peers=True,
            clock=clock,
        )
    )
    return server.app, server


@dataclass
class Network:
    folder: Path
    databases: Databases
    clock: Clock
    hub: LocalHub
    nodes: dict[str, LocalNode] = field(default_factory=dict)
    make_node: Callable[[Network, str], tuple[Flask, LocalServer]] = new_node

    def add_node(
        self, name: str, *, signs: bool = True, guest_cap: int = 5, week: Any = None, **sheet: Any
    ) -> LocalNode:
        """Make a node with one space of its own id, enrol it, and let all learn of it."""
        node = self.add_stranger(name, guest_cap=guest_cap, week=week, **sheet)
        self._enrol(node, signs)
        for each in self.nodes.values():
            each.learn()
        node.tell()
        self._be_older(node)
        return node

    def _be_older(self, node: LocalNode) -> None:
        """Let a node be in the network since long, with the hours that it has."""
        with self.hub.app.app_context():
            session = hub_db.session()
            begin_write(session)
            row = session.get_one(HubNode, node.id)
            row.enrolled_at -= timedelta(days=40)
            for hours in session.scalars(select(SpaceHours).where(SpaceHours.space_id == node.id)):
                hours.since -= timedelta(days=40)
            session.commit()

    def add_stranger(
        self, name: str, *, guest_cap: int = 5, week: Any = None, **sheet: Any
    ) -> LocalNode:
        """Make a node with one space that runs, and is not enrolled."""
        app, server = self.make_node(self, name)
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
        node.jobs_at_work()
        server.start()
        node.circuit._pause = 0.02
        be_patient(app.extensions["node"].peers)
        self.nodes[name] = node
        return node

    def _enrol(self, node: LocalNode, signs: bool) -> None:
        limiter.reset()  # many networks enrol from one address in a minute
        with self.hub.app.app_context():
            token, _ = enrolment.invite(hub_db.session(), hub_context().clock.now(), node.id, None)
        with node.context() as (session, context):
            assert sync.enrol(session, context, token) == node.id
            if signs:
                sync.sign_charter(session, context)
            spaces.publish_now(session, context)

    def add_staff(self, role: str, name: str = "") -> str:
        """Make an account of the hub with this role, ``<name>@hub.example``; return its token."""
        name = name or role
        with self.hub.app.app_context():
            session, now = hub_db.session(), hub_context().clock.now()
            begin_write(session)
            account = hub_accounts.create(
                session,
                now,
                email=f"{name}@hub.example",
                name=name,
                password=PASSWORD,
                roles=[role],
            )
            session.commit()
            return hub_accounts.add_token(session, now, account.id, "t", [role])

    def refresh(self) -> None:
        """Do what every node's jobs process does."""
        for node in self.nodes.values():
            node.refresh()

    def move_to(self, instant: str) -> None:
        """Set what day it is, everywhere."""
        from datetime import datetime

        from shared.base.clock import parse_clock

        assert datetime.fromisoformat(instant).tzinfo
        object.__setattr__(self.clock, "offset", parse_clock(instant).offset)

    def pass_time(self, **delta: float) -> None:
        object.__setattr__(self.clock, "offset", self.clock.offset + timedelta(**delta))

    def set_state(self, node_id: str, state: str) -> None:
        """Suspend a node, or take it back, as the coordinator does."""
        path = f"/api/v1/nodes/{node_id}/state"
        answer = self.hub.put(path, {"state": state, "reason": "a test"}, self.hub.token)
        assert answer.status_code == 200, answer.text

    def back_up(self, service: LocalService) -> str:
        """Copy a service's database; return what ``restore`` needs."""
        with service.ended():
            return self.databases.back_up(service.database)

    def restore(self, service: LocalService, backup: str) -> None:
        """Put a service's database back as it was, and start the service again."""
        with service.ended():
            self.databases.restore(service.database, backup)
            forget_all(service.app)
            index_refresh.forget()
        for node in self.nodes.values():
            node.circuit._closed.set()

    def hub_goes(self) -> None:
        self.hub.server.stop()

    def hub_returns(self) -> None:
        """Start the hub again, and let every node notice it."""
        self.hub.server.start()
        for node in self.nodes.values():
            node.await_hub()

    def close(self) -> None:
        for node in self.nodes.values():
            node.circuit._closed.set()  # nobody need look out for the hub any more
        for service in [*self.nodes.values(), self.hub]:
            service.close()


def new_network(
    folder: Path, databases: Databases, *, rules: str | None = None, clock: str = TUESDAY
) -> Network:
    """Start a hub with the model charter, or with other rules (TOML text)."""
    from shared.base.clock import parse_clock

    shared_clock = parse_clock(clock)
    return open_hub(
        *new_hub(folder, databases, shared_clock), folder, databases, shared_clock, rules
    )


def open_hub(
    app: Flask,
    server: LocalServer,
    folder: Path,
    databases: Databases,
    clock: Clock,
    rules: str | None,
) -> Network:
    """Start a new hub: its charter, its coordinator."""
    be_patient(app.extensions["hub"].peers)
    hub = LocalHub(app, server)
    sources = model_sources()
    if rules is not None:
        sources["rules.toml"] = rules
    with app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        charters.adopt_first(session, now, sources)
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
    hub.jobs_at_work()
    server.start()
    return Network(folder, databases, clock, hub)
