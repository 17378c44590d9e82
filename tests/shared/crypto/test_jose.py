"""Signatures: one algorithm, and nothing that a token says about how to check it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from joserfc.jwk import OKPKey

from shared.crypto import jose
from shared.crypto.keys import KeyRing, key_id, load_key_ring, make_key_ring, new_key_ring
from shared.crypto.trust_list import TrustList

RING = new_key_ring()
CLAIMS = {"iss": "cordee", "text": "é\u202e"}


def raw(header: Any, claims: Any = None, signature: bytes | None = None) -> str:
    """Return a token with any header, signed by our key over just these bytes."""
    parts = [
        part if isinstance(part, str) else jose.encode_b64(json.dumps(part).encode())
        for part in (header, CLAIMS if claims is None else claims)
    ]
    private = RING.current.private_key
    assert private is not None
    if signature is None:
        signature = private.sign(".".join(parts).encode())  # type: ignore[call-arg]
    return ".".join([*parts, jose.encode_b64(signature)])


def head(**changes: Any) -> dict[str, Any]:
    good = {"alg": "Ed25519", "typ": "JWT", "kid": RING.kid}
    return {k: v for k, v in {**good, **changes}.items() if v is not None}


def fault(token: str) -> str:
    with pytest.raises(jose.TokenFault) as found:
        jose.verify(token, RING.find, "JWT")
    return found.value.detail


def test_what_was_signed_is_read_back() -> None:
    for algorithm in jose.ALGORITHMS:
        token = RING.sign(CLAIMS, "JWT", algorithm)
        found = jose.verify(token, RING.find, "JWT")
        assert (found.claims, found.header["alg"]) == (CLAIMS, algorithm)


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "HS256", "ES256", "RS256", 5, None]
)
def test_no_other_algorithm_is_taken(algorithm: Any) -> None:
    assert fault(raw(head(alg=algorithm))) == "alg"
    assert fault(raw(head(alg=algorithm), signature=b"")) == "alg"


def test_the_public_key_is_no_secret() -> None:
    """HS256 with what everybody may read, in each spelling that a careless verifier may use."""
    x = RING.public_jwks()[0]["x"]
    for secret in (x.encode(), jose.decode_b64(x), json.dumps(RING.public_jwks()[0]).encode()):
        unsigned = raw(head(alg="HS256"), signature=b"").rstrip(".")
        mac = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
        assert fault(f"{unsigned}.{jose.encode_b64(mac)}") == "alg"
        eddsa = raw(head(), signature=b"").rstrip(".")
        mac = hmac.new(secret, eddsa.encode(), hashlib.sha256).digest()
        assert fault(f"{eddsa}.{jose.encode_b64(mac)}") == "signature"


@pytest.mark.parametrize(
    "kid", ["../keys", "/etc/passwd", "http://127.0.0.1:1/jwks", "", None, 5, {}]
)
def test_a_key_is_found_by_its_name_alone(kid: Any) -> None:
    assert fault(raw(head(kid=kid))) == "key"


def test_a_key_that_the_token_brings_is_not_used() -> None:
    thief = OKPKey.generate_key("Ed25519")
    for brought in (
        {"jwk": thief.as_dict(private=False)},
        {"jku": "http://127.0.0.1:1/jwks"},
        {"x5u": "http://127.0.0.1:1/cert"},
        {"x5c": ["AAAA"]},
    ):
        unsigned = raw(head(**brought), signature=b"").rstrip(".")
        private = thief.private_key
        assert private is not None
        signature = private.sign(unsigned.encode())  # type: ignore[call-arg]
        assert fault(f"{unsigned}.{jose.encode_b64(signature)}") == "signature"


@pytest.mark.parametrize("typ", ["at+jwt", "jwt", "application/JWT", "", None, 5, ["JWT"]])
def test_a_token_of_another_type_is_refused(typ: Any) -> None:
    assert fault(raw(head(typ=typ))) == "typ"


@pytest.mark.parametrize(
    "header",
    [head(crit=["b64"], b64=False), head(crit=[]), head(crit=["exp"], exp=1), head(b64=False)],
)
def test_critical_extensions_are_not_understood(header: dict[str, Any]) -> None:
    assert fault(raw(header)) == "malformed"


def test_header_members_that_nobody_knows_are_ignored() -> None:
    assert jose.verify(raw(head(future=[1])), RING.find, "JWT").claims == CLAIMS


@pytest.mark.parametrize(
    "token",
    [
        "",
        "text",
        "a.b",
        "a.b.c.d",
        "..",
        "é.é.é",
        f"{raw(head())}=",
        raw(head()).replace(".", " .", 1),
        raw(head(), signature=b"x") + "\n",
        raw([]),
        raw("bnVsbA"),
        raw(head(), []),
        raw(head(), 5),
        raw(jose.encode_b64(b"\xff\xfe")),
        raw(jose.encode_b64(b"[" * 100_000)),
        raw(head(), jose.encode_b64(b'{"a":' * 100_000)),
        raw(jose.encode_b64(b'{"alg":"Ed25519"')),
        raw(head(), jose.encode_b64(b'{"n":' + b"1" * 5000 + b"}")),
    ],
    ids=range(18),
)
def test_what_is_no_token_is_malformed(token: str) -> None:
    assert fault(token) == "malformed"


def test_one_text_for_the_same_bytes() -> None:
    """A signature whose last character carries spare bits is one token, not four."""
    token = raw(head())
    last = token[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spelled = [token[:-1] + c for c in alphabet if c != last]
    assert {fault(other) for other in spelled} <= {"malformed", "signature"}
    same_bytes = [t for t in spelled if _loose(t) == _loose(token)]
    assert {fault(other) for other in same_bytes} <= {"malformed"}


def _loose(token: str) -> bytes:
    import base64

    signature = token.rpartition(".")[2]
    return base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))


def test_every_bit_of_a_token_counts() -> None:
    token = raw(head())
    for place in range(0, len(token), 7):
        if token[place] != ".":
            other = "A" if token[place] != "A" else "B"
            with pytest.raises(jose.TokenFault):
                jose.verify(token[:place] + other + token[place + 1 :], RING.find, "JWT")


def test_a_trust_list_of_thousands_of_nodes_is_signed_and_read() -> None:
    claims = {"nodes": [{"id": f"node-{n}", "text": "x" * 400} for n in range(5000)]}
    token = RING.sign(claims, "JWT")
    assert len(token) > 2_000_000
    assert jose.verify(token, RING.find, "JWT").claims == claims


@pytest.mark.parametrize(
    "jwk",
    [
        None,
        "text",
        {},
        {"kty": "RSA"},
        {"kty": "OKP", "crv": "X25519", "x": "A" * 43},
        {"kty": "OKP", "crv": "Ed25519"},
        {"kty": "OKP", "crv": "Ed25519", "x": 5},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 42},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43 + "="},
        {"kty": "OKP", "crv": "Ed25519", "x": "é" * 43},
        {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "d": "A" * 43},
    ],
    ids=str,
)
def test_what_is_no_public_key_is_refused(jwk: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        jose.import_public(jwk)


# Rings


def test_a_rotated_key_still_verifies_and_the_new_one_signs() -> None:
    old, new = RING.keys[0], new_key_ring().keys[0]
    rotated = KeyRing((new, old))
    before, after = RING.sign(CLAIMS, "JWT"), rotated.sign(CLAIMS, "JWT")
    assert jose.verify(before, rotated.find, "JWT").claims == CLAIMS
    assert jose.verify(after, rotated.find, "JWT").header["kid"] == new[0]
    assert [jwk["kid"] for jwk in rotated.public_jwks()] == [new[0], old[0]]
    assert all("d" not in jwk for jwk in rotated.public_jwks())


def test_keys_are_made_once_and_are_nobodys_to_read(tmp_path: Any) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(FileNotFoundError):
        load_key_ring(path)
    first, second = make_key_ring(path), make_key_ring(path)
    assert first.kid == second.kid == key_id(first.current)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == ["keys.json"]


def test_a_key_is_good_for_its_owner_alone() -> None:
    jwk = RING.public_jwks()[0]
    nodes = {"cordee": {"keys": [jwk]}, "squat": {"keys": []}}
    trust = TrustList(0, 0, "1", "", nodes)
    token = RING.sign(CLAIMS, "JWT")
    assert jose.verify(token, trust.find_key_of("cordee"), "JWT")
    for other in ("squat", "nobody"):
        with pytest.raises(jose.TokenFault, match="key"):
            jose.verify(token, trust.find_key_of(other), "JWT")
