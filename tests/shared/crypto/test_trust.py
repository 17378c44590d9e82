"""The trust list: the hub's signed word, and nobody else's."""

from __future__ import annotations

import time
from typing import Any

import pytest

from shared.crypto import jose
from shared.crypto.keys import KeyRing, new_key_ring
from shared.crypto.passes import UnknownIssuer
from shared.crypto.trust_list import TYP, read_trust_list

HUB, CORDEE, OLD, LOST = (new_key_ring() for _ in range(4))
URL = "https://hub.example"


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    keys = [*CORDEE.public_jwks(), *OLD.public_jwks(), {**LOST.public_jwks()[0], "withdrawn": True}]
    node = {"id": "cordee", "name": "La Cordée", "state": "connected", "keys": keys, "spaces": []}
    good = {
        "iss": URL,
        "iat": now,
        "exp": now + 72 * 3600,
        "charter": {"version": "1", "sha256": "0" * 64},
        "nodes": [node, {**node, "id": "squat", "keys": []}],
    }
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def read(ring: KeyRing = HUB, typ: str = TYP, **changes: Any) -> Any:
    return read_trust_list(ring.sign(claims(**changes), typ), HUB.find, URL)


def test_a_list_says_who_is_in_the_network() -> None:
    found = read()
    assert set(found.nodes) == {"cordee", "squat"}
    assert (found.charter_version, found.charter_sha256) == ("1", "0" * 64)
    assert found.expires_at - found.issued_at == 72 * 3600


def test_present_and_past_keys_of_a_node_are_good_and_withdrawn_ones_are_not() -> None:
    found = read()
    for ring in (CORDEE, OLD):
        key = found.issuer_key("cordee", ring.kid)
        assert jose.encode_b64(bytes(key)) == ring.public_jwks()[0]["x"]
    for issuer, kid, detail in (
        ("cordee", LOST.kid, "withdrawn"),
        ("cordee", "unknown", "key"),
        ("squat", CORDEE.kid, "key"),
        ("nobody", CORDEE.kid, "issuer"),
    ):
        with pytest.raises(UnknownIssuer) as unknown:
            found.issuer_key(issuer, kid)
        assert unknown.value.detail == detail


@pytest.mark.parametrize(
    ("changes", "detail"),
    [({"ring": new_key_ring()}, "key"), ({"ring": CORDEE}, "key"), ({"typ": "JWT"}, "typ")],
    ids=["a stranger's", "a node's", "another type"],
)
def test_nobody_but_the_hub_signs_it(changes: dict[str, Any], detail: str) -> None:
    with pytest.raises(jose.TokenFault, match=detail):
        read(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://another.example"},
        {"iss": None},
        {"iat": None},
        {"exp": "tomorrow"},
        {"charter": None},
        {"charter": "1"},
        {"nodes": None},
        {"nodes": 5},
        {"nodes": [5]},
        {"nodes": [{}]},
    ],
    ids=str,
)
def test_a_list_that_cannot_be_read_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read(**changes)


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert set(read(weather="fine", nodes=[{**claims()["nodes"][0], "mood": 1}]).nodes) == {
        "cordee"
    }
