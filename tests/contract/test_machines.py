"""Machines to machines: who may speak for a node, and to whom it listens."""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import pytest
import requests
from sqlalchemy import select

from charter import model_sources
from federation.audit.models import AuditEntry
from federation.context import hub as hub_context
from federation.db import db as hub_db
from node.hub import service as sync
from shared.crypto import jose
from shared.crypto.keys import new_key_ring
from shared.net.http import PeerError
from shared.web.guards import guard_of
from tests.contract.speaking import (
    FromNow,
    access_token,
    at_last,
    b64,
    claims_of,
    keys_of,
    kind,
    named,
    private_key,
)
from tests.network import LocalNode, Network


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


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
    return at_last(claims)


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
    assertion = keys_of(cordee).sign(_claims(lasting_network), "JWT")
    first, second = (_ask_token(lasting_network, assertion) for _ in range(2))
    assert first.status_code == 200
    assert first.json()["token_type"] == "Bearer"
    assert 0 < first.json()["expires_in"] <= 600
    token = first.json()["access_token"]
    assert lasting_network.hub.get("/api/v1/visits", token).status_code == 200
    assert (second.status_code, second.json()["error"]) == (400, "invalid_client")
    assert "JWT ID is used before" in second.json()["error_description"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"aud": "https://elsewhere.example/oauth/token"}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "troquet"}, "Issuer"),
        ({"jti": None}, "JWT ID"),
        ({"jti": "short"}, "JWT ID"),
        ({"jti": 5}, "jti"),
        ({"jti": "x" * 129}, "JWT ID"),
        ({"jti": "with\0zero"}, "JWT ID"),
        ({"jti": "half\ud800half"}, "JWT ID"),
        ({"exp": None}, "exp"),
        ({"iat": "now"}, "iat"),
        ({"exp": 10**400}, "five minutes"),
        ({"exp": FromNow(100_000)}, "five minutes"),
        ({"iat": FromNow(-700), "exp": FromNow(-640)}, "clock"),
    ],
    ids=named,
)
def test_an_assertion_that_claims_anything_else_gets_none(
    lasting_network: Network, cordee: LocalNode, changes: dict[str, Any], word: str
) -> None:
    claims = _claims(lasting_network, **changes)
    header = b64({"alg": "Ed25519", "typ": "JWT", "kid": keys_of(cordee).kid})
    signed = f"{header}.{b64(claims)}"
    signature = private_key(keys_of(cordee)).sign(signed.encode())
    refused = _ask_token(lasting_network, f"{signed}.{b64(signature)}")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    assert word in refused.json()["error_description"]


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_clock_ten_minutes_off_is_named(
    lasting_network: Network, cordee: LocalNode, minutes: int
) -> None:
    issued = int(time.time()) + minutes * 60
    claims = _claims(lasting_network, iat=issued, exp=issued + 60)
    refused = _ask_token(lasting_network, keys_of(cordee).sign(claims, "JWT"))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
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

    monkeypatch.setattr("node.hub_client.time", Fast)
    with cordee.context() as (_, context), pytest.raises(PeerError) as told:
        context.hub._find_token("cordee")
    assert "clock is about +" in str(told.value)


def test_only_a_key_of_the_node_itself_signs_for_it(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    stranger = new_key_ring()
    own, kid = keys_of(cordee), keys_of(cordee).kid
    half = _claims(lasting_network, "\ud800")

    def claims() -> dict[str, Any]:
        return _claims(lasting_network)

    unsigned = f"{b64({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{b64(claims())}."
    attempts = {
        "a stranger's": stranger.sign(claims(), "JWT"),
        "a stranger's under our kid": jose.sign(claims(), stranger.current, "JWT", kid=kid),
        "another node's": keys_of(troquet).sign(claims(), "JWT"),
        "without kid": jose.sign(claims(), own.current, "JWT"),
        "kid a path": jose.sign(claims(), own.current, "JWT", kid="../hub-keys.json"),
        "kid a URL": jose.sign(claims(), own.current, "JWT", kid="http://127.0.0.1:1/jwks"),
        "kid with NUL": jose.sign(claims(), own.current, "JWT", kid="\0"),
        "kid half a character": jose.sign(claims(), own.current, "JWT", kid="k").replace(
            b64(json.dumps({"alg": "Ed25519", "typ": "JWT", "kid": "k"}).encode()),
            b64({"alg": "Ed25519", "typ": "JWT", "kid": "\ud800"}),
        ),
        "another typ": own.sign(claims(), "at+jwt"),
        "nobody's": own.sign(_claims(lasting_network, "nobody"), "JWT"),
        "a number's": own.sign(_claims(lasting_network, 5), "JWT"),  # type: ignore[arg-type]
        "NUL's": own.sign(_claims(lasting_network, "cordee\0"), "JWT"),
        "half a character's": f"{b64({'alg': 'Ed25519'})}.{b64(half)}.AAAA",
        "unsigned": unsigned,
        "text": "text",
        "dots": "...",
        "nested": f"{'[' * 3000}.{'[' * 3000}.",
    }
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
    assertion = keys_of(cordee).sign(_claims(lasting_network), "JWT")
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
        {"exp": FromNow(-1)},
        {"aud": "https://elsewhere.example"},
        {"iss": "https://elsewhere.example"},
        {"exp": "tomorrow"},
    ],
    ids=named,
)
def test_an_access_token_is_good_here_and_now_alone(
    lasting_network: Network, changes: dict[str, Any]
) -> None:
    with lasting_network.hub.app.app_context():
        hub = hub_context()
        claims = {"iss": hub.url, "aud": hub.url, "sub": "cordee", "exp": time.time() + 60}
        good = {**claims, "exp": int(time.time()) + 60, "jti": secrets.token_hex(8)}
        token = hub.ring.sign(at_last({**good, **changes}), "at+jwt")
        sound, other_typ = hub.ring.sign(good, "at+jwt"), hub.ring.sign(good, "JWT")
    assert lasting_network.hub.get("/api/v1/visits", sound).status_code == 200
    for bad in (token, other_typ, sound[:-6] + "AAAAAA", new_key_ring().sign(good, "at+jwt")):
        assert kind(lasting_network.hub.get("/api/v1/visits", bad)) == (401, "unauthenticated")


def _node_routes(network: Network) -> list[tuple[str, str]]:
    """Return every method and address of the hub that a node may use and the public may not."""
    found = []
    for rule in network.hub.app.url_map.iter_rules():
        roles = guard_of(network.hub.app, rule.endpoint) or frozenset()
        if "node" in roles and "public" not in roles:
            values = {
                "month": "2026-11",
                "node_id": "troquet",
                "version": "1",
                "dispute_id": "1",
            }
            path = rule.rule
            for name in rule.arguments:
                path = path.replace(f"<{name}>", values.get(name, "a" * 20))
            found += [(m, path) for m in (rule.methods or set()) - {"HEAD", "OPTIONS"}]
    return sorted(found)


def test_a_suspended_node_is_refused_everywhere_at_once(network: Network) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    token = access_token(troquet)
    routes = _node_routes(network)
    assert len(routes) >= 9
    network.set_state("troquet", "suspended")
    body = {
        "report": new_key_ring().sign({}, "passerelle-visit+jwt"),
        "publication": "x.y.z",
        "jws": "x.y.z",
        "reason": "none",
        "at": "2026-11-24T10:00:00Z",
        "as_of": "2026-11-24T10:00:00Z",
        "ttl": 300,
        "spaces": [],
        "member": "m",
        "member_since": "2026-01-01",
        "status": "valid",
        "plan": "resident",
        "sources": model_sources(),
        "argument": "none",
        "choice": "yes",
        "visit": "0" * 26,
        "visits": 0,
        "hosts": {},
        "words": "none",
        "text": "none",
        "sha256": "0" * 64,
        "month": "2026-11",
        "last_day": "2026-12-24",
        "outcome": "withdrawn",
        "answer": "corrected",
        "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43},
        "proof": "x.y.z",
        "mark": f"1.{'m' * 16}",
        "url": "http://127.0.0.1:1",
        "showings": [{"showing": "0" * 64, "space": "x", "at": "2026-11-24T10:00:00Z"}],
    }
    for method, rule in routes:
        query = {
            "disputes": "?month=2026-11",
            "days": "?since=2026-11-01",
            "a" * 20: "?reason=none",
        }
        path = rule + query.get(rule.rpartition("/")[2], "")
        got = requests.request(
            method,
            network.hub.url + path,
            json=None if method == "GET" else body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=20,
        )
        assert kind(got) == (403, "node-suspended"), (method, path)
    refused = _ask_token(network, keys_of(troquet).sign(_claims(network, "troquet"), "JWT"))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client")
    assert [line["id"] for line in network.hub.statement()["visits"]] == [visit]
    network.set_state("troquet", "connected")
    assert network.hub.get("/api/v1/visits", token).status_code == 200
    assert troquet.check_out(visit).status_code == 200


def test_a_node_takes_no_trust_list_but_its_hubs_own(
    lasting_network: Network, troquet: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lasting_network.hub.app.app_context():
        hub = hub_context()
    good = claims_of(lasting_network.hub.get("/api/v1/trust-list").text)
    forgeries = {
        "a stranger's": new_key_ring().sign(good, "trust-list+jwt"),
        "a node's": keys_of(troquet).sign(good, "trust-list+jwt"),
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
        about = select(AuditEntry).where(AuditEntry.subject.in_(("cordee", "troquet")))
        rows = hub_db.session.scalars(about.order_by(AuditEntry.id)).all()
        told = [(row.action, row.subject) for row in rows]
    assert told == [
        ("invite", "cordee"),
        ("enrol", "cordee"),
        ("invite", "troquet"),
        ("enrol", "troquet"),
        ("suspended", "troquet"),
        ("connected", "troquet"),
    ]
