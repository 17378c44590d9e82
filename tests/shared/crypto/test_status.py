"""Status lists: two bits a pass, signed; never "valid by default"."""

from __future__ import annotations

import json
import time
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.crypto import jose
from shared.crypto.keys import new_key_ring
from shared.crypto.status_list import (
    INVALID,
    LIFETIME_SECONDS,
    MAX_UNPACKED,
    SUSPENDED,
    TTL_SECONDS,
    VALID,
    StatusList,
    pack,
    read_list,
    sign_list,
)

RING = new_key_ring()
URI = "https://cordee.example/status-lists/1"


def token(statuses: dict[int, int] | None = None, size: int = 4096) -> str:
    now = datetime.now(UTC)
    return sign_list(RING, issuer="cordee", uri=URI, statuses=statuses or {}, size=size, now=now)


def changed(body: dict[str, Any] | None = None, **claims: Any) -> str:
    """Return a list that the home signed, with other claims; None takes one away."""
    values = dict(jose.read_unverified(token()).claims)
    values["status_list"] = {**values["status_list"], **(body or {})}
    values |= claims
    return RING.sign({k: v for k, v in values.items() if v is not None}, "statuslist+jwt")


def test_each_pass_has_its_two_bits() -> None:
    wanted = {0: INVALID, 1: SUSPENDED, 2: VALID, 3: INVALID, 5: SUSPENDED, 4095: INVALID}
    found = read_list(token(wanted), RING.find, URI)
    assert {n: found.status(n) for n in wanted} == wanted
    assert [found.status(n) for n in (4, 6, 7, 4094)] == [VALID] * 4


def test_bits_are_packed_as_the_drafts_example_says() -> None:
    """Section 4.1: statuses 1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3 make the bytes C9 44 F9."""
    statuses = dict(enumerate([1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]))
    assert pack(statuses, 12) == bytes.fromhex("c944f9")


@pytest.mark.parametrize("index", [4096, 10**9, 10**30])
def test_a_number_beyond_the_end_has_no_status(index: int) -> None:
    with pytest.raises(IndexError):
        read_list(token(), RING.find, URI).status(index)


def test_a_list_says_how_long_it_holds() -> None:
    claims = jose.read_unverified(token()).claims
    assert (claims["iss"], claims["sub"], claims["ttl"]) == ("cordee", URI, TTL_SECONDS)
    assert claims["exp"] - claims["iat"] == LIFETIME_SECONDS == 72 * 3600
    found = read_list(token(), RING.find, URI)
    assert isinstance(found, StatusList)
    assert abs(found.expires_at - time.time() - LIFETIME_SECONDS) < 60


def test_a_list_that_unpacks_to_gigabytes_is_refused() -> None:
    bomb = jose.encode_b64(zlib.compress(bytes(MAX_UNPACKED * 64), 9))
    assert len(bomb) < 100_000
    with pytest.raises(ValueError, match="more than"):
        read_list(changed({"lst": bomb}), RING.find, URI)


def test_the_largest_list_that_is_taken_holds_four_million_passes() -> None:
    found = read_list(token({4_000_000: INVALID}, size=MAX_UNPACKED * 4), RING.find, URI)
    assert (found.status(4_000_000), found.status(MAX_UNPACKED * 4 - 1)) == (INVALID, VALID)


def test_a_list_by_another_key_is_refused() -> None:
    other = new_key_ring()
    forged = other.sign(dict(jose.read_unverified(token()).claims), "statuslist+jwt")
    with pytest.raises(jose.TokenFault, match="key"):
        read_list(forged, RING.find, URI)


def test_the_list_of_another_address_is_refused() -> None:
    with pytest.raises(ValueError, match="asked for"):
        read_list(token(), RING.find, "https://cordee.example/status-lists/2")


def test_another_token_of_the_home_is_no_list() -> None:
    claims = dict(jose.read_unverified(token()).claims)
    for typ in ("JWT", "dc+sd-jwt", "trust-list+jwt"):
        with pytest.raises(jose.TokenFault, match="typ"):
            read_list(RING.sign(claims, typ), RING.find, URI)


@pytest.mark.parametrize(
    ("body", "claims"),
    [
        ({"bits": 1}, {}),
        ({"bits": "2"}, {}),
        ({"lst": "not base64url!"}, {}),
        ({"lst": ""}, {}),
        ({"lst": None}, {}),
        ({"lst": jose.encode_b64(b"not compressed")}, {}),
        ({}, {"status_list": []}),
        ({}, {"status_list": None}),
        ({}, {"exp": None}),
        ({}, {"exp": "tomorrow"}),
        ({}, {"iat": None}),
        ({}, {"sub": None}),
    ],
    ids=str,
)
def test_a_list_that_cannot_be_read_is_refused(
    body: dict[str, Any], claims: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_list(changed(body, **claims), RING.find, URI)


def test_a_list_cut_short_knows_nothing_of_the_rest() -> None:
    packed = zlib.compress(pack({4000: INVALID}, 4096), 9)
    short = changed({"lst": jose.encode_b64(packed[: len(packed) // 2])})
    with pytest.raises((ValueError, IndexError)):
        read_list(short, RING.find, URI).status(4000)


def test_the_token_is_what_the_standard_calls_it() -> None:
    header = jose.read_unverified(token()).header
    assert (header["typ"], header["alg"], header["kid"]) == ("statuslist+jwt", "Ed25519", RING.kid)
    assert json.dumps(header)
