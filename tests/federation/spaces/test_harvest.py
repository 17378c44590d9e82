"""Asking nodes for what they publish: who answers is asked each minute, who does not ever less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import service as nodes
from federation.nodes.models import Node
from federation.spaces import availability, harvest
from shared.net.http import Answer, PeerSession
from shared.store.db import begin_write
from tests.contract.hostile import OK, answer, hostile, without_end
from tests.network import Network

MINUTE = timedelta(minutes=1)
PAGE = answer(b"<p>under construction", "Content-Type: text/html")
LOOP = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BOMB = answer(b"\x1f\x8b" + b"\0" * 99, "Content-Type: application/jwt", "Content-Encoding: gzip")
FORGED = answer(b"a.b.c", "Content-Type: application/jwt")


@contextmanager
def strangers(network: Network, **urls: str) -> Iterator[None]:
    """Let the hub know nodes at these addresses for a while."""
    with network.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        begin_write(session)
        for name, url in urls.items():
            common: dict[str, Any] = {"plans": {}, "enrolled_at": now, "last_seen_at": now}
            session.add(Node(id=name, name=name, url=url, **common))
        session.commit()
        try:
            yield
        finally:
            begin_write(session)
            session.execute(delete(Node).where(Node.id.in_(urls)))
            session.commit()


def ask(how: Any = harvest.harvest, after: timedelta = timedelta(0)) -> dict[str, str]:
    peers = PeerSession(allow_private=True)
    found: dict[str, str] = how(hub_db.session(), hub_context().clock.now() + after, peers)
    return found


def node(name: str) -> Node:
    return hub_db.session.get_one(Node, name, populate_existing=True)


def test_each_pause_is_twice_as_long_up_to_an_hour_and_a_quarter_by_lot() -> None:
    assert [harvest.pause(n, 0.5) for n in (1, 2, 3)] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    assert harvest.pause(7, 0.5) == harvest.pause(10_000, 0.5) == 60 * MINUTE
    assert (harvest.pause(1, 0.0), harvest.pause(1, 1.0)) == (0.75 * MINUTE, 1.25 * MINUTE)


def test_what_a_bad_node_says_is_named_and_the_others_are_heard(lasting_network: Network) -> None:
    acts = {"page": PAGE, "loop": LOOP, "bomb": BOMB, "forged": FORGED}
    with ExitStack() as stack:
        urls = {name: stack.enter_context(hostile(act)).url for name, act in acts.items()}
        urls["endless"] = stack.enter_context(hostile(without_end)).url
        with hostile(OK) as gone:
            urls["gone"] = gone.url
        stack.enter_context(strangers(lasting_network, **urls))
        assert ask() == {
            "page": "content-type text/html",
            "loop": "status 302",
            "bomb": "encoding-refused",
            "forged": "proof-invalid malformed",
            "endless": "answer-too-large",
            "gone": "unreachable NewConnectionError",
        }
        assert all(node(name).harvest_failures == 1 for name in urls)
        now = hub_context().clock.now()
        for name in lasting_network.nodes:
            assert node(name).harvest_fault is None
            assert abs(node(name).harvested_at - now) < MINUTE  # type: ignore[operator]
        assert ask() == {}  # others ask them, and not yet
        assert ask(harvest.ask_again) == {}


def test_a_node_that_does_not_answer_is_asked_ever_more_rarely(lasting_network: Network) -> None:
    with hostile(LOOP) as server, strangers(lasting_network, silent=server.url):
        assert list(ask()) == ["silent"]
        assert list(ask(harvest.ask_again, 2 * MINUTE)) == ["silent"]
        assert list(ask(harvest.ask_again, 2.9 * MINUTE)) == []
        assert list(ask(harvest.ask_again, 5 * MINUTE)) == ["silent"]
        assert (node("silent").harvest_failures, len(server.asked)) == (3, 3)


def test_a_node_that_comes_back_is_asked_at_once_and_is_one_of_the_living_again(
    lasting_network: Network,
) -> None:
    troquet = lasting_network.nodes["troquet"]
    with lasting_network.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        begin_write(session)
        away = {"harvest_failures": 9, "harvest_due_at": now + 50 * MINUTE}
        session.execute(
            update(Node)
            .where(Node.id == "troquet")
            .values(last_seen_at=now - 3 * MINUTE, harvest_fault="unreachable", **away)
        )
        session.commit()
        asked: list[str] = []
        peers = PeerSession(allow_private=True)
        request = peers.request

        def note(method: str, url: str, **kwargs: Any) -> Answer:
            asked.append(url)
            return request(method, url, **kwargs)

        peers.request = note  # type: ignore[method-assign]
        assert harvest.ask_again(session, now, peers) == {}
        assert asked == []
        availability.take(session, now, "troquet", {"as_of": now, "ttl": 60, "spaces": []})
        assert harvest.ask_again(session, now, peers) == {}
        assert asked == [f"{troquet.url}/.well-known/passerelle"]
        found = node("troquet")
        assert (found.harvest_failures, found.harvest_due_at) == (0, None)
        assert found.harvest_fault is None
        assert found.state == "connected"


def test_one_that_is_heard_all_the_time_has_not_come_back(lasting_network: Network) -> None:
    with hostile(LOOP) as server, strangers(lasting_network, walled=server.url):
        assert list(ask()) == ["walled"]
        now = hub_context().clock.now()
        due = node("walled").harvest_due_at
        told = {"as_of": now + MINUTE, "ttl": 60, "spaces": []}
        availability.take(hub_db.session(), now + MINUTE, "walled", told)
        nodes.seen(hub_db.session(), now + 2 * MINUTE, "walled")
        assert (node("walled").harvest_failures, node("walled").harvest_due_at) == (1, due)
        assert node("walled").last_seen_at > now
        nodes.seen(hub_db.session(), now + 9 * MINUTE, "walled")
        assert node("walled").harvest_due_at is None


def test_one_that_was_heard_while_it_was_asked_is_asked_once_more(
    lasting_network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hostile(LOOP) as server, strangers(lasting_network, quick=server.url):
        note = harvest._note

        def late(session: Any, now: Any, notes: Any) -> None:
            nodes.seen(session, now + MINUTE, "quick")
            note(session, now, notes)

        monkeypatch.setattr(harvest, "_note", late)
        assert list(ask()) == ["quick"]
        assert (node("quick").harvest_failures, node("quick").harvest_due_at) == (1, None)
