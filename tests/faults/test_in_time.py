"""The door answers in time, whatever the hub, the names' servers, the clocks and locks do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from node.hub import service
from node.spaces.models import Space
from node.visits.models import Visit
from shared.crypto.keys import new_key_ring
from shared.store.db import begin_write
from tests.network import LocalNode, Network, Person

ASK_SECONDS = 0.5
GENEROUS_SECONDS = 8.0


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def member(network: Network) -> Person:
    return network.nodes["cordee"].add_person().get_pass()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.network.PATIENCE_SECONDS", 0)
    monkeypatch.setattr("node.visits.scan.ASK_SECONDS", ASK_SECONDS)
    monkeypatch.setattr("node.app.RECORD_SECONDS", ASK_SECONDS)


@contextmanager
def _hanging(network: Network) -> Iterator[list[str]]:
    """Let the hub take requests, and answer none of them before the end."""
    app, over, asked = network.hub.app, threading.Event(), list[str]()
    serve, answered = app.wsgi_app, threading.Semaphore(0)

    def hang(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        asked.append(environ["PATH_INFO"])
        over.wait(30)
        answered.release()
        start_response("503 Service Unavailable", [("Content-Length", "0")])
        return []

    app.wsgi_app = hang  # type: ignore[method-assign]
    try:
        yield asked
    finally:
        over.set()
        app.wsgi_app = serve  # type: ignore[method-assign]
        for node in network.nodes.values():
            node.await_hub()
        for _ in list(asked):
            assert answered.acquire(timeout=10)


@pytest.mark.usefixtures("impatient")
def test_ten_messages_and_a_hub_that_hangs_keep_nobody_waiting(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    others = [member.node.add_person().get_pass() for _ in range(5)]
    with troquet.cut_off(), troquet.without_jobs():
        for other in others:
            visit = troquet.scan(other.show()).json()["visit"]["id"]
            assert troquet.check_out(visit).status_code == 200
    assert troquet.waiting()["pending"] == 10
    with _hanging(network) as asked, troquet.without_jobs():
        started = time.monotonic()
        answer = troquet.scan(member.show())
        took = time.monotonic() - started
    assert answer.status_code == 201, answer.text
    assert answer.json()["decision"]["online"] is False
    assert took < GENEROUS_SECONDS
    assert len([path for path in asked if path != "/readyz"]) == 1


@pytest.mark.usefixtures("impatient")
def test_a_token_that_nobody_gives_is_not_waited_for_by_each_in_turn(
    network: Network, troquet: LocalNode, member: Person
) -> None:
    others = [member, *(member.node.add_person().get_pass() for _ in range(3))]
    troquet.app.extensions["node"].hub._expires = 0.0
    with _hanging(network) as asked, troquet.without_jobs():
        started = time.monotonic()
        answers = [troquet.scan(other.show()) for other in others]
        took = time.monotonic() - started
    assert [answer.status_code for answer in answers] == [201] * 4
    assert took < GENEROUS_SECONDS
    assert asked.count("/oauth/token") == 1


@pytest.mark.usefixtures("impatient")
def test_names_that_nobody_looks_up_keep_nobody_waiting(
    troquet: LocalNode, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, look_up = threading.Event(), socket.getaddrinfo

    def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "dead.example":
            return look_up(host, *args, **kwargs)
        over.wait(30)
        raise OSError

    with troquet.context() as (session, context):  # its list is read while it has its address
        assert service.network(session, context) is not None
    monkeypatch.setattr("shared.net.addresses.socket.getaddrinfo", hang)
    monkeypatch.setattr(troquet.app.extensions["node"].hub, "url", "http://dead.example:1")
    with troquet.without_jobs():
        started = time.monotonic()
        answer = troquet.scan(member.show())
        took = time.monotonic() - started
    over.set()
    troquet.circuit._closed.set()
    assert answer.status_code == 201, answer.text
    assert answer.json()["decision"]["online"] is False
    assert took < GENEROUS_SECONDS


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_is_said_soon_and_nothing_is_recorded(
    troquet: LocalNode, member: Person
) -> None:
    text = member.show()
    with troquet.context() as (session, _):
        begin_write(session)
        session.scalars(select(Space).with_for_update()).all()
        started = time.monotonic()
        answer = troquet.scan(text)
        took = time.monotonic() - started
        session.rollback()
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"].endswith("/problems/unavailable")
    assert took < GENEROUS_SECONDS
    with troquet.context() as (session, _):
        assert session.scalar(select(func.count()).select_from(Visit)) == 0
    assert troquet.scan(text).status_code == 201


def test_a_hub_that_does_not_know_this_node_is_not_a_hub_that_is_away(
    network: Network, troquet: LocalNode, member: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = troquet.app.extensions["node"].hub
    monkeypatch.setattr(hub, "_ring", new_key_ring())
    monkeypatch.setattr(hub, "_expires", 0.0)
    answer = troquet.scan(member.show(), **{"Accept-Language": "en"})
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"].endswith("/problems/node-unknown")
    assert "does not know this node" in answer.json()["detail"]
    assert troquet.preview(member.show()).status_code == 409
    assert troquet.presence() == []
    assert not troquet.circuit.open


# Clocks


def _behind(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """Let the hub's clock be behind this machine's, as far as tokens are concerned."""

    class Other:
        @staticmethod
        def time() -> float:
            return time.time() - seconds

    monkeypatch.setattr("federation.nodes.oauth.time", Other)


@pytest.mark.parametrize("seconds", [600, -600])
@pytest.mark.parametrize("wrong", ["node", "hub"])
def test_with_a_clock_ten_minutes_off_the_door_goes_on_and_says_which(
    network: Network,
    troquet: LocalNode,
    member: Person,
    monkeypatch: pytest.MonkeyPatch,
    seconds: int,
    wrong: str,
) -> None:
    """The phone's clock is right: it is the hub's, or this machine's."""
    by_phone = time.time() - (seconds if wrong == "node" else 0)
    other = member.node.add_person().get_pass()
    with monkeypatch.context() as patch:
        _behind(patch, seconds)
        troquet.app.extensions["node"].hub._expires = 0.0
        answers = [troquet.scan(each.show(by_phone)) for each in (member, other)]
    for answer in answers:
        assert answer.status_code == 201, answer.text
        assert answer.json()["decision"]["online"] is False
        clock = answer.json()["clock"]
        assert clock["wrong"] == wrong
        assert abs(clock["seconds"] - seconds) <= 5
    visit = answers[0].json()["visit"]
    offset = troquet.app.extensions["node"].clock.offset
    came = datetime.fromisoformat(visit["started_at"]) - offset
    assert abs(came.timestamp() - by_phone) < 30
    troquet.deliver()
    assert network.hub.lines(visit["id"]) == [1]
    right = troquet.scan(member.show())
    assert "clock" not in right.json()
