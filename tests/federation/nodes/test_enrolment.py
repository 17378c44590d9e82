"""Coming in: an invitation, a key and an address, all three proven."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import update

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.nodes.models import Invitation
from node.hub import service as sync
from shared.crypto.keys import KeyRing, new_key_ring
from shared.store.account_tables import hash_token
from shared.store.db import begin_write
from shared.web.application import limiter
from tests.contract.hostile import answer, hostile
from tests.contract.speaking import FromNow, at_last, keys_of, kind, named
from tests.network import LocalNode, Network
from tests.shared.browser import Browser

pytestmark = pytest.mark.both_databases


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


@pytest.fixture
def invitation(lasting_network: Network) -> str:
    return _invite(lasting_network)


def _invite(network: Network) -> str:
    answer_ = network.hub.post(
        "/api/v1/invitations", {"operator": f"squat {secrets.token_hex(4)}"}, network.hub.token
    )
    token: str = answer_.json()["token"]
    return token


@pytest.mark.parametrize("name", ["troquet", "Tröquet", "TROQUET."])
def test_nobody_is_invited_under_another_operators_name(
    lasting_network: Network, name: str
) -> None:
    hub = lasting_network.hub
    asked = hub.post("/api/v1/invitations", {"operator": name}, hub.token)
    assert kind(asked) == (409, "name-taken"), asked.text
    coordinator = Browser(hub)
    coordinator.log_in("coord@hub.example")
    coordinator.get("/coordination/nodes")
    page = coordinator.post("/coordination/nodes", {"operator": name}).text
    assert "Another operator goes by this name." in page or "porte ce nom" in page
    assert "inv_" not in page


@contextlib.contextmanager
def _stranger(network: Network) -> Iterator[LocalNode]:
    """A node that runs, knows its hub, and was never enrolled."""
    node = network.add_stranger(f"stranger-{secrets.token_hex(4)}")
    _learn_hub_keys(node)
    yield node
    del network.nodes[node.id]
    node.close()


@pytest.fixture(scope="module")
def stranger(lasting_network: Network) -> Iterator[LocalNode]:
    """One that no test enrols."""
    with _stranger(lasting_network) as node:
        yield node


@pytest.fixture
def newcomer(lasting_network: Network) -> Iterator[LocalNode]:
    """One that a test may enrol."""
    with _stranger(lasting_network) as node:
        yield node


def _request(
    network: Network,
    node: LocalNode,
    invitation: str,
    keys: KeyRing | None = None,
    url: str | None = None,
    proof: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a node sends to be enrolled, with its proof changed."""
    keys = keys or keys_of(node)
    claims = {
        "aud": network.hub.url,
        "url": url or node.url,
        "invitation": hash_token(invitation),
        "iat": int(time.time()),
        **(proof or {}),
    }
    return {
        "invitation": invitation,
        "url": url or node.url,
        "jwk": keys.public_jwks()[0],
        "proof": keys.sign(at_last(claims), "passerelle-enrolment+jwt"),
    }


def _enrol(network: Network, body: dict[str, Any]) -> requests.Response:
    # The limit of attempts a minute is another test's.

    limiter.reset()
    return network.hub.post("/api/v1/enrolments", body)


def _learn_hub_keys(node: LocalNode) -> None:
    with node.context() as (session, context):
        keys = context.hub.get("/.well-known/jwks.json").body.decode()
        sync.store(session, context.clock.real(), "hub-jwks", keys)


def test_an_invitation_opens_once_and_only_as_long_as_it_lasts(
    lasting_network: Network, newcomer: LocalNode, invitation: str
) -> None:
    body = _request(lasting_network, newcomer, invitation)
    with lasting_network.hub.app.app_context():
        begin_write(hub_db.session())
        row = update(Invitation).where(Invitation.token_hash == hash_token(invitation))
        now = hub_context().clock.now()
        hub_db.session.execute(row.values(expires_at=now - timedelta(seconds=1)))
        hub_db.session.commit()
        expired = _enrol(lasting_network, body)
        begin_write(hub_db.session())
        hub_db.session.execute(row.values(expires_at=now + timedelta(days=1)))
        hub_db.session.commit()
    assert kind(expired) == (403, "invitation-invalid")
    unknown = _request(lasting_network, newcomer, "inv_" + "x" * 43)
    assert kind(_enrol(lasting_network, unknown)) == (403, "invitation-invalid")
    assert _enrol(lasting_network, body).status_code == 201
    assert kind(_enrol(lasting_network, body)) == (403, "invitation-invalid")


def test_a_url_that_belongs_to_a_node_is_taken_for_good(
    lasting_network: Network, cordee: LocalNode, invitation: str
) -> None:
    body = _request(lasting_network, cordee, invitation)
    assert kind(_enrol(lasting_network, body)) == (409, "url-taken")
    for spelling in (cordee.url + "/", cordee.url.upper().replace("HTTP", "http")):
        again = {**_request(lasting_network, cordee, invitation, url=cordee.url), "url": spelling}
        assert kind(_enrol(lasting_network, again)) == (409, "url-taken")


def test_a_url_that_does_not_answer_uses_no_invitation_up(
    lasting_network: Network, newcomer: LocalNode, invitation: str
) -> None:
    newcomer.server.stop()
    body = _request(lasting_network, newcomer, invitation)
    assert kind(_enrol(lasting_network, body)) == (422, "peer-refused")
    newcomer.server.start()
    assert _enrol(lasting_network, body).status_code == 201


def test_a_url_where_another_key_answers_is_refused(
    lasting_network: Network, stranger: LocalNode, invitation: str
) -> None:
    body = _request(lasting_network, stranger, invitation, keys=new_key_ring())
    assert kind(_enrol(lasting_network, body)) == (422, "peer-refused")


@pytest.mark.parametrize(
    "said",
    [
        answer(b'{"answer": "x.y.z"}', "Content-Type: application/json"),
        answer(b"{}", "Content-Type: application/json"),
        answer(b'"text"', "Content-Type: application/json"),
        answer(b"<html>", "Content-Type: text/html"),
        answer(b"\xff\xfe"),
        answer(b"", status=b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"),
        b"not HTTP at all\r\n\r\n",
    ],
    ids=["no token", "empty", "no object", "page", "bytes", "redirect", "no HTTP"],
)
def test_a_url_where_no_node_answers_is_refused(
    lasting_network: Network, stranger: LocalNode, invitation: str, said: bytes
) -> None:
    with hostile(said) as server:
        body = _request(lasting_network, stranger, invitation, url=server.url)
        refused = _enrol(lasting_network, {**body, "url": server.url})
        assert kind(refused) == (422, "peer-refused")
        assert server.asked == ["POST /api/v1/enrolment/challenge HTTP/1.1"]


def test_a_url_that_leads_to_another_node_does_not_make_it_ours(
    lasting_network: Network, stranger: LocalNode, cordee: LocalNode, invitation: str
) -> None:
    """A proxy passes the challenge on to a real node: it answers for its own address alone."""

    def relay(_server: Any, connection: Any) -> None:
        challenge = {"challenge": seen[0]} if (seen := relayed) else {}
        told = cordee.post("/api/v1/enrolment/challenge", challenge)
        statuses.append(told.status_code)
        connection.sendall(answer(told.content, "Content-Type: application/json"))

    statuses: list[int] = []
    with hostile(relay) as server, lasting_network.hub.app.app_context():
        hub = hub_context()
        now = int(time.time())
        claims = {"iss": hub.url, "aud": server.url, "nonce": "n" * 24, "iat": now, "exp": now + 60}
        relayed = [hub.ring.sign(claims, "passerelle-challenge+jwt")]
        body = _request(lasting_network, cordee, invitation, url=server.url)
        refused = _enrol(lasting_network, {**body, "url": server.url})
    assert kind(refused) == (422, "peer-refused")
    assert statuses == [403]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://another.example"},
        {"url": "https://another.example"},
        {"invitation": hash_token("another")},
        {"iat": FromNow(-3600)},
        {"iat": "now"},
        {"iat": 10**400},
    ],
    ids=named,
)
def test_a_proof_of_anything_else_proves_nothing(
    lasting_network: Network, stranger: LocalNode, invitation: str, changes: dict[str, Any]
) -> None:
    body = _request(lasting_network, stranger, invitation, proof=changes)
    assert kind(_enrol(lasting_network, body)) == (403, "proof-invalid")


def test_a_proof_by_another_key_proves_nothing(
    lasting_network: Network, stranger: LocalNode, invitation: str
) -> None:
    body = _request(lasting_network, stranger, invitation)
    other = _request(lasting_network, stranger, invitation, keys=new_key_ring())
    refused = _enrol(lasting_network, {**body, "proof": other["proof"]})
    assert kind(refused) == (403, "proof-invalid")


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("ftp://127.0.0.1/", 422),
        ("https://user:word@example.org", 422),
        ("https://example.org/?q", 422),
        ("https://example.org/#f", 422),
        ("http://", 422),
        ("https://[::1", 422),
        ("http://example.org:99999", 422),
        ("http://" + "a" * 70 + ".invalid", 422),
        ("http://exa mple.invalid", 422),
        ("http://\u0000.invalid", 422),
        ("http://é\u202e.invalid", 422),
        ("http://xn--.invalid", 422),
        ("http://" + "a." * 140, 422),
    ],
)
def test_an_address_that_is_none_is_refused_by_its_field(
    lasting_network: Network, stranger: LocalNode, invitation: str, url: str, status: int
) -> None:
    body = _request(lasting_network, stranger, invitation, url=url)
    refused = _enrol(lasting_network, {**body, "url": url})
    assert refused.status_code == status, refused.text
    assert kind(refused)[1] in ("validation", "peer-refused")


def test_enrolments_are_limited_in_a_minute(lasting_network: Network) -> None:

    limiter.reset()
    found = [lasting_network.hub.post("/api/v1/enrolments", {}) for _ in range(61)]
    limiter.reset()
    assert {one.status_code for one in found[:-1]} == {422}
    assert kind(found[-1]) == (429, "too-many-requests")
    assert int(found[-1].headers["Retry-After"]) > 0


def test_a_node_proves_its_address_to_its_hub_alone(
    lasting_network: Network, cordee: LocalNode
) -> None:
    with lasting_network.hub.app.app_context():
        hub = hub_context()
    now = int(time.time())
    good = {"iss": hub.url, "aud": cordee.url, "nonce": "n" * 24, "iat": now, "exp": now + 60}

    def ask(token: str) -> requests.Response:

        limiter.reset()
        return cordee.post("/api/v1/enrolment/challenge", {"challenge": token})

    assert ask(hub.ring.sign(good, "passerelle-challenge+jwt")).status_code == 200
    refused = {
        "another's": new_key_ring().sign(good, "passerelle-challenge+jwt"),
        "its own": keys_of(cordee).sign(good, "passerelle-challenge+jwt"),
        "old": hub.ring.sign({**good, "exp": now - 1}, "passerelle-challenge+jwt"),
        "for another": hub.ring.sign(
            {**good, "aud": "https://x.example"}, "passerelle-challenge+jwt"
        ),
        "of another": hub.ring.sign(
            {**good, "iss": "https://x.example"}, "passerelle-challenge+jwt"
        ),
        "no nonce": hub.ring.sign({**good, "nonce": ""}, "passerelle-challenge+jwt"),
        "another typ": hub.ring.sign(good, "at+jwt"),
        "text": "text",
    }
    for name, token in refused.items():
        assert kind(ask(token)) == (403, "proof-invalid"), name
