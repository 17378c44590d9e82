"""Machines to machines: who may speak for a node, and what nobody can talk the hub into."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
from joserfc.jwk import OKPKey
from sqlalchemy import select, update

from federation.app import create_app as create_hub
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.directory import service as directory
from federation.directory.models import AuditEntry, Invitation
from federation.settings import HubSettings
from node.desk.models import Visit
from node.sync import service as sync
from shared import jose
from shared.db import begin_write
from shared.http import PeerError, PeerSession, Unreachable, check_url, is_public
from shared.identity import hash_token
from shared.keys import KeyRing, new_key_ring
from shared.web.guards import guard_of
from tests.contract.hostile import OK, answer, drop_by_drop, hostile, never, without_end
from tests.network import LocalNode, Network, codes

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


@pytest.fixture
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for English, so that words can be compared."""
    ask = requests.sessions.Session.request

    def request(self: Any, method: str, url: str, **kwargs: Any) -> Any:
        kwargs["headers"] = {"Accept-Language": "en", **(kwargs.get("headers") or {})}
        return ask(self, method, url, **kwargs)

    monkeypatch.setattr(requests.sessions.Session, "request", request)


def _ring(node: LocalNode) -> KeyRing:
    found: KeyRing = node.app.extensions["node"].ring
    return found


def _kind(answer_: requests.Response) -> tuple[int, str]:
    """Return the status of a problem and its name."""
    return answer_.status_code, answer_.json()["type"].rpartition("/")[2]


def _b64(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


# Access tokens


def _claims(network: Network, node: str = "cordee", **changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {
        "iss": node,
        "sub": node,
        "aud": f"{network.hub.url}/oauth/token",
        "jti": secrets.token_urlsafe(12),
        "iat": now,
        "exp": now + 60,
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _ask_token(network: Network, assertion: str, **form: str) -> requests.Response:
    data = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **form,
    }
    return requests.post(f"{network.hub.url}/oauth/token", data=data, timeout=20)


def test_an_assertion_signed_by_the_node_gets_a_token_once(
    lasting_network: Network, cordee: LocalNode
) -> None:
    assertion = _ring(cordee).sign(_claims(lasting_network), "JWT")
    first, second = (_ask_token(lasting_network, assertion) for _ in range(2))
    assert first.status_code == 200
    assert first.json()["token_type"] == "Bearer"
    assert 0 < first.json()["expires_in"] <= 600
    token = first.json()["access_token"]
    assert lasting_network.hub.get("/api/v1/visits", token).status_code == 200
    assert (second.status_code, second.json()["error"]) == (401, "invalid_client")
    assert "jti" in second.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"aud": "https://elsewhere.example/oauth/token"}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "troquet"}, "iss"),
        ({"jti": None}, "jti"),
        ({"jti": "short"}, "jti"),
        ({"jti": 5}, "jti"),
        ({"jti": "x" * 129}, "jti"),
        ({"jti": "with\0zero"}, "jti"),
        ({"jti": "half\ud800half"}, "jti"),
        ({"exp": None}, "exp"),
        ({"iat": "now"}, "iat"),
        ({"exp": 10**400}, "five minutes"),
        ({"exp": int(time.time()) + 100_000}, "five minutes"),
        ({"iat": int(time.time()) - 700, "exp": int(time.time()) - 640}, "clock"),
    ],
)
def test_an_assertion_that_claims_anything_else_gets_none(
    lasting_network: Network, cordee: LocalNode, changes: dict[str, Any], word: str
) -> None:
    claims = json.dumps(_claims(lasting_network, **changes)).encode()
    header = _b64({"alg": "Ed25519", "typ": "JWT", "kid": _ring(cordee).kid})
    signed = f"{header}.{_b64(claims)}"
    private = _ring(cordee).current.private_key
    assert private is not None
    refused = _ask_token(lasting_network, f"{signed}.{_b64(private.sign(signed.encode()))}")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert word in refused.json()["error_description"]


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_ten_minutes_off_is_named(
    lasting_network: Network, cordee: LocalNode, minutes: int
) -> None:
    issued = int(time.time()) + minutes * 60
    claims = _claims(lasting_network, iat=issued, exp=issued + 60)
    refused = _ask_token(lasting_network, _ring(cordee).sign(claims, "JWT"))
    assert refused.status_code == 401
    said = refused.json()["error_description"]
    assert "clock" in said
    off = int(said.split("about ")[1].split(" s")[0])
    assert abs(off - minutes * 60) <= 5


def test_the_admin_of_a_node_with_a_wrong_clock_is_told_so(
    lasting_network: Network, cordee: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fast:
        @staticmethod
        def time() -> float:
            return time.time() + 600

    monkeypatch.setattr("node.sync.hub.time", Fast)
    monkeypatch.setattr("authlib.oauth2.rfc7523.assertion.time", Fast)
    with cordee.context() as (_, context), pytest.raises(PeerError) as told:
        context.hub._fetch_token("cordee")
    assert "clock is about +600 s off" in str(told.value)


def test_only_a_key_of_the_node_itself_signs_for_it(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    stranger = new_key_ring()
    own, kid = _ring(cordee), _ring(cordee).kid
    hmac = OKPKey.generate_key("Ed25519")
    claims = lambda: _claims(lasting_network)  # noqa: E731
    unsigned = f"{_b64({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{_b64(claims())}."
    attempts = {
        "a stranger's": stranger.sign(claims(), "JWT"),
        "a stranger's under our kid": jose.sign(claims(), stranger.current, "JWT", kid=kid),
        "another node's": _ring(troquet).sign(claims(), "JWT"),
        "without kid": jose.sign(claims(), own.current, "JWT"),
        "kid a path": jose.sign(claims(), own.current, "JWT", kid="../hub-keys.json"),
        "kid a URL": jose.sign(claims(), own.current, "JWT", kid="http://127.0.0.1:1/jwks"),
        "kid with NUL": jose.sign(claims(), own.current, "JWT", kid="\0"),
        "kid half a character": jose.sign(claims(), own.current, "JWT", kid="k").replace(
            _b64(json.dumps({"alg": "Ed25519", "typ": "JWT", "kid": "k"}).encode()),
            _b64({"alg": "Ed25519", "typ": "JWT", "kid": "\ud800"}),
        ),
        "another typ": own.sign(claims(), "at+jwt"),
        "nobody's": own.sign(_claims(lasting_network, "nobody"), "JWT"),
        "a number's": own.sign(_claims(lasting_network, 5), "JWT"),  # type: ignore[arg-type]
        "NUL's": own.sign(_claims(lasting_network, "cordee\0"), "JWT"),
        "half a character's": f"{_b64({'alg': 'Ed25519'})}.{_b64(_claims(lasting_network, chr(0xD800)))}.AAAA",
        "unsigned": unsigned,
        "text": "text",
        "dots": "...",
        "nested": f"{'[' * 3000}.{'[' * 3000}.",
    }
    del hmac
    for name, assertion in attempts.items():
        refused = _ask_token(lasting_network, assertion)
        assert refused.status_code in (400, 401), (name, refused.text)
        assert refused.json()["error"] in ("invalid_client", "invalid_request"), name


@pytest.mark.parametrize(
    "form",
    [
        {"grant_type": "password"},
        {"grant_type": ""},
        {"client_assertion_type": "other"},
        {"client_assertion": ""},
        {"scope": "coordinator"},
    ],
)
def test_no_other_way_leads_to_a_token(
    lasting_network: Network, cordee: LocalNode, form: dict[str, str]
) -> None:
    assertion = _ring(cordee).sign(_claims(lasting_network), "JWT")
    got = _ask_token(lasting_network, assertion, **form)
    if "scope" in form:
        token = got.json().get("access_token", "")
        assert lasting_network.hub.post("/api/v1/invitations", {}, token).status_code in (401, 403)
    else:
        assert got.status_code in (400, 401)
        assert "access_token" not in got.json()


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - 1},
        {"aud": "https://elsewhere.example"},
        {"iss": "https://elsewhere.example"},
        {"exp": "tomorrow"},
    ],
)
def test_an_access_token_is_good_here_and_now_alone(
    lasting_network: Network, changes: dict[str, Any]
) -> None:
    with lasting_network.hub.app.app_context():
        hub = hub_context()
        claims = {"iss": hub.url, "aud": hub.url, "sub": "cordee", "exp": time.time() + 60}
        good = {**claims, "exp": int(time.time()) + 60, "jti": secrets.token_hex(8)}
        token = hub.ring.sign({**good, **changes}, "at+jwt")
        sound, other_typ = hub.ring.sign(good, "at+jwt"), hub.ring.sign(good, "JWT")
    assert lasting_network.hub.get("/api/v1/visits", sound).status_code == 200
    for bad in (token, other_typ, sound[:-6] + "AAAAAA", new_key_ring().sign(good, "at+jwt")):
        assert _kind(lasting_network.hub.get("/api/v1/visits", bad)) == (401, "unauthenticated")


# A node that may no longer act


def _node_routes(network: Network) -> list[tuple[str, str]]:
    """Return every method and address of the hub that a node may use and the public may not."""
    found = []
    for rule in network.hub.app.url_map.iter_rules():
        if "node" in (guard_of(network.hub.app, rule.endpoint) or ()):
            values = {"month": "2026-11", "node_id": "cordee", "version": "1"}
            path = rule.rule
            for name in rule.arguments:
                path = path.replace(f"<{name}>", values.get(name, "a" * 20))
            found += [(m, path) for m in (rule.methods or set()) - {"HEAD", "OPTIONS"}]
    return sorted(found)


def test_a_suspended_node_is_refused_everywhere_at_once(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    with troquet.context() as (_, context):
        token = context.hub._access_token()
    routes = _node_routes(network)
    assert len(routes) >= 9
    network.set_state("troquet", "suspended")
    body = {
        "report": "x.y.z",
        "publication": "x.y.z",
        "jws": "x.y.z",
        "reason": "none",
        "at": "2026-11-24T10:00:00Z",
        "member": "m",
        "member_since": "2026-01-01",
        "status": "valid",
        "plan": "resident",
    }
    for method, path in routes:
        got = requests.request(
            method,
            network.hub.url + path,
            json=None if method == "GET" else body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )
        assert _kind(got) == (403, "node-suspended"), (method, path)
    refused = _ask_token(network, _ring(troquet).sign(_claims(network, "troquet"), "JWT"))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert [line["id"] for line in network.hub.statement()["visits"]] == [visit]
    network.set_state("troquet", "connected")
    assert network.hub.get("/api/v1/visits", token).status_code == 200
    assert troquet.check_out(visit).status_code == 200


# Coming in


@pytest.fixture
def invitation(lasting_network: Network) -> str:
    return _invite(lasting_network)


def _invite(network: Network) -> str:
    answer_ = network.hub.post(
        "/api/v1/invitations", {"operator": f"squat {secrets.token_hex(4)}"}, network.hub.token
    )
    token: str = answer_.json()["token"]
    return token


@pytest.fixture
def stranger(lasting_network: Network) -> Iterator[LocalNode]:
    """A node that runs and was never enrolled."""
    node = lasting_network.add_stranger(f"stranger-{secrets.token_hex(4)}")
    yield node
    del lasting_network.nodes[node.id]
    node.server.close()


def _request(network: Network, node: LocalNode, invitation: str, **changes: Any) -> dict[str, Any]:
    """Return what a node sends to be enrolled; ``changes`` are of the proof."""
    ring = changes.pop("ring", None) or _ring(node)
    proof = {
        "aud": network.hub.url,
        "url": node.url,
        "invitation": hash_token(invitation),
        "iat": int(time.time()),
        **changes,
    }
    return {
        "invitation": invitation,
        "url": node.url,
        "jwk": ring.public_jwks()[0],
        "proof": ring.sign(proof, "passerelle-enrolment+jwt"),
    }


def _enrol(network: Network, body: dict[str, Any]) -> requests.Response:
    # The limit of attempts a minute is another test's.
    from shared.web.application import limiter

    limiter.reset()
    return network.hub.post("/api/v1/enrolments", body)


def _learn_hub_keys(node: LocalNode) -> None:
    with node.context() as (session, context):
        keys = context.hub.get("/.well-known/jwks.json").body.decode()
        sync._keep(session, context.clock.real(), "hub-jwks", keys)


def test_an_invitation_opens_once_and_only_as_long_as_it_lasts(
    lasting_network: Network, stranger: LocalNode, invitation: str
) -> None:
    _learn_hub_keys(stranger)
    body = _request(lasting_network, stranger, invitation)
    lasting_network.hub.app.extensions["hub"]
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
    assert _kind(expired) == (403, "invitation-invalid")
    unknown = _request(lasting_network, stranger, "inv_" + "x" * 43)
    assert _kind(_enrol(lasting_network, unknown)) == (403, "invitation-invalid")
    assert _enrol(lasting_network, body).status_code == 201
    assert _kind(_enrol(lasting_network, body)) == (403, "invitation-invalid")


def test_a_url_that_belongs_to_a_node_is_taken_for_good(
    lasting_network: Network, cordee: LocalNode, invitation: str
) -> None:
    body = _request(lasting_network, cordee, invitation)
    assert _kind(_enrol(lasting_network, body)) == (409, "url-taken")
    for spelling in (cordee.url + "/", cordee.url.upper().replace("HTTP", "http")):
        again = {**_request(lasting_network, cordee, invitation, url=cordee.url), "url": spelling}
        assert _kind(_enrol(lasting_network, again)) == (409, "url-taken")


def test_a_url_that_does_not_answer_uses_no_invitation_up(
    lasting_network: Network, stranger: LocalNode, invitation: str
) -> None:
    _learn_hub_keys(stranger)
    stranger.server.stop()
    body = _request(lasting_network, stranger, invitation)
    assert _kind(_enrol(lasting_network, body)) == (422, "peer-refused")
    stranger.server.start()
    assert _enrol(lasting_network, body).status_code == 201


def test_a_url_where_another_key_answers_is_refused(
    lasting_network: Network, stranger: LocalNode, invitation: str
) -> None:
    _learn_hub_keys(stranger)
    body = _request(lasting_network, stranger, invitation, ring=new_key_ring())
    assert _kind(_enrol(lasting_network, body)) == (422, "peer-refused")


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
        assert _kind(refused) == (422, "peer-refused")
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
    assert _kind(refused) == (422, "peer-refused")
    assert statuses == [403]


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://another.example"},
        {"url": "https://another.example"},
        {"invitation": hash_token("another")},
        {"iat": int(time.time()) - 3600},
        {"iat": "now"},
        {"iat": 10**400},
    ],
)
def test_a_proof_of_anything_else_proves_nothing(
    lasting_network: Network, stranger: LocalNode, invitation: str, changes: dict[str, Any]
) -> None:
    body = _request(lasting_network, stranger, invitation, **changes)
    assert _kind(_enrol(lasting_network, body)) == (403, "proof-invalid")


def test_a_proof_by_another_key_proves_nothing(
    lasting_network: Network, stranger: LocalNode, invitation: str
) -> None:
    body = _request(lasting_network, stranger, invitation)
    other = _request(lasting_network, stranger, invitation, ring=new_key_ring())
    refused = _enrol(lasting_network, {**body, "proof": other["proof"]})
    assert _kind(refused) == (403, "proof-invalid")


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
    assert _kind(refused)[1] in ("validation", "peer-refused")


def test_enrolments_are_limited_in_a_minute(lasting_network: Network) -> None:
    from shared.web.application import limiter

    limiter.reset()
    found = [lasting_network.hub.post("/api/v1/enrolments", {}) for _ in range(61)]
    limiter.reset()
    assert {one.status_code for one in found[:-1]} == {422}
    assert _kind(found[-1]) == (429, "too-many-requests")
    assert int(found[-1].headers["Retry-After"]) > 0


def test_a_node_proves_its_address_to_its_hub_alone(
    lasting_network: Network, cordee: LocalNode
) -> None:
    with lasting_network.hub.app.app_context():
        hub = hub_context()
    now = int(time.time())
    good = {"iss": hub.url, "aud": cordee.url, "nonce": "n" * 24, "iat": now, "exp": now + 60}

    def ask(token: str) -> requests.Response:
        from shared.web.application import limiter

        limiter.reset()
        return cordee.post("/api/v1/enrolment/challenge", {"challenge": token})

    assert ask(hub.ring.sign(good, "passerelle-challenge+jwt")).status_code == 200
    refused = {
        "another's": new_key_ring().sign(good, "passerelle-challenge+jwt"),
        "its own": _ring(cordee).sign(good, "passerelle-challenge+jwt"),
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
        assert _kind(ask(token)) == (403, "proof-invalid"), name


# Addresses


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
        monkeypatch.setattr("shared.http.socket.getaddrinfo", self._look_up)
        monkeypatch.setattr("shared.http.create_connection", self._connect)

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
        token, _ = directory.invite(hub_db.session(), hub_context().clock.now(), "squat", None)
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


# Answers of peers


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
        OK + b"Content-Length: -5\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"Content-Length: 10\r\n\r\nshort",
        OK + b"X" * 70_000 + b": y\r\n\r\n",
        OK + b"A: b\r\n" * 300 + b"\r\n",
    ],
)
def test_an_answer_that_is_no_http_is_no_answer(said: bytes) -> None:
    with hostile(said) as server:
        try:
            assert _ask(server.url, timeout=2).status == 200
        except PeerError:
            pass


def test_one_slow_peer_holds_no_other_up(network: Network) -> None:
    with network.hub.app.app_context():
        peers = PeerSession(allow_private=True)
        with hostile(never) as server:
            cordee = directory.nodes(hub_db.session)[0]
            assert cordee.id == "cordee"
            begin_write(hub_db.session())
            hub_db.session.get_one(type(cordee), "cordee").url = server.url
            hub_db.session.commit()
            ask = peers.request
            peers.request = lambda *args, **kwargs: ask(*args, **{**kwargs, "timeout": 0.2})  # type: ignore[method-assign]
            wrong = directory.harvest(hub_db.session(), hub_context().clock.now(), peers)
    assert list(wrong) == ["cordee"]


# Publications


def _published(node: LocalNode) -> dict[str, Any]:
    token = node.get("/.well-known/passerelle").text
    claims: dict[str, Any] = json.loads(jose.decode_b64(token.split(".")[1]))
    return claims


def _publish(
    network: Network, node: LocalNode, claims: dict[str, Any], ring: KeyRing | None = None
) -> requests.Response:
    with node.context() as (_, context):
        token = context.hub._access_token()
    signed = (ring or _ring(node)).sign(claims, "passerelle-publication+jwt")
    return network.hub.post("/api/v1/publications", {"publication": signed}, token)


def _space_at_hub(network: Network, space: str) -> dict[str, Any]:
    found: dict[str, Any] = network.hub.get(f"/api/v1/spaces/{space}").json()
    return found


def test_a_space_stays_with_the_node_that_published_it_first(
    lasting_network: Network, cordee: LocalNode
) -> None:
    claims = _published(cordee)
    stolen = {**claims["spaces"][0], "id": "troquet", "name": "Mine now"}
    claims["spaces"].append(stolen)
    claims["revision"] += 1
    refused = _publish(lasting_network, cordee, claims)
    assert _kind(refused) == (409, "space-taken")
    assert "troquet" in refused.json()["detail"]
    assert _space_at_hub(lasting_network, "troquet")["name"] == "troquet"


def test_an_older_revision_is_answered_with_what_is_held(
    lasting_network: Network, cordee: LocalNode
) -> None:
    claims = _published(cordee)
    old = {**claims, "revision": claims["revision"] - 1, "name": "Old name"}
    kept = _publish(lasting_network, cordee, old)
    assert (kept.status_code, kept.json()["revision"]) == (200, claims["revision"])
    assert _space_at_hub(lasting_network, "cordee")["node"]["name"] == "cordee"


def test_fields_of_a_newer_version_are_ignored(lasting_network: Network, cordee: LocalNode) -> None:
    claims = _published(cordee)
    claims["hologram"] = {"of": ["the", {"future": None}]}
    claims["spaces"][0]["robots"] = 4
    assert _publish(lasting_network, cordee, claims).status_code == 200
    assert "robots" not in _space_at_hub(lasting_network, "cordee")
    assert "hologram" not in _space_at_hub(lasting_network, "cordee")


def test_a_publication_that_was_tampered_with_is_refused(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    claims = _published(cordee)
    with cordee.context() as (_, context):
        token = context.hub._access_token()
    header, _, signature = cordee.get("/.well-known/passerelle").text.split(".")
    forged = {**claims, "name": "Forged"}
    attempts = {
        "altered": f"{header}.{_b64(forged)}.{signature}",
        "another node's key": _ring(troquet).sign(forged, "passerelle-publication+jwt"),
        "a stranger's key": new_key_ring().sign(forged, "passerelle-publication+jwt"),
        "another node's name": _ring(cordee).sign(
            {**forged, "iss": "troquet"}, "passerelle-publication+jwt"
        ),
        "another typ": _ring(cordee).sign(forged, "JWT"),
        "unsigned": f"{_b64({'alg': 'none', 'typ': 'passerelle-publication+jwt'})}.{_b64(forged)}.",
    }
    for name, signed in attempts.items():
        refused = lasting_network.hub.post("/api/v1/publications", {"publication": signed}, token)
        assert _kind(refused) == (403, "proof-invalid"), name
    assert _space_at_hub(lasting_network, "cordee")["node"]["name"] == "cordee"


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("latitude", 91, "latitude"),
        ("latitude", float("nan"), "latitude"),
        ("longitude", "east", "longitude"),
        ("week", {"mo": [["9", "19"]]}, "week"),
        ("week", {"monday": []}, "week"),
        ("week", {"mo": "always"}, "week"),
        ("exceptions", {"noël": []}, "exceptions"),
        ("timezone", "Mars/Olympus", "timezone"),
        ("timezone", "../../etc/passwd", "timezone"),
        ("guest_cap", -1, "guest_cap"),
        ("guest_cap", 10**30, "guest_cap"),
        ("name", "", "name"),
        ("name", "a\0b", "name"),
        ("website", "javascript:alert(1)", "website"),
        ("id", "../up", "id"),
        ("address", {"town": "x" * 121}, "address"),
        ("services", ["x" * 121], "services"),
        ("prices", [{"label": "a", "cents": -1, "unit": "hour"}], "prices"),
        ("values", "not a list", "values"),
    ],
)
def test_every_fault_of_a_publication_is_named_and_nothing_changes(
    lasting_network: Network, cordee: LocalNode, field: str, value: Any, fault: str
) -> None:
    before = _space_at_hub(lasting_network, "cordee")
    claims = _published(cordee)
    claims["revision"] += 1
    claims["spaces"][0][field] = value
    refused = _publish(lasting_network, cordee, claims)
    assert _kind(refused) == (422, "validation"), refused.text
    faults = refused.json()["errors"]
    assert fault in json.dumps(faults), faults
    assert _space_at_hub(lasting_network, "cordee") == before


@pytest.mark.parametrize(
    "changes",
    [
        {"revision": 10**30},
        {"revision": 2**63},
        {"iat": 10**30},
        {"plans": {"resident": 10**30}},
        {"plans": {"resident": 2**70}},
        {"plans": {"resident": True}},
        {"plans": {"resident": -1}},
        {"plans": {"x" * 100_000: None}},
        {"plans": []},
        {"spaces": [5]},
        {"spaces": {}},
        {"spaces": None},
        {"name": "x" * 121},
        {"name": ["x"]},
    ],
    ids=str,
)
def test_no_publication_breaks_the_hub(
    lasting_network: Network, cordee: LocalNode, changes: dict[str, Any]
) -> None:
    answered = _publish(lasting_network, cordee, {**_published(cordee), **changes})
    assert answered.status_code in (200, 422), answered.text
    assert (
        answered.status_code == 422
        or _publish(lasting_network, cordee, _published(cordee)).json()["revision"]
        == _published(cordee)["revision"]
    )


def test_the_same_space_twice_in_one_publication_is_refused(
    lasting_network: Network, cordee: LocalNode
) -> None:
    claims = _published(cordee)
    twice = {**claims["spaces"][0], "id": "twin"}
    claims["spaces"] += [twice, twice]
    refused = _publish(lasting_network, cordee, claims)
    assert _kind(refused) in ((422, "validation"), (409, "space-taken"))
    assert lasting_network.hub.get("/api/v1/spaces/twin").status_code == 404


def test_a_long_sheet_is_taken_whole(lasting_network: Network, cordee: LocalNode) -> None:
    """Two hundred spaces of four thousand characters: as much as the schema lets be written."""
    claims = _published(cordee)
    sheet = {**claims["spaces"][0], "description": "é" * 2000}
    claims["spaces"] += [{**sheet, "id": f"cordee-{n}"} for n in range(150)]
    taken = _publish(lasting_network, cordee, claims)
    assert taken.status_code == 200, taken.text
    try:
        assert _space_at_hub(lasting_network, "cordee-149")["description"] == "é" * 2000
    finally:
        assert _publish(lasting_network, cordee, _published(cordee)).status_code == 200
    assert lasting_network.hub.get("/api/v1/spaces/cordee-149").status_code == 404


def test_what_a_node_says_is_harvested_when_the_push_was_lost(network: Network) -> None:
    cordee = network.nodes["cordee"]
    with cordee.cut_off(), cordee.context() as (session, context):
        from node.spaces import service as spaces

        spaces.set_paused(session, context, "cordee", True)
    assert _space_at_hub(network, "cordee")["availability"]["paused"] is False
    with network.hub.app.app_context():
        wrong = directory.harvest(
            hub_db.session(), hub_context().clock.now(), PeerSession(allow_private=True)
        )
    assert wrong == {}
    assert _space_at_hub(network, "cordee")["availability"]["paused"] is True


# Signatures of the charter, reports of visits


def _sign_charter(
    network: Network, node: LocalNode, ring: KeyRing | None = None, **changes: Any
) -> requests.Response:
    charter = network.hub.get("/api/v1/charters/current").json()
    claims = {"iss": node.id, "version": "1", "sha256": charter["sha256"], **changes}
    with node.context() as (_, context):
        token = context.hub._access_token()
    jws = (ring or _ring(node)).sign(claims, "charter-signature+jwt")
    return network.hub.post("/api/v1/charters/1/signatures", {"jws": jws}, token)


def test_nobody_signs_the_charter_for_another(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    for refused in (
        _sign_charter(lasting_network, cordee, ring=_ring(troquet)),
        _sign_charter(lasting_network, cordee, ring=new_key_ring()),
        _sign_charter(lasting_network, cordee, iss="troquet"),
        _sign_charter(lasting_network, cordee, sha256="0" * 64),
        _sign_charter(lasting_network, cordee, version="2"),
    ):
        assert _kind(refused) == (403, "proof-invalid")
    again = _sign_charter(lasting_network, cordee)
    assert again.status_code == 201
    signed = lasting_network.hub.get("/api/v1/charters/1").json()["signatures"]
    assert sorted(s["node"] for s in signed).count("cordee") == 1


def _report(network: Network, shown: str, host: str = "troquet", **changes: Any) -> dict[str, Any]:
    claims = {
        "iss": host,
        "aud": network.hub.url,
        "iat": int(time.time()),
        "space": host,
        "pass": shown,
        "at": network.clock.now().isoformat(),
        "online": True,
        "host": {
            "paused": False,
            "hours_known": True,
            "opening": ["2026-11-24T09:00:00+01:00", "2026-11-24T19:00:00+01:00"],
            "next_opening": None,
            "timezone": "Europe/Paris",
            "guest_cap": 1000,
            "capacity": None,
            "guests_present": 0,
            "people_present": 0,
            "services": [],
        },
        "trust_list_age": 0,
        "offline_visits": 0,
        "decision": None,
    }
    claims["host"] |= changes.pop("of_host", {})
    return {**claims, **changes}


def _send(
    network: Network, node: LocalNode, claims: dict[str, Any], ring: KeyRing | None = None
) -> requests.Response:
    with node.context() as (_, context):
        token = context.hub._access_token()
    report = (ring or _ring(node)).sign(claims, "passerelle-visit+jwt")
    return network.hub.post("/api/v1/visits", {"report": report}, token)


def test_a_host_reports_visits_to_its_own_spaces_alone(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    network, shown = lasting_network, cordee.add_person().show()
    elsewhere = _send(network, troquet, _report(network, shown, space="filature"))
    assert _kind(elsewhere) == (422, "validation")
    assert list(elsewhere.json()["errors"]) == ["space"]
    for refused in (
        _send(network, troquet, _report(network, shown, "filature")),
        _send(network, troquet, _report(network, shown), ring=_ring(cordee)),
        _send(network, troquet, _report(network, shown, aud="https://elsewhere.example")),
        _send(network, cordee, _report(network, shown)),
    ):
        assert _kind(refused) == (403, "proof-invalid")
    assert _send(network, troquet, _report(network, shown)).status_code == 201


def test_a_host_ends_and_undoes_its_own_visits_alone(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    at = lasting_network.clock.now().isoformat()
    with lasting_network.nodes["filature"].context() as (_, context):
        for change, body in (("check-out", {"at": at}), ("void", {"at": at, "reason": "mine"})):
            done = context.hub.call("POST", f"/api/v1/visits/{visit}/{change}", json=body)
            assert done.status == 404
    assert lasting_network.hub.lines(visit) == [1]


def test_a_node_speaks_of_its_own_passes_alone(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    member = cordee.add_person().get_pass()
    said = {"member": "m" * 16, "member_since": "2026-01-01", "status": "revoked"}
    with troquet.context() as (_, context):
        path = f"/api/v1/passes/{member.pass_id}"
        assert context.hub.call("PUT", path, json=said).status == 204
    assert troquet.scan(member.show()).status_code == 201


def test_a_node_sees_its_own_visits_alone(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    seen = {}
    for name, side in (("troquet", "host"), ("cordee", "home"), ("filature", "host")):
        with lasting_network.nodes[name].context() as (_, context):
            items = context.hub.call("GET", f"/api/v1/visits?side={side}&limit=500").json()["items"]
        seen[name] = visit in [item["id"] for item in items]
    assert seen == {"troquet": True, "cordee": True, "filature": False}


@pytest.mark.parametrize(
    "changes",
    [
        {"of_host": {"timezone": "Mars/Olympus"}},
        {"of_host": {"timezone": "../../etc/passwd"}},
        {"of_host": {"opening": ["2026-11-24T19:00:00+01:00"]}},
        {"of_host": {"guest_cap": 10**30}},
        {"of_host": {"services": ["a\0b"]}},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-12:00"},
        {"at": "now"},
        {"pass": ""},
        {"pass": "x" * 5000},
        {"online": False},
        {"online": False, "decision": {}},
        {"online": False, "decision": {"reasons": 5}},
        {"online": False, "decision": {"outcome": "allowed"}},
        {"online": False, "at": "0001-01-01T00:00:00+00:00"},
        {"online": False, "at": "9999-12-31T00:00:00+00:00"},
        {"ended_at": "9999-12-31T00:00:00-12:00"},
        {"ended_at": "0001-01-01T00:00:00+14:00"},
        {"trust_list_age": 10**30},
        {"offline_visits": -(10**30)},
        {"host": None},
    ],
    ids=str,
)
def test_no_report_breaks_the_hub(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode, changes: dict[str, Any]
) -> None:
    shown = cordee.add_person().show()
    claims = _report(lasting_network, changes.pop("pass", shown), **changes)
    for path in ("/api/v1/visits/preview", "/api/v1/visits", "/api/v1/visits"):
        with troquet.context() as (_, context):
            token = context.hub._access_token()
        report = _ring(troquet).sign(claims, "passerelle-visit+jwt")
        answered = lasting_network.hub.post(path, {"report": report}, token)
        assert answered.status_code in (200, 201, 403, 422), answered.text
        if answered.status_code == 422:
            assert answered.json()["errors"]
    after = troquet.scan(cordee.add_person().show())
    assert after.json()["decision"]["online"] is True


@pytest.mark.parametrize(
    "header",
    [{"kid": "\0"}, {"kid": "\ud800"}, {"kid": "x" * 3000}, {"kid": 5}, {"kid": "é"}],
    ids=["NUL", "half a character", "long", "number", "accent"],
)
@pytest.mark.parametrize("issuer", ["cordee", "\0", "\ud800", "x" * 2000, "é"], ids=ascii)
def test_no_pass_that_anybody_can_make_takes_the_hub_away_from_the_door(
    lasting_network: Network,
    cordee: LocalNode,
    troquet: LocalNode,
    header: dict[str, Any],
    issuer: str,
) -> None:
    head = _b64({"alg": "EdDSA", "typ": "dc+sd-jwt", **header})
    shown = f"{head}.{_b64({'iss': issuer, 'sub': 'x' * 16})}.{'A' * 86}~"
    refused = troquet.scan(shown)
    assert refused.status_code == 403
    assert set(codes(refused)) <= {"pass_malformed", "home_unknown"}
    assert refused.json()["decision"]["online"] is True
    assert troquet.circuit.open is False


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": "x" * 2000},
        {"sub": "a\0" * 8},
        {"sub": "\ud800" * 16},
        {"sub": ""},
        {"sub": 5},
        {"given_name": "a\0b"},
        {"given_name": "\ud800"},
        {"given_name": "x" * 2000},
        {"given_name": {"a": 1}},
        {"nbf": 10**17},
        {"nbf": 2**56},
        {"nbf": 10**30},
        {"nbf": -(10**17)},
        {"exp": 10**400},
        {"iat": 10**400, "exp": 10**400},
        {"plan": ["resident"]},
        {"plan": "emperor"},
        {"status": {"status_list": {"idx": 10**30, "uri": "x"}}},
        {"status": []},
        {"cnf": {"jwk": {"kty": "EC"}}},
        {"cnf": None},
        {"vct": 5},
    ],
    ids=ascii,
)
def test_no_pass_that_a_home_can_make_breaks_a_door_or_the_hub(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode, changes: dict[str, Any]
) -> None:
    member = cordee.add_person().get_pass()
    claims = json.loads(jose.decode_b64(member.credential.split(".")[1])) | changes
    head = _b64({"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": _ring(cordee).kid})
    signed = f"{head}.{_b64(claims)}"
    private = _ring(cordee).current.private_key
    assert private is not None
    member.credential = f"{signed}.{_b64(private.sign(signed.encode()))}"
    for answered in (troquet.preview(member.show()), troquet.scan(member.show())):
        assert answered.status_code in (200, 201, 403), answered.text
        assert answered.json()["decision"]["online"] is True
    assert troquet.circuit.open is False
    lasting_network.hub_goes()
    with_hub_away = troquet.scan(member.show())
    lasting_network.hub_returns()
    assert with_hub_away.status_code in (200, 201, 403), with_hub_away.text
    with troquet.context() as (session, _):
        for visit in session.scalars(select(Visit).where(Visit.state == "open")):
            assert len(visit.given_name) <= 60
    troquet.deliver()
    assert troquet.waiting() == {"pending": 0, "dead": 0}


# What the hub says


def test_a_node_takes_no_trust_list_but_its_hubs_own(
    lasting_network: Network, troquet: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lasting_network.hub.app.app_context():
        hub = hub_context()
    good = json.loads(
        jose.decode_b64(lasting_network.hub.get("/api/v1/trust-list").text.split(".")[1])
    )
    forgeries = {
        "a stranger's": new_key_ring().sign(good, "trust-list+jwt"),
        "a node's": _ring(troquet).sign(good, "trust-list+jwt"),
        "another hub's": hub.ring.sign({**good, "iss": "https://x.example"}, "trust-list+jwt"),
        "another typ": hub.ring.sign(good, "JWT"),
        "not a list": hub.ring.sign({**good, "nodes": 5}, "trust-list+jwt"),
        "expired": hub.ring.sign({**good, "exp": int(time.time()) - 1}, "trust-list+jwt"),
        "page": "<html>",
    }
    with troquet.context() as (session, context):
        before = sync.network(session, context)
        for name, token in forgeries.items():
            body = type("Answer", (), {"body": token.encode(), "status": 200})()
            with monkeypatch.context() as patch:
                get = context.hub.get
                patch.setattr(
                    context.hub,
                    "get",
                    lambda path, body=body, get=get, **kw: (
                        body if path.endswith("trust-list") else get(path, **kw)
                    ),
                )
                with pytest.raises(PeerError):
                    sync.refresh(session, context)
            kept = sync.network(session, context)
            assert kept == before, name


def test_who_came_in_and_who_was_suspended_is_in_the_audit_log(network: Network) -> None:
    network.set_state("troquet", "suspended")
    network.set_state("troquet", "connected")
    with network.hub.app.app_context():
        rows = hub_db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        told = [(row.action, row.subject) for row in rows]
    assert told == [
        ("invite", "cordee"),
        ("enrol", "cordee"),
        ("invite", "troquet"),
        ("enrol", "troquet"),
        ("suspended", "troquet"),
        ("connected", "troquet"),
    ]
