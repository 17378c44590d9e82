"""Who has asked is told what changes: signed, repeated until it is taken, and nobody else waits."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from federation import jobs
from federation.audit.models import AuditEntry
from federation.db import db
from federation.mail.models import Mail
from federation.nodes.models import Node
from federation.webhooks import delivery, service
from federation.webhooks.models import Delivery, Told, Webhook
from node.spaces import service as spaces
from shared.base.mail_server import mail_server
from shared.store.db import begin_write
from tests.network import LocalNode, Network
from tests.shared.browser import Browser, forget_attempts

pytestmark = pytest.mark.both_databases


class Receiver:
    """An integrator's server: keeps what it is sent, and answers what the test says."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.raw: list[tuple[dict[str, str], str]] = []
        self.status, self.pause = 204, threading.Event()
        self.pause.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                outer.raw.append(({k.lower(): v for k, v in self.headers.items()}, body))
                outer.taken.append(json.loads(body))
                outer.pause.wait(10)
                self.send_response(outer.status)
                self.send_header("Location", "http://127.0.0.1:9/")
                self.end_headers()
                if outer.status != 204:
                    self.wfile.write(b"<b>no\x00</b>")

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?key=k"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def kinds(self) -> list[str]:
        return [message["type"] for message in self.taken]

    def close(self) -> None:
        self.pause.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _nothing_left(lasting_network: Network) -> Iterator[None]:
    refresh(lasting_network)
    yield
    with lasting_network.hub.app.app_context():
        begin_write(db.session())
        for table in (Delivery, Webhook, Mail):
            db.session.execute(delete(table))
        db.session.commit()


def subscribe(network: Network, url: str, *kinds: str) -> tuple[int, str]:
    with network.hub.app.app_context():
        hub = network.hub.app.extensions["hub"]
        args = ("account:1", "Integrator", url, "dev@example.org", kinds or list(service.KINDS))
        webhook, secret = service.subscribe(db.session(), hub, *args)
        return webhook.id, secret


def refresh(network: Network) -> None:
    with network.hub.app.app_context():
        jobs.refresh_feeds()


def deliver(network: Network) -> None:
    """Do what the jobs process does, and wait until all is sent that is due."""
    with network.hub.app.app_context():
        clock = network.hub.app.extensions["hub"].clock
        sender = delivery.Sender()
        for begun in sender.run(network.hub.app, delivery.due(db.session(), clock.real())):
            begun.result(20)


def rows(network: Network) -> list[tuple[str, str, int]]:
    with network.hub.app.app_context():
        found = db.session.scalars(select(Delivery).order_by(Delivery.id))
        return [(row.kind, row.state, row.attempts) for row in found]


def make_due(network: Network, **values: Any) -> None:
    with network.hub.app.app_context():
        begin_write(db.session())
        real = network.hub.app.extensions["hub"].clock.real()
        db.session.execute(update(Delivery).values(next_attempt_at=real, **values))
        db.session.commit()


def rename(node: LocalNode, name: str) -> None:
    with node.context() as (session, context):
        spaces.save(session, context, node.id, {"name": name})
        spaces.publish_now(session, context)


def test_what_changes_is_told_once_and_signed(lasting_network: Network, receiver: Receiver) -> None:
    cordee, troquet = (lasting_network.nodes[name] for name in ("cordee", "troquet"))
    _, secret = subscribe(lasting_network, receiver.url)
    rename(troquet, "Le Troquet")
    assert troquet.scan(cordee.add_person().show()).status_code == 201
    troquet.tell()
    refresh(lasting_network)
    refresh(lasting_network)
    deliver(lasting_network)
    assert sorted(receiver.kinds()) == ["availability.changed", "space.changed"]
    by_kind = {message["type"]: message["data"] for message in receiver.taken}
    assert by_kind["space.changed"]["name"] == "Le Troquet"
    assert by_kind["availability.changed"]["id"] == "troquet"
    assert "Ada" not in str(receiver.taken)
    headers, body = receiver.raw[0]
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


def test_a_node_s_state_is_told_and_what_was_before_is_no_news(
    lasting_network: Network, receiver: Receiver
) -> None:
    subscribe(lasting_network, receiver.url, "node.state", "charter.in_force")
    lasting_network.set_state("filature", "suspended")
    refresh(lasting_network)
    lasting_network.set_state("filature", "connected")
    refresh(lasting_network)
    deliver(lasting_network)
    assert [m["data"]["state"] for m in receiver.taken] == ["suspended", "connected"]
    with lasting_network.hub.app.app_context():  # as on a hub that has just learned to tell
        begin_write(db.session())
        db.session.execute(delete(Told))
        db.session.commit()
    refresh(lasting_network)
    deliver(lasting_network)
    assert len(receiver.taken) == 2


def test_what_is_not_taken_is_sent_again_with_the_same_id_and_then_given_up(
    lasting_network: Network, receiver: Receiver
) -> None:
    webhook_id, _ = subscribe(lasting_network, receiver.url, "space.changed")
    receiver.status = 500
    rename(lasting_network.nodes["troquet"], "Le Troquet II")
    refresh(lasting_network)
    deliver(lasting_network)
    deliver(lasting_network)  # not due yet
    assert rows(lasting_network) == [("space.changed", "pending", 1)]
    receiver.status = 302  # a redirect is not followed
    make_due(lasting_network)
    deliver(lasting_network)
    assert len({headers["webhook-id"] for headers, _ in receiver.raw}) == 1
    assert rows(lasting_network) == [("space.changed", "pending", 2)]
    make_due(lasting_network, attempts=len(delivery.RETRY_SECONDS))
    deliver(lasting_network)
    assert rows(lasting_network)[0][1] == "dead"
    receiver.status = 204
    with lasting_network.hub.app.app_context():
        hub = lasting_network.hub.app.extensions["hub"]
        (row,) = service.deliveries(db.session(), webhook_id)
        service.send_again(db.session(), hub, webhook_id, row.id)
    deliver(lasting_network)
    assert rows(lasting_network)[0][1] == "done"


def test_a_process_that_dies_while_it_sends_leaves_the_message_to_be_sent_again(
    lasting_network: Network, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(lasting_network, receiver.url, "space.changed")
    rename(lasting_network.nodes["troquet"], "Le Troquet III")
    refresh(lasting_network)
    with monkeypatch.context() as patched:
        patched.setattr(delivery, "_mark", lambda *_args: None)  # dead before it was noted
        deliver(lasting_network)
    assert rows(lasting_network) == [("space.changed", "pending", 1)]
    make_due(lasting_network)
    deliver(lasting_network)
    first, second = (headers["webhook-id"] for headers, _ in receiver.raw)
    assert first == second
    assert rows(lasting_network) == [("space.changed", "done", 2)]


def test_of_a_space_s_free_places_only_the_latest_is_owed(
    lasting_network: Network, receiver: Receiver
) -> None:
    cordee, troquet = (lasting_network.nodes[name] for name in ("cordee", "troquet"))
    subscribe(lasting_network, receiver.url, "availability.changed")
    for _ in range(3):
        assert troquet.scan(cordee.add_person().show()).status_code == 201
        troquet.tell()
        refresh(lasting_network)
    deliver(lasting_network)
    assert receiver.kinds() == ["availability.changed"]


def test_a_slow_receiver_delays_nobody(lasting_network: Network, receiver: Receiver) -> None:
    slow = Receiver()
    slow.pause.clear()
    subscribe(lasting_network, slow.url, "space.changed")
    subscribe(lasting_network, receiver.url, "space.changed")
    app, sender = lasting_network.hub.app, delivery.Sender()
    clock = app.extensions["hub"].clock
    under_way = []
    for number, name in enumerate(("Le Troquet IV", "Le Troquet V"), start=1):
        rename(lasting_network.nodes["troquet"], name)
        refresh(lasting_network)
        with app.app_context():
            under_way += sender.run(app, delivery.due(db.session(), clock.real()))
        deadline = time.monotonic() + 10
        while len(receiver.taken) < number:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert len(slow.taken) == 1
    slow.close()
    for begun in under_way:
        begun.result(20)


def test_who_takes_nothing_for_days_is_switched_off_and_told_by_mail(
    lasting_network: Network, receiver: Receiver
) -> None:
    app = lasting_network.hub.app
    hub = app.extensions["hub"]
    settings = hub.settings
    object.__setattr__(settings, "smtp_url", mail_server(f"file://{lasting_network.folder}"))
    object.__setattr__(settings, "mail_from", "hub@example.org")
    webhook_id, _ = subscribe(lasting_network, receiver.url, "space.changed")
    receiver.status = 500
    rename(lasting_network.nodes["troquet"], "Le Troquet VI")
    refresh(lasting_network)
    deliver(lasting_network)
    with app.app_context():
        begin_write(db.session())
        since = hub.clock.real() - timedelta(days=3, minutes=1)
        db.session.execute(update(Webhook).values(failing_since=since))
        db.session.commit()
    make_due(lasting_network)
    deliver(lasting_network)
    object.__setattr__(settings, "smtp_url", None)
    with app.app_context():
        assert db.session.get_one(Webhook, webhook_id).state == "disabled"
        (mail,) = db.session.scalars(select(Mail))
        assert mail.to == "dev@example.org"
        assert "Integrator" in mail.subject
    assert rows(lasting_network) == [("space.changed", "dead", 2)]
    rename(lasting_network.nodes["troquet"], "Le Troquet VII")
    refresh(lasting_network)
    assert len(rows(lasting_network)) == 1  # nothing more is owed


@pytest.fixture
def coordinator(lasting_network: Network) -> Browser:
    forget_attempts()
    browser = Browser(lasting_network.hub, "en")
    assert browser.log_in("coord@hub.example").status_code == 302
    return browser


def test_a_coordinator_adds_tries_rotates_pauses_and_removes(
    lasting_network: Network, receiver: Receiver, coordinator: Browser
) -> None:
    at = "/coordination/webhooks"
    coordinator.get(at)
    wrong = coordinator.post(at, {"name": "x", "url": "ftp://x", "email": "nobody", "kinds": []})
    assert wrong.status_code == 422
    for words in ("https://", "name@example.org", "at least one"):
        assert words in wrong.text
    values = {"name": "Ville", "url": receiver.url, "email": "", "kinds": ["space.changed"]}
    added = coordinator.post(at, values)
    assert "whsec_" in added.text
    with lasting_network.hub.app.app_context():
        webhook = db.session.scalars(select(Webhook)).one()
        assert "whsec_" not in webhook.secret
        one = f"{at}/{webhook.id}"
    assert "whsec_" not in coordinator.get(one).text
    assert "It answered 204" in coordinator.post(one, {"action": "test"}).text
    assert receiver.kinds() == ["webhook.test"]
    receiver.status = 418
    refused = coordinator.post(one, {"action": "test"}).text
    assert "It answered 418" in refused
    assert "&lt;b&gt;no" in refused
    receiver.status = 204
    assert "whsec_" in coordinator.post(one, {"action": "rotate"}).text
    coordinator.post(one, {"action": "test"})
    assert len(receiver.raw[-1][0]["webhook-signature"].split(" ")) == 2  # both secrets sign
    rename(lasting_network.nodes["troquet"], "Le Troquet VIII")
    refresh(lasting_network)
    coordinator.post(one, {"action": "paused"})
    deliver(lasting_network)
    assert "space.changed" not in receiver.kinds()
    assert coordinator.post(one, {"action": "remove"}).status_code == 302
    assert coordinator.get(one).status_code == 404
    with lasting_network.hub.app.app_context():
        lines = db.session.scalars(
            select(AuditEntry).where(AuditEntry.action.startswith("webhook-"))
        )
        last = [line for line in lines if line.subject.endswith(one.rpartition("/")[2])]
        assert [line.action for line in last][-4:] == [
            "webhook-added",
            "webhook-secret-changed",
            "webhook-state",
            "webhook-removed",
        ]
        assert "key=k" not in str([line.detail for line in last])
        assert db.session.get_one(Node, "troquet").state == "connected"


def test_a_secret_sealed_with_another_key_is_named_and_nothing_is_sent_unsigned(
    lasting_network: Network, receiver: Receiver
) -> None:
    webhook_id, _ = subscribe(lasting_network, receiver.url, "space.changed")
    with lasting_network.hub.app.app_context():
        begin_write(db.session())
        sealed = service.signing.seal("another key", "whsec_AAAA")
        db.session.get_one(Webhook, webhook_id).secret = sealed
        db.session.commit()
    rename(lasting_network.nodes["troquet"], "Le Troquet IX")
    refresh(lasting_network)
    deliver(lasting_network)
    assert receiver.raw == []
    with lasting_network.hub.app.app_context():
        (row,) = service.deliveries(db.session(), webhook_id)
        assert row.fault == "secret-unreadable"
