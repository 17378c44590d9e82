"""``deploy/protocol.md`` is enough to write a node from, and what it says is so."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.trust import notices as trust_notices
from tests.contract.protocol_node import Node, P256Phone, Phone, read
from tests.network import LocalNode, Network, codes

PAGE = (Path(__file__).parents[2] / "deploy" / "protocol.md").read_text("utf-8")
# Every way in which a phone may hold its key.
PHONES = {"Ed25519": Phone, "P-256": P256Phone}


@pytest.fixture
def troquet(network: Network) -> LocalNode:
    return network.nodes["troquet"]


@pytest.fixture
def tiers(network: Network) -> Iterator[Node]:
    """A node by somebody else, in the network: enrolled, its charter signed, its space known."""
    node = Node(network.hub.url, "le-tiers")
    answer = node.enrol(_invitation(network))
    assert answer.status_code == 201, answer.text
    assert answer.json()["kid"] == node.key.kid
    assert node.sign_charter().status_code == 201
    told = node.publish()
    assert told.status_code == 200, told.text
    assert {one["state"] for one in told.json()["documents"].values()} == {"accepted"}
    yield node
    node.close()


def _invitation(network: Network) -> str:
    path = "/api/v1/invitations"
    token: str = network.hub.post(path, {"operator": "Le Tiers"}, network.hub.token).json()["token"]
    return token


def test_the_page_names_every_type_of_token_that_is_spoken(network: Network) -> None:
    root = Path(__file__).parents[2]
    spoken = {
        found
        for package in ("shared", "federation", "node")
        for path in (root / package).rglob("*.py")
        for found in re.findall(r'"([a-z-]+\+jwt|dc\+sd-jwt)"', path.read_text("utf-8"))
    }
    assert not {typ for typ in spoken if f"`{typ}`" not in PAGE}


def test_the_page_names_every_machines_route(network: Network) -> None:
    paths = {
        rule.rule.removeprefix("/api/v1").split("<")[0].rstrip("/")
        for rule in network.hub.app.url_map.iter_rules()
        if rule.rule.startswith(("/api/v1/nodes/me/keys", "/api/v1/nodes/me/url"))
        or rule.rule in ("/api/v1/enrolments", "/api/v1/trust-list", "/api/v1/visits")
        or rule.rule in ("/api/v1/publications", "/api/v1/availability", "/api/v1/log-checks")
    }
    assert len(paths) == 8
    assert not {path for path in paths if path not in PAGE}


def test_the_example_of_a_kid_is_right(tiers: Node) -> None:
    example = re.search(r'\{"crv":"Ed25519","kty":"OKP","x":"[^"]+"\}', PAGE)
    assert example is not None
    digest = hashlib.sha256(example[0].encode()).digest()
    assert f"`{base64.urlsafe_b64encode(digest).decode()[:12]}`" in PAGE


@pytest.mark.parametrize("kind", PHONES)
def test_its_members_are_admitted_elsewhere_and_others_members_at_its_door(
    network: Network, tiers: Node, troquet: LocalNode, kind: str
) -> None:
    phone = PHONES[kind]()
    credential = tiers.issue(phone, 1)
    admitted = troquet.scan(phone.show(credential))
    assert admitted.status_code == 201, admitted.text
    rights = requests.get(
        f"{network.hub.url}/api/v1/me/rights",
        headers={"Authorization": f"Bearer {phone.show(credential, 'passerelle:rights')}"},
        timeout=20,
    )
    assert rights.status_code == 200, rights.text

    guest, now = network.nodes["cordee"].add_person(), network.clock.now()
    shown = guest.show()
    visit = tiers.report(shown, now)
    assert visit.status_code == 201, visit.text
    assert visit.json()["visit"]["host"] == tiers.id
    again = tiers.report(shown, now)
    assert (again.status_code, again.json()["visit"]["id"]) == (200, visit.json()["visit"]["id"])
    number = visit.json()["visit"]["id"]
    out = tiers.call("POST", f"/visits/{number}/check-out", {"at": now.isoformat()})
    assert out.status_code == 200, out.text
    mine = tiers.call("GET", "/visits", side="host").json()["items"]
    assert [one["id"] for one in mine] == [number]


def test_its_members_are_admitted_where_there_is_no_hub(
    network: Network, tiers: Node, troquet: LocalNode
) -> None:
    phone = Phone()
    credential = tiers.issue(phone, 2)
    network.refresh()
    network.hub_goes()
    admitted = troquet.scan(phone.show(credential))
    assert (admitted.status_code, codes(admitted)) == (201, []), admitted.text
    network.hub_returns()


def test_what_it_publishes_is_taken_when_it_is_asked_for(network: Network, tiers: Node) -> None:
    tiers.revision = 2
    whole = tiers.publish_whole()
    assert whole.status_code == 200, whole.text
    found = network.hub.get("/api/v1/spaces/le-tiers").json()
    assert found["address"]["town"] == "Vienne"
    checked = tiers.call("POST", "/nodes/me/check").json()["items"]
    states = {item["name"]: item["state"] for item in checked}
    assert (states["reachable"], states["key"], states["publication"]) == ("passed",) * 3


def test_the_trust_list_is_the_hubs_and_says_when_it_changed(network: Network, tiers: Node) -> None:
    first = tiers.trust_list()
    claims = read(first.text, tiers.hub_keys(), "trust-list+jwt")
    own = next(node for node in claims["nodes"] if node["id"] == tiers.id)
    assert [key["kid"] for key in own["keys"]] == [tiers.key.kid]
    assert own["charter"] == claims["charter"]["version"]
    etag = first.headers["ETag"]
    assert etag == f'"{hashlib.sha256(first.content).hexdigest()}"'
    assert tiers.trust_list(etag).status_code == 304
    notices = trust_notices.Notices()
    with network.hub.app.app_context():
        notices.tell(hub_db.session(), hub_context())
    network.set_state("cordee", "suspended")
    with network.hub.app.app_context():
        notices.tell(hub_db.session(), hub_context())
    assert [notice["changed"] for notice in tiers.notices] == ["trust-list"]
    assert tiers.trust_list(etag).headers["ETag"] == f'"{tiers.notices[0]["etag"]}"'


def test_it_rotates_its_key_and_withdraws_the_old_one(
    network: Network, tiers: Node, troquet: LocalNode
) -> None:
    phone, old = Phone(), tiers.key
    before = tiers.issue(phone, 3)
    rotated = tiers.rotate()
    assert rotated.status_code == 200, rotated.text
    assert tiers.key.kid != old.kid
    assert rotated.json()["kid"] == tiers.key.kid
    assert troquet.scan(phone.show(before)).status_code == 201, "passes before stay good"
    other = Phone()
    lost = tiers.issue(other, 4)
    tiers.keys.reverse()
    stolen = tiers.issue(other, 5)  # signed with the old key
    tiers.keys.reverse()
    gone = tiers.call("DELETE", f"/nodes/me/keys/{old.kid}", reason="stolen")
    assert gone.status_code == 200, gone.text
    assert codes(troquet.scan(other.show(stolen))) == ["home_unknown"]
    assert troquet.scan(other.show(lost)).status_code == 201
    refused = tiers.token(old)
    assert refused.json()["error"] == "invalid_client"
    last = tiers.call("DELETE", f"/nodes/me/keys/{tiers.key.kid}", reason="stolen")
    assert last.status_code == 409


def test_errors_of_the_token_endpoint_are_those_of_the_standard(tiers: Node) -> None:
    url = f"{tiers.hub}/oauth/token"
    for form, error in (
        ({}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ):
        answer = requests.post(url, data=form, timeout=20)
        assert (answer.status_code, answer.json()["error"]) == (400, error)
    token = tiers.token().json()["access_token"]
    assert read(token, tiers.hub_keys(), "at+jwt")["jti"]


def test_an_invitation_is_for_one_node_and_a_name_for_one_operator(
    network: Network, tiers: Node
) -> None:
    path, token = "/api/v1/invitations", network.hub.token
    taken = network.hub.post(path, {"operator": "LE  TÏERS!"}, token)
    assert (taken.status_code, taken.json()["type"].rpartition("/")[2]) == (409, "name-taken")
    names = ("Les Jumeaux", "LES JÜMEAUX!")  # both are invited before either has joined
    invited = [network.hub.post(path, {"operator": name}, token).json()["token"] for name in names]
    twins = [Node(network.hub.url, f"twin-{number}") for number in (1, 2)]
    first, second = (twin.enrol(given) for twin, given in zip(twins, invited, strict=True))
    for twin in twins:
        twin.close()
    assert first.status_code == 201, first.text
    assert second.status_code == 409
    assert second.json()["type"].endswith("/problems/name-taken")
