"""What a node says of itself: its own spaces, signed, all of it right or none."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.spaces import harvest
from node.spaces import service as spaces
from shared.crypto.keys import KeyRing, new_key_ring
from shared.net.http import PeerSession
from tests.contract.speaking import access_token, b64, claims_of, keys_of, kind, named
from tests.network import LocalNode, Network


@pytest.fixture
def cordee(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["cordee"]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


def _published(node: LocalNode) -> dict[str, Any]:
    token = node.get("/.well-known/passerelle").text
    claims: dict[str, Any] = claims_of(token)
    return claims


def _publish(
    network: Network, node: LocalNode, claims: dict[str, Any], ring: KeyRing | None = None
) -> requests.Response:
    token = access_token(node)
    signed = (ring or keys_of(node)).sign(claims, "passerelle-publication+jwt")
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
    assert kind(refused) == (409, "space-taken")
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
    token = access_token(cordee)
    header, _, signature = cordee.get("/.well-known/passerelle").text.split(".")
    forged = {**claims, "name": "Forged"}
    attempts = {
        "altered": f"{header}.{b64(forged)}.{signature}",
        "another node's key": keys_of(troquet).sign(forged, "passerelle-publication+jwt"),
        "a stranger's key": new_key_ring().sign(forged, "passerelle-publication+jwt"),
        "another node's name": keys_of(cordee).sign(
            {**forged, "iss": "troquet"}, "passerelle-publication+jwt"
        ),
        "another typ": keys_of(cordee).sign(forged, "JWT"),
        "unsigned": f"{b64({'alg': 'none', 'typ': 'passerelle-publication+jwt'})}.{b64(forged)}.",
    }
    for name, signed in attempts.items():
        refused = lasting_network.hub.post("/api/v1/publications", {"publication": signed}, token)
        assert kind(refused) == (403, "proof-invalid"), name
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
    assert kind(refused) == (422, "validation"), refused.text
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
    ids=named,
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
    assert kind(refused) in ((422, "validation"), (409, "space-taken"))
    assert lasting_network.hub.get("/api/v1/spaces/twin").status_code == 404


def test_a_long_sheet_is_taken_whole(lasting_network: Network, cordee: LocalNode) -> None:
    """As much as the schema lets be written: no library's own limit cuts it short."""
    claims = _published(cordee)
    sheet = {**claims["spaces"][0], "description": "é" * 2000}
    claims["spaces"] += [{**sheet, "id": f"cordee-{n}"} for n in range(120)]
    taken = _publish(lasting_network, cordee, claims)
    assert taken.status_code == 200, taken.text
    try:
        assert _space_at_hub(lasting_network, "cordee-119")["description"] == "é" * 2000
    finally:
        assert _publish(lasting_network, cordee, _published(cordee)).status_code == 200
    assert lasting_network.hub.get("/api/v1/spaces/cordee-119").status_code == 404


def test_what_a_node_says_is_harvested_when_the_push_was_lost(network: Network) -> None:
    cordee = network.nodes["cordee"]
    with cordee.cut_off(), cordee.context() as (session, context):
        spaces.set_paused(session, context, "cordee", True)
    assert _space_at_hub(network, "cordee")["availability"]["paused"] is False
    with network.hub.app.app_context():
        wrong = harvest.harvest(
            hub_db.session(), hub_context().clock.now(), PeerSession(allow_private=True)
        )
    assert wrong == {}
    assert _space_at_hub(network, "cordee")["availability"]["paused"] is True
