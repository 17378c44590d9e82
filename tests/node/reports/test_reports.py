"""What a host tells of visits: its own, and nothing that breaks the hub."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from sqlalchemy import select

from node.visits.models import Visit
from shared.crypto.keys import KeyRing, new_key_ring
from tests.contract.speaking import (
    access_token,
    b64,
    claims_of,
    claims_of_visit,
    keys_of,
    kind,
    named,
    private_key,
    send_report,
)
from tests.network import LocalNode, Network, codes


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


def _sign_charter(
    network: Network, node: LocalNode, ring: KeyRing | None = None, **changes: Any
) -> requests.Response:
    charter = network.hub.get("/api/v1/charters/current").json()
    claims = {"iss": node.id, "version": "1", "sha256": charter["sha256"], **changes}
    token = access_token(node)
    jws = (ring or keys_of(node)).sign(claims, "charter-signature+jwt")
    return network.hub.post("/api/v1/charters/1/signatures", {"jws": jws}, token)


def test_nobody_signs_the_charter_for_another(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    for refused in (
        _sign_charter(lasting_network, cordee, ring=keys_of(troquet)),
        _sign_charter(lasting_network, cordee, ring=new_key_ring()),
        _sign_charter(lasting_network, cordee, iss="troquet"),
        _sign_charter(lasting_network, cordee, sha256="0" * 64),
        _sign_charter(lasting_network, cordee, version="2"),
    ):
        assert kind(refused) == (403, "proof-invalid")
    again = _sign_charter(lasting_network, cordee)
    assert again.status_code == 201
    signed = lasting_network.hub.get("/api/v1/charters/1").json()["signatures"]
    assert sorted(s["node"] for s in signed).count("cordee") == 1


def test_a_host_reports_visits_to_its_own_spaces_alone(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode
) -> None:
    network, shown = lasting_network, cordee.add_person().show()
    elsewhere = send_report(network, troquet, claims_of_visit(network, shown, space="filature"))
    assert kind(elsewhere) == (422, "validation")
    assert list(elsewhere.json()["errors"]) == ["space"]
    for refused in (
        send_report(network, troquet, claims_of_visit(network, shown, "filature")),
        send_report(network, troquet, claims_of_visit(network, shown), ring=keys_of(cordee)),
        send_report(
            network, troquet, claims_of_visit(network, shown, aud="https://elsewhere.example")
        ),
        send_report(network, cordee, claims_of_visit(network, shown)),
    ):
        assert kind(refused) == (403, "proof-invalid")
    assert send_report(network, troquet, claims_of_visit(network, shown)).status_code == 201


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
    ids=named,
)
def test_no_report_breaks_the_hub(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode, changes: dict[str, Any]
) -> None:
    shown = cordee.add_person().show()
    claims = claims_of_visit(lasting_network, changes.pop("pass", shown), **changes)
    for path in ("/api/v1/visits/preview", "/api/v1/visits", "/api/v1/visits"):
        token = access_token(troquet)
        report = keys_of(troquet).sign(claims, "passerelle-visit+jwt")
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
@pytest.mark.parametrize("issuer", ["cordee", "\0", "\ud800", "x" * 2000, "é"], ids=named)
def test_no_pass_that_anybody_can_make_takes_the_hub_away_from_the_door(
    lasting_network: Network,
    cordee: LocalNode,
    troquet: LocalNode,
    header: dict[str, Any],
    issuer: str,
) -> None:
    head = b64({"alg": "EdDSA", "typ": "dc+sd-jwt", **header})
    shown = f"{head}.{b64({'iss': issuer, 'sub': 'x' * 16})}.{'A' * 86}~"
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
    ids=named,
)
def test_no_pass_that_a_home_can_make_breaks_a_door_or_the_hub(
    lasting_network: Network, cordee: LocalNode, troquet: LocalNode, changes: dict[str, Any]
) -> None:
    member = cordee.add_person().get_pass()
    claims = claims_of(member.credential) | changes
    head = b64({"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": keys_of(cordee).kid})
    signed = f"{head}.{b64(claims)}"
    member.credential = f"{signed}.{b64(private_key(keys_of(cordee)).sign(signed.encode()))}"
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
