"""Calling addresses that others gave: only public ones, and never for long."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from federation.app import create_new as create_hub
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes import enrolment
from federation.nodes.models import Node
from federation.settings import HubSettings
from federation.spaces import harvest
from shared.base import deadline
from shared.crypto.keys import new_key_ring
from shared.net.addresses import is_public
from shared.net.http import Away, Circuit, PeerError, PeerSession, Unreachable, check_url
from shared.store.account_tables import hash_token
from shared.store.db import begin_write
from tests.contract.hostile import OK, answer, drop_by_drop, hostile, never, without_end
from tests.network import Network


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
        "255.255.255.255",
        "224.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "::",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "::127.0.0.1",
        "fec0::1",
        "::ffff:0:7f00:1",
        "64:ff9b:1::1",
        "5f00::1",
        "3fff::1",
    ],
)
def test_an_address_that_is_not_the_internets_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org",
        "https://example.org/?a=b",
        "https://example.org/#a",
        "https://a:b@example.org",
        "https://a@example.org",
        "https://:443",
        "https://example.org:0",
        "https://example.org:port",
        "javascript:alert(1)",
        "//example.org",
        "",
    ],
)
def test_a_peer_has_an_https_address_and_nothing_more(url: str) -> None:
    with pytest.raises(PeerError):
        check_url(url, allow_private=False)
    assert check_url(" https://Example.org/node/ ", allow_private=False) == (
        "https://example.org/node"
    )


class Resolver:
    """Answers look-ups in turn, and notes what is connected to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.answers, self.asked, self.connected = list(answers), list[str](), list[Any]()
        monkeypatch.setattr("shared.net.addresses.socket.getaddrinfo", self._look_up)
        monkeypatch.setattr("shared.net.addresses.create_connection", self._connect)

    def _look_up(self, host: str, port: int, **_kwargs: Any) -> list[Any]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(2, 1, 6, "", (address, port)) for address in found]

    def _connect(self, address: Any, *_args: Any, **_kwargs: Any) -> Any:
        self.connected.append(address)
        raise OSError("not in a test")


@pytest.mark.parametrize("found", [["127.0.0.1"], ["169.254.169.254"], ["9.9.9.9", "10.0.0.1"]])
def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, found: list[str]
) -> None:
    resolver = Resolver(monkeypatch, found)
    with pytest.raises(PeerError) as refused:
        PeerSession(allow_private=False).request("GET", "https://node.example/x")
    assert refused.value.reason == "address-not-public"
    assert resolver.connected == []


def test_a_name_is_looked_up_once_and_that_very_address_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(monkeypatch, ["9.9.9.9"], ["127.0.0.1"])
    with pytest.raises(Unreachable):
        PeerSession(allow_private=False).request("GET", "https://node.example/x")
    assert (resolver.asked, resolver.connected) == (["node.example"], [("9.9.9.9", 443)])


def test_a_hub_that_does_not_allow_private_peers_calls_none_back(
    tmp_path: Any, sqlite_databases: Any
) -> None:
    """The whole application, with the setting that is the default."""
    settings = HubSettings(url="https://hub.example", secret_key="h" * 32, data_dir=tmp_path)
    app = create_hub(settings)
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
        token, _ = enrolment.invite(hub_db.session(), hub_context().clock.now(), "squat", None)
    ring = new_key_ring()
    with hostile(answer(b"{}")) as server:
        for url, kind in (
            (server.url, "validation"),
            (server.url.replace("http", "https"), "peer-refused"),
            (server.url.replace("http://127.0.0.1", "https://localhost"), "peer-refused"),
        ):
            proof = {
                "aud": "https://hub.example",
                "url": url,
                "invitation": hash_token(token),
                "iat": int(time.time()),
            }
            body = {
                "invitation": token,
                "url": url,
                "jwk": ring.public_jwks()[0],
                "proof": ring.sign(proof, "passerelle-enrolment+jwt"),
            }
            refused = app.test_client().post("/api/v1/enrolments", json=body)
            assert refused.status_code == 422
            assert refused.json["type"].endswith(kind), refused.json
        assert server.asked == []
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def _ask(url: str, timeout: float = 5, max_bytes: int = 1 << 16) -> Any:
    peers = PeerSession(allow_private=True, max_bytes=max_bytes)
    return peers.request("GET", url, timeout=timeout)


def test_a_redirect_is_an_answer_and_not_a_way() -> None:
    with hostile(answer(b"{}")) as target:
        moved = f"HTTP/1.1 302 Found\r\nLocation: {target.url}/x\r\n".encode()
        with hostile(answer(b"", status=moved)) as server:
            assert _ask(server.url).status == 302
        assert target.asked == []


@pytest.mark.parametrize(
    "size", [answer(b" " * (1 << 17)), without_end], ids=["announced", "without end"]
)
def test_an_answer_that_is_too_large_is_cut_off(size: Any) -> None:
    with hostile(size) as server, pytest.raises(PeerError) as refused:
        _ask(server.url)
    assert refused.value.reason == "answer-too-large"


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip"])
def test_a_packed_answer_is_not_unpacked(coding: str) -> None:
    packed = answer(b"\x1f\x8b" + b"\0" * 64, f"Content-Encoding: {coding}")
    with hostile(packed) as server, pytest.raises(PeerError) as refused:
        _ask(server.url)
    assert refused.value.reason == "encoding-refused"


@pytest.mark.parametrize(
    "act",
    [
        never,
        drop_by_drop(OK + b"\r\n"),
        drop_by_drop(OK + b"X-Slow: "),
        drop_by_drop(b"HTTP/1.1 200 "),
    ],
    ids=["silence", "body", "headers", "status line"],
)
def test_an_answer_that_takes_for_ever_is_given_up(act: Any) -> None:
    started = time.monotonic()
    with hostile(act) as server, pytest.raises(Unreachable):
        _ask(server.url, timeout=0.3)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Content-Length: 10\r\n\r\nshort",
        OK + b"X" * 70_000 + b": y\r\n\r\n",
        OK + b"A: b\r\n" * 300 + b"\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_no_answer(said: bytes) -> None:
    with hostile(said) as server, pytest.raises(Unreachable):
        _ask(server.url, timeout=2)


def test_an_answer_of_no_possible_length_ends_with_its_connection() -> None:
    with hostile(OK + b"Content-Length: -5\r\n\r\nmore") as server:
        answer = _ask(server.url, timeout=2)
    assert (answer.status, answer.body) == (200, b"more")


def test_one_slow_peer_holds_no_other_up(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    with network.hub.app.app_context():
        peers = PeerSession(allow_private=True)
        with hostile(never) as server:
            begin_write(hub_db.session())
            hub_db.session.get_one(Node, "cordee").url = server.url
            hub_db.session.commit()
            ask, heard, meanwhile = peers.request, threading.Event(), list[bool]()

            def request(method: str, url: str, **kwargs: Any) -> Any:
                if url.startswith(server.url):
                    meanwhile.append(heard.wait(30))
                    return ask(method, url, **{**kwargs, "timeout": 0.2})
                answer = ask(method, url, **{**kwargs, "timeout": 10})
                heard.set()
                return answer

            monkeypatch.setattr(peers, "request", request)
            wrong = harvest.harvest(hub_db.session(), hub_context().clock.now(), peers)
    assert list(wrong) == ["cordee"]
    assert meanwhile == [True], "others were heard while the slow one was waited for"


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "2852039166",
        "0xa9fea9fe",
    ],
)
def test_where_clouds_keep_their_secrets_nobody_is_asked_in_a_trial_either(host: str) -> None:
    with pytest.raises(PeerError, match="address-not-public"):
        PeerSession(allow_private=True).request("GET", f"http://{host}/latest")


def test_a_name_that_leads_there_is_not_asked_in_a_trial_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolver = Resolver(monkeypatch, ["127.0.0.1", "169.254.169.254"])
    with pytest.raises(PeerError, match="address-not-public"):
        PeerSession(allow_private=True).request("GET", "http://node.example/x")
    assert resolver.connected == []


@pytest.mark.parametrize("allow_private", [True, False])
def test_each_address_of_a_name_is_tried(
    monkeypatch: pytest.MonkeyPatch, allow_private: bool
) -> None:
    resolver = Resolver(monkeypatch, ["2620:fe::fe", "9.9.9.9"])
    with pytest.raises(Away):
        PeerSession(allow_private=allow_private).request("GET", "https://node.example/x")
    assert resolver.connected == [("2620:fe::fe", 443), ("9.9.9.9", 443)]


@pytest.mark.parametrize("allow_private", [True, False])
def test_a_resolver_that_does_not_answer_takes_no_longer_than_a_peer_may(
    monkeypatch: pytest.MonkeyPatch, allow_private: bool
) -> None:
    over, asked = threading.Event(), list[str]()

    def hang(host: str, *_args: Any, **_kwargs: Any) -> Any:
        asked.append(host)
        over.wait(30)
        raise OSError

    monkeypatch.setattr("shared.net.addresses.socket.getaddrinfo", hang)
    peers, started = PeerSession(allow_private=allow_private), time.monotonic()
    for _ in range(3):
        with pytest.raises(Away):
            peers.request("GET", "https://hanging.example/x", timeout=0.1)
    assert time.monotonic() - started < 10
    assert asked == ["hanging.example"], "one look-up at a time waits for a name"
    over.set()


def test_what_is_asked_for_somebody_who_waits_has_one_deadline() -> None:
    with hostile(never) as server, deadline.within(0.2):
        peers, started = PeerSession(allow_private=True), time.monotonic()
        with pytest.raises(Away):
            peers.request("GET", server.url)
        with pytest.raises(Unreachable, match="late"):
            peers.request("GET", server.url)
    assert time.monotonic() - started < 5
    assert len(server.asked) == 1


def test_a_circuit_whose_probe_raises_closes_all_the_same() -> None:
    answers = iter((RuntimeError("not foreseen"), True))

    def probe() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    circuit = Circuit(probe, pause=0.01)
    circuit.trip()
    assert circuit._closed.wait(10)


def test_a_circuit_for_which_there_is_no_thread_is_not_open_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    circuit = Circuit(lambda: True)
    circuit.trip()
    assert not circuit.open
