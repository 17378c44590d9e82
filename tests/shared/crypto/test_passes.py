"""The pass: every way in which it can be wrong, each by its code and its detail."""

from __future__ import annotations

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import ECKey, OKPKey
from jwcrypto.jwk import JWK
from nacl.signing import VerifyKey
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from charter import Fault
from shared.base.clock import Clock
from shared.crypto import jose
from shared.crypto.keys import KeyRing, new_key_ring
from shared.crypto.passes import (
    RIGHTS_AUDIENCE,
    UnknownIssuer,
    bind,
    examine,
    issue,
    new_pass_id,
    sd_hash,
    showing_of,
)

HOME = new_key_ring()
PHONE = OKPKey.generate_key("Ed25519")
P256 = ECKey.generate_key("P-256")


def issuer_key(issuer: str, kid: str) -> VerifyKey:
    """Know one home, ``cordee``, with one key that holds and one that was withdrawn."""
    if issuer != "cordee":
        raise UnknownIssuer("issuer")
    if kid == "withdrawn":
        raise UnknownIssuer("withdrawn")
    if kid != HOME.kid:
        raise UnknownIssuer("key")
    return jose.import_public(HOME.public_jwks()[0])


def credential(ring: KeyRing = HOME, **changes: Any) -> str:
    issued = datetime.now(UTC)
    values: dict[str, Any] = {
        "issuer": "cordee",
        "pass_id": "a-pass-number-16",
        "jwk": PHONE.as_dict(private=False),
        "plan": "resident",
        "given_name": "Ada",
        "status_index": 7,
        "status_uri": "https://cordee.example/status-lists/1",
        "issued_at": issued,
        "expires_at": issued + timedelta(days=30),
    }
    return issue(ring, **{**values, **changes})


def changed(header: dict[str, Any] | None = None, **claims: Any) -> str:
    """Return a credential that the home signed, with other claims; None takes one away."""
    token = jose.read_unverified(credential())
    values = {k: v for k, v in {**token.claims, **claims}.items() if v is not None}
    return signed({**token.header, **(header or {})}, values, HOME.current)


def signed(header: Any, claims: Any, key: OKPKey) -> str:
    parts = [jose.encode_b64(json.dumps(part).encode()) for part in (header, claims)]
    assert isinstance(key.private_key, Ed25519PrivateKey)
    signature = key.private_key.sign(".".join(parts).encode())
    return ".".join([*parts, jose.encode_b64(signature)])


def binding(of: str, header: dict[str, Any] | None = None, key: Any = PHONE, **claims: Any) -> str:
    """Return a key binding as phones make it, changed; None takes a claim away."""
    good = {
        "iat": int(time.time()),
        "aud": "passerelle:check-in",
        "nonce": "n",
        "sd_hash": sd_hash(of),
    }
    values = {k: v for k, v in {**good, **claims}.items() if v is not None}
    return signed({"alg": "EdDSA", "typ": "kb+jwt", **(header or {})}, values, key)


def faults(text: str) -> list[tuple[str, str]]:
    return [(fault.code, fault.detail) for fault in examine(text, issuer_key, Clock()).faults]


def test_a_good_pass_proves_what_it_says() -> None:
    shown = bind(credential(), PHONE, time.time())
    evidence = examine(f"\n {shown}  ", issuer_key, Clock())
    assert evidence.faults == ()
    assert (evidence.issuer, evidence.pass_id) == ("cordee", "a-pass-number-16")
    assert (evidence.plan, evidence.given_name) == ("resident", "Ada")
    assert (evidence.status_index, evidence.usable_from) == (7, None)
    assert evidence.text == shown


def test_evidence_keeps_what_the_hub_keeps_and_no_first_name() -> None:
    now = int(time.time())
    shown = bind(credential(), PHONE, now)
    evidence = examine(shown, issuer_key, Clock())
    one, _, bound = shown.partition("~")
    assert evidence.binding == bound
    assert evidence.shown_at == datetime.fromtimestamp(now, UTC)
    assert evidence.claims == {
        name: value
        for name, value in jose.read_unverified(one).claims.items()
        if name != "given_name"
    }


def test_a_showing_is_what_the_phone_signed_and_not_how_its_signature_is_spelled() -> None:
    one, phone = credential(jwk=P256.as_dict(private=False)), P256
    shown = bind(one, phone, int(time.time()))
    evidence = examine(shown, issuer_key, Clock())
    assert evidence.proof == showing_of(shown)
    assert (
        evidence.proof
        == hashlib.sha256(shown.partition("~")[2].rpartition(".")[0].encode()).hexdigest()
    )
    head, _, signature = shown.rpartition(".")
    raw = jose.decode_b64(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    malleable = examine(f"{head}.{jose.encode_b64(other)}", issuer_key, Clock())
    assert (malleable.faults, malleable.proof) == ((), evidence.proof)
    assert showing_of(bind(one, phone, int(time.time()))) != evidence.proof  # another nonce


@pytest.mark.parametrize("text", ["", "bonjour", "\ud800~", "a~b~c", "a~b.c.d", "x" * 5000])
def test_what_has_no_key_binding_is_identified_as_a_whole(text: str) -> None:
    evidence = examine(text, issuer_key, Clock())
    assert evidence.proof == hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    assert (evidence.binding, evidence.shown_at, evidence.claims) == (None, None, None)


def test_a_phone_without_ed25519_binds_with_p256() -> None:
    one = credential(jwk=P256.as_dict(private=False))
    assert set(jose.read_unverified(one).claims["cnf"]["jwk"]) == {"kty", "crv", "x", "y"}
    assert faults(bind(one, P256, int(time.time()))) == []
    thief = ECKey.generate_key("P-256")
    assert faults(bind(one, thief, int(time.time()))) == [(MALFORMED, "key_binding_signature")]
    assert faults(bind(one, PHONE, int(time.time()))) == [(MALFORMED, "key_binding_alg")]
    assert faults(bind(credential(), P256, int(time.time()))) == [(MALFORMED, "key_binding_alg")]
    head = bind(one, P256, int(time.time())).rpartition(".")[0]
    for signature in (b"", bytes(64), bytes(63), b"\xff" * 64, bytes(70)):
        shown = f"{head}.{jose.encode_b64(signature)}"
        assert faults(shown) == [(MALFORMED, "key_binding_signature")]


def test_only_a_key_binding_may_be_by_p256() -> None:
    """A home signs with Ed25519, whatever its credential's header says."""
    one = changed({"alg": "ES256"})
    assert faults(f"{one}~{binding(one)}") == [(MALFORMED, "alg")]


SMALL_ORDER = (
    "01" + "00" * 31,
    "00" * 32,
    "ec" + "ff" * 30 + "7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
)


@pytest.mark.parametrize("x", SMALL_ORDER)
def test_no_pass_is_bound_to_a_key_for_which_anybody_signs(x: str) -> None:
    with pytest.raises(ValueError, match="no point"):
        credential(jwk={"kty": "OKP", "crv": "Ed25519", "x": jose.encode_b64(bytes.fromhex(x))})


def test_a_point_off_the_curve_is_no_key() -> None:
    jwk = {**P256.as_dict(private=False), "y": jose.encode_b64(bytes(31) + b"\1")}
    with pytest.raises(ValueError, match=r".+"):
        credential(jwk=jwk)
    one = changed(cnf={"jwk": jwk})
    assert faults(f"{one}~{binding(one)}") == [(MALFORMED, "claims")]


def test_what_is_signed_for_one_use_is_refused_for_another() -> None:
    one = credential()
    for made, wanted, expected in (
        ("passerelle:check-in", RIGHTS_AUDIENCE, [(MALFORMED, "key_binding_audience")]),
        (RIGHTS_AUDIENCE, "passerelle:check-in", [(MALFORMED, "key_binding_audience")]),
        (RIGHTS_AUDIENCE, RIGHTS_AUDIENCE, []),
    ):
        shown = bind(one, PHONE, int(time.time()), audience=made)
        found = examine(shown, issuer_key, Clock(), audience=wanted).faults
        assert [(fault.code, fault.detail) for fault in found] == expected


@pytest.mark.parametrize(
    ("dates", "detail"),
    [
        ({"iat": 80, "exp": 3600}, None),
        ({"iat": 120, "exp": 3600}, "iat_ahead"),
        ({"iat": 315_360_000, "exp": 315_360_000 + 3600}, "iat_ahead"),
        ({"iat": 0, "exp": 0}, "exp_before_iat"),
        ({"iat": -60, "exp": -3600}, "exp_before_iat"),
        ({"iat": 0, "exp": 35 * 86400}, None),
        ({"iat": 0, "exp": 35 * 86400 + 1}, "exp_too_late"),
        ({"iat": 0, "exp": 3600, "nbf": -1}, None),
        ({"iat": 0, "exp": 3600, "nbf": 100}, "not_yet"),
    ],
    ids=str,
)
def test_dates_are_in_their_order_and_have_begun(dates: dict[str, int], detail: str | None) -> None:
    one = changed(**{name: int(time.time()) + seconds for name, seconds in dates.items()})
    assert faults(f"{one}~{binding(one)}") == ([(MALFORMED, detail)] if detail else [])


def test_a_pass_told_late_is_examined_as_of_its_own_time() -> None:
    then = datetime.now(UTC) - timedelta(days=3)
    one = credential(issued_at=then, expires_at=then + timedelta(days=1), usable_from=then)
    shown = bind(one, PHONE, then.timestamp())
    assert examine(shown, issuer_key, Clock().standing(then)).faults == ()
    early = examine(shown, issuer_key, Clock().standing(then - timedelta(minutes=3)))
    assert [fault.detail for fault in early.faults] == ["iat_ahead"]


@pytest.mark.parametrize("algorithm", ["EdDSA", "Ed25519"])
def test_both_names_of_the_algorithm_are_taken(algorithm: str) -> None:
    one = changed({"alg": algorithm})
    assert faults(f"{one}~{binding(one, {'alg': algorithm})}") == []


def test_header_members_and_claims_that_nobody_knows_are_ignored() -> None:
    one = changed(
        {"x-future": 1}, colour="green", cnf={"jwk": PHONE.as_dict(private=False), "x": 1}
    )
    assert faults(f"{one}~{binding(one, {'x-future': []}, weather='fine')}") == []


def test_seniority_travels_as_the_first_usable_instant() -> None:
    usable = datetime(2027, 1, 4, tzinfo=UTC)
    one = credential(usable_from=usable)
    assert examine(bind(one, PHONE, int(time.time())), issuer_key, Clock()).usable_from == usable


MALFORMED = "pass_malformed"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", "malformed"),
        ("bonjour", "malformed"),
        ("a.b.c~", "malformed"),
        ("é.é.é~", "malformed"),
        ("\ud800~", "malformed"),
        ("..~", "malformed"),
        ("x" * 4097, "too_long"),
        ("é" * 2049, "too_long"),
        ("\ud800" * 1366, "too_long"),
        ("a~b~c", "disclosures"),
    ],
)
def test_what_is_no_pass_is_malformed(text: str, detail: str) -> None:
    assert faults(text) == [(MALFORMED, detail)]


def test_a_header_and_claims_that_are_no_objects_are_malformed() -> None:
    for header, claims in (([], {}), ({"alg": "EdDSA", "typ": "dc+sd-jwt"}, 5)):
        assert faults(f"{signed(header, claims, HOME.current)}~") == [(MALFORMED, "malformed")]


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ({"alg": "none"}, "alg"),
        ({"alg": "HS256"}, "alg"),
        ({"alg": "ES256"}, "alg"),
        ({"alg": ["EdDSA"]}, "alg"),
        ({"alg": None}, "alg"),
        ({"typ": "JWT"}, "typ"),
        ({"typ": "kb+jwt"}, "typ"),
        ({"typ": "vc+sd-jwt"}, "typ"),
        ({"typ": None}, "typ"),
        ({"crit": ["exp"]}, "malformed"),
        ({"b64": False}, "malformed"),
    ],
    ids=str,
)
def test_a_credential_of_another_kind_is_malformed(header: dict[str, Any], detail: str) -> None:
    one = changed(header)
    assert faults(f"{one}~{binding(one)}") == [(MALFORMED, detail)]


@pytest.mark.parametrize(
    ("header", "issuer", "detail"),
    [
        ({}, "squat", "issuer"),
        ({}, None, "issuer"),
        ({}, ["cordee"], "issuer"),
        ({}, "\0", "issuer"),
        ({"kid": "squat-1"}, "cordee", "key"),
        ({"kid": "../hub-keys.json"}, "cordee", "key"),
        ({"kid": "https://squat.example/jwks.json"}, "cordee", "key"),
        ({"kid": None}, "cordee", "key"),
        ({"kid": ["a"]}, "cordee", "key"),
        ({"kid": "withdrawn"}, "cordee", "withdrawn"),
    ],
    ids=str,
)
def test_a_credential_of_an_unknown_home_or_key_has_no_home(
    header: dict[str, Any], issuer: Any, detail: str
) -> None:
    one = changed(header, iss=issuer)
    evidence = examine(f"{one}~{binding(one)}", issuer_key, Clock())
    assert evidence.faults == (Fault("home_unknown", detail),)
    assert evidence.issuer is None


def test_a_credential_that_the_home_did_not_sign_is_malformed() -> None:
    good = credential()
    head, claims, signature = good.split(".")
    other = jose.encode_b64(
        json.dumps({**jose.read_unverified(good).claims, "plan": "nomad"}).encode()
    )
    flipped = ("B" if signature[0] == "A" else "A") + signature[1:]
    stranger = credential(KeyRing(((HOME.kid, OKPKey.generate_key("Ed25519")),)))
    for forged in (
        f"{head}.{other}.{signature}",
        f"{head}.{claims}.{flipped}",
        f"{head}.{claims}.",
        stranger,
    ):
        assert faults(f"{forged}~{binding(forged)}") == [(MALFORMED, "signature")]


@pytest.mark.parametrize(
    "claims",
    [
        {"vct": "another"},
        {"vct": None},
        {"plan": "emperor"},
        {"plan": None},
        {"plan": ["resident"]},
        {"sub": None},
        {"sub": "short"},
        {"sub": "x" * 65},
        {"sub": 5},
        {"sub": "a\0" * 8},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": 1.5},
        {"iat": -1},
        {"exp": None},
        {"iat": 1_790_000_000, "exp": 1_790_000_000 + 35 * 86400 + 1},
        {"exp": 10**400},
        {"iat": 10**400, "exp": 10**400},
        {"nbf": "tomorrow"},
        {"nbf": 1 << 60},
        {"status": None},
        {"status": {}},
        {"status": {"status_list": {"idx": -1, "uri": "https://a.example"}}},
        {"status": {"status_list": {"idx": "7", "uri": "https://a.example"}}},
        {"status": {"status_list": {"idx": 7}}},
        {"cnf": None},
        {"cnf": {"jwk": {"kty": "EC", "crv": "P-256", "x": "A", "y": "A"}}},
        {"cnf": {"jwk": {"kty": "OKP", "crv": "X25519", "x": "A" * 43}}},
        {"cnf": {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A"}}},
        {"cnf": {"jwk": "text"}},
        {"given_name": 5},
        {"given_name": "a\0b"},
        {"given_name": "\ud800"},
    ],
    ids=lambda claims: ascii(claims)[:60],
)
def test_claims_that_the_contract_does_not_allow_are_malformed(claims: dict[str, Any]) -> None:
    one = changed(**claims)
    ((code, _),) = faults(f"{one}~{binding(one)}")
    assert code == MALFORMED


def test_a_credential_is_good_until_its_last_second() -> None:
    now = datetime.now(UTC)
    for ends, expected in (
        (now - timedelta(seconds=1), [("pass_expired", "")]),
        (now + timedelta(minutes=1), []),
    ):
        one = credential(issued_at=now - timedelta(days=1), expires_at=ends)
        assert faults(bind(one, PHONE, time.time())) == expected


def test_a_long_name_is_cut_and_a_missing_one_is_empty() -> None:
    long, none = changed(given_name="é" * 100), changed(given_name=None)
    assert examine(f"{long}~{binding(long)}", issuer_key, Clock()).given_name == "é" * 60
    assert examine(f"{none}~{binding(none)}", issuer_key, Clock()).given_name == ""


# The key binding


def test_a_stripped_key_binding_is_missing() -> None:
    for text in (credential(), f"{credential()}~"):
        assert faults(text) == [(MALFORMED, "key_binding_missing")]


@pytest.mark.parametrize(
    ("header", "claims", "expected"),
    [
        ({"typ": "JWT"}, {}, [(MALFORMED, "key_binding_typ")]),
        ({"alg": "none"}, {}, [(MALFORMED, "key_binding_alg")]),
        ({"alg": "HS256"}, {}, [(MALFORMED, "key_binding_alg")]),
        ({"crit": ["b64"], "b64": False}, {}, [(MALFORMED, "key_binding_malformed")]),
        ({}, {"aud": "passerelle:check-out"}, [(MALFORMED, "key_binding_audience")]),
        ({}, {"aud": ["passerelle:check-in"]}, [(MALFORMED, "key_binding_audience")]),
        ({}, {"aud": None}, [(MALFORMED, "key_binding_audience")]),
        ({}, {"sd_hash": "A" * 43}, [(MALFORMED, "key_binding_hash")]),
        ({}, {"sd_hash": None}, [(MALFORMED, "key_binding_hash")]),
        ({}, {"nonce": ""}, [(MALFORMED, "key_binding_nonce")]),
        ({}, {"nonce": 5}, [(MALFORMED, "key_binding_nonce")]),
        ({}, {"nonce": None}, [(MALFORMED, "key_binding_nonce")]),
        ({}, {"iat": None}, [(MALFORMED, "key_binding_iat")]),
        ({}, {"iat": "now"}, [(MALFORMED, "key_binding_iat")]),
        ({}, {"iat": True}, [(MALFORMED, "key_binding_iat")]),
        ({}, {"iat": 10**400}, [("pass_stale", "")]),
        ({}, {"iat": float("nan")}, [(MALFORMED, "key_binding_iat")]),
        ({}, {"iat": float("-inf")}, [(MALFORMED, "key_binding_iat")]),
        ({}, {"iat": 1.5e9}, [(MALFORMED, "key_binding_iat")]),
        ({}, {"iat": 1_500_000_000.25}, [(MALFORMED, "key_binding_iat")]),
        (
            {},
            {"aud": "x", "nonce": "", "iat": 0},
            [
                (MALFORMED, "key_binding_audience"),
                (MALFORMED, "key_binding_nonce"),
                ("pass_stale", ""),
            ],
        ),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_every_fault_of_a_key_binding_has_its_detail(
    header: dict[str, Any], claims: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    one = credential()
    assert faults(f"{one}~{binding(one, header, **claims)}") == expected


def test_a_key_binding_by_another_phone_or_of_another_credential_is_refused() -> None:
    one, other = credential(), credential(pass_id="another-number-16")
    thief = OKPKey.generate_key("Ed25519")
    assert faults(f"{one}~{binding(one, key=thief)}") == [(MALFORMED, "key_binding_signature")]
    brought = {"jwk": thief.as_dict(private=False)}
    assert faults(f"{one}~{binding(one, brought, thief)}") == [(MALFORMED, "key_binding_signature")]
    assert faults(f"{one}~{binding(other)}") == [(MALFORMED, "key_binding_hash")]
    head, _, signature = binding(one).rpartition(".")
    short = jose.encode_b64(jose.decode_b64(signature)[:-1])
    assert faults(f"{one}~{head}.{short}") == [(MALFORMED, "key_binding_signature")]
    assert faults(f"{one}~text") == [(MALFORMED, "key_binding_malformed")]


@pytest.mark.parametrize(
    ("seconds", "fresh"), [(-120, False), (-80, True), (80, True), (120, False)]
)
def test_a_code_is_fresh_for_ninety_seconds_either_way(seconds: int, fresh: bool) -> None:
    shown = bind(credential(), PHONE, time.time() + seconds)
    assert faults(shown) == ([] if fresh else [("pass_stale", "")])


def test_a_code_is_fresh_by_the_set_clock_too() -> None:
    """A phone's page runs by real time, a test's by the day that was set."""
    clock = Clock(timedelta(days=3))
    for shown_at in (time.time(), time.time() + 3 * 86400):
        assert examine(bind(credential(), PHONE, shown_at), issuer_key, clock).faults == ()
    half_way = examine(bind(credential(), PHONE, time.time() + 86400), issuer_key, clock)
    assert [fault.code for fault in half_way.faults] == ["pass_stale"]


# Sizes, numbers, and what others think of it


def test_a_pass_fits_the_qr_of_a_screen() -> None:
    one = credential(
        issuer="troquet-numerique",
        given_name="Marie-Antoinette",
        status_index=4_000_000,
        status_uri="https://node.troquet-numerique.fr/status-lists/1",
        usable_from=datetime(2027, 1, 1, tzinfo=UTC),
    )
    assert len(bind(one, PHONE, time.time())) <= 1003  # bytes in a QR of version 22, level L


def test_the_longest_pass_is_still_read_and_fits_the_largest_qr() -> None:
    one = credential(
        issuer="cordee",
        pass_id="x" * 64,
        given_name="é" * 60,
        status_index=1 << 40,
        status_uri="https://" + "x" * 280 + "/status-lists/1",
        usable_from=datetime(2025, 1, 1, tzinfo=UTC),
    )
    shown = bind(one, PHONE, time.time())
    assert len(shown) <= 2953  # bytes in a QR of version 40, level L
    assert faults(shown) == []


def test_pass_numbers_have_96_random_bits() -> None:
    numbers = {new_pass_id() for _ in range(1000)}
    assert len(numbers) == 1000
    assert {len(jose.decode_b64(number)) for number in numbers} == {12}


def test_a_private_key_in_the_request_is_refused() -> None:
    with pytest.raises(ValueError, match="private"):
        credential(jwk=PHONE.as_dict(private=True))


def test_the_reference_implementation_verifies_our_pass() -> None:
    one = credential()
    shown = bind(one, PHONE, time.time(), nonce="a challenge")

    def find(issuer: str, header: dict[str, Any]) -> JWK:
        assert (issuer, header["kid"]) == ("cordee", HOME.kid)
        return JWK(**HOME.public_jwks()[0])

    reference = SDJWTVerifier(shown, find)
    reference._verify_key_binding_jwt("passerelle:check-in", "a challenge", "EdDSA")
    assert reference.get_verified_payload() == jose.read_unverified(one).claims
    for audience, nonce in (("another", "a challenge"), ("passerelle:check-in", "another")):
        with pytest.raises(ValueError, match="Invalid"):
            reference._verify_key_binding_jwt(audience, nonce, "EdDSA")
    swapped = f"{credential(pass_id='another-number-16')}~{shown.partition('~')[2]}"
    with pytest.raises(ValueError, match="digest"):
        SDJWTVerifier(swapped, find)._verify_key_binding_jwt(
            "passerelle:check-in", "a challenge", "EdDSA"
        )


def test_we_verify_a_pass_that_the_reference_implementation_made() -> None:
    home, phone = (JWK(**key.as_dict(private=True)) for key in (HOME.current, PHONE))
    claims = dict(jose.read_unverified(credential()).claims)
    header = {"typ": "dc+sd-jwt", "kid": HOME.kid}
    del claims["cnf"]
    made = SDJWTIssuer(claims, home, phone, sign_alg="EdDSA", extra_header_parameters=header)
    holder = SDJWTHolder(made.sd_jwt_issuance)
    holder.create_presentation({}, "n" * 16, "passerelle:check-in", phone, sign_alg="EdDSA")
    evidence = examine(holder.sd_jwt_presentation, issuer_key, Clock())
    assert (evidence.faults, evidence.pass_id) == ((), "a-pass-number-16")
