"""What somebody dishonest, or broken, can show at a door, made by the independent client."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.contract.independent_client import (
    Forger,
    Pass,
    Service,
    b64,
    compact_json,
    flip_signature,
    jws_bytes,
    replace_claims,
    status_list_text,
    unb64,
    unsigned,
    with_hmac,
)

MALFORMED = "pass_malformed"


@dataclass(frozen=True)
class Stolen:
    """All that can be had without the home's private key: two passes of its, one of another."""

    shown: Pass
    other: Pass
    home: Service
    foreign: Pass

    @property
    def issuer_secrets(self) -> list[bytes]:
        """The home's public key, in the spellings that a careless verifier may use."""
        jwk = self.home.jwks()["keys"][0]
        return [unb64(jwk["x"]), jwk["x"].encode(), compact_json(jwk)]

    def bound(self, credential: str, by: Pass | None = None) -> str:
        """This credential, with a good key binding by a phone that one has in hands."""
        return f"{credential}~{(by or self.shown).phone.bind(credential)}"

    def altered(self, **changed: object) -> str:
        return self.bound(replace_claims(self.shown.credential, **changed))

    def forged(self, **made: Any) -> str:
        return Forger().show(self.shown, **made)


Make = Callable[[Stolen], str]


def _another_phone(s: Stolen) -> str:
    stolen = replace_claims(s.shown.credential, cnf={"jwk": s.other.phone.jwk})
    return s.bound(stolen, s.other)


def _relabelled(s: Stolen) -> str:
    """The real signature of another node, on this node's name."""
    return s.bound(replace_claims(s.foreign.credential, iss=s.shown.claims["iss"]), s.foreign)


def _disclosure(s: Stolen) -> str:
    credential = f"{s.shown.credential}~{b64(compact_json(['salt', 'plan', 'resident']))}"
    return s.bound(credential)


def _younger(s: Stolen) -> str:
    old = s.shown.phone.bind(s.shown.credential, iat=int(time.time()) - 120)
    return f"{s.shown.credential}~{replace_claims(old, iat=int(time.time()))}"


def _hs256(n: int) -> Make:
    return lambda s: s.forged(header={"alg": "HS256"}, sign=with_hmac(s.issuer_secrets[n]))


# What is wrong, the code of its refusal, and the ways to do it. Two wrongs that share a code
# are told apart by their ``params.detail``. One is missing: an expired credential cannot be had
# without the home's key or a month of patience, and is left to the tests that hold that key.
# Nor can one node's real signature be put on claims of another's: what comes nearest is here.
FORGERIES: dict[str, tuple[str, dict[str, Make]]] = {
    "credential signature": (
        MALFORMED,
        {
            "one bit of it": lambda s: s.bound(flip_signature(s.shown.credential)),
            "another plan": lambda s: s.altered(plan="nomad"),
            "a later end": lambda s: s.altered(exp=s.shown.claims["exp"] + 86400),
            "another phone": _another_phone,
            "by a stranger": lambda s: s.forged(),
        },
    ),
    "credential alg": (
        MALFORMED,
        {
            "none": lambda s: s.forged(header={"alg": "none"}, sign=unsigned),
            "None": lambda s: s.forged(header={"alg": "None"}, sign=unsigned),
            "HS256 with the public key": _hs256(0),
            "HS256 with its text": _hs256(1),
            "HS256 with its JWK": _hs256(2),
        },
    ),
    "credential typ": (
        MALFORMED,
        {"a status list of the home": lambda s: s.bound(status_list_text(s.shown.claims))},
    ),
    "unknown issuer": (
        "home_unknown",
        {
            "another name": lambda s: s.forged(iss="squat", header={"kid": "squat-1"}),
            "another name, a known key": lambda s: s.forged(iss="squat"),
            "another key": lambda s: s.forged(header={"kid": "squat-1"}),
            "the key of another node": _relabelled,
        },
    ),
    "key binding missing": (
        MALFORMED,
        {
            "stripped": lambda s: f"{s.shown.credential}~",
            "stripped with its tilde": lambda s: s.shown.credential,
        },
    ),
    "key binding signature": (
        MALFORMED,
        {
            "by another phone": lambda s: s.shown.show(sign=s.other.phone.key.sign),
            "by another phone that brings its key": lambda s: s.shown.show(
                sign=s.other.phone.key.sign, header={"jwk": s.other.phone.jwk}
            ),
            "one bit of it": lambda s: flip_signature(s.shown.show()),
            "made younger": _younger,
        },
    ),
    "key binding hash": (
        MALFORMED,
        {
            "of another pass": lambda s: (
                f"{s.shown.credential}~{s.shown.phone.bind(s.other.credential)}"
            ),
            "none": lambda s: s.shown.show(sd_hash=None),
        },
    ),
    "key binding audience": (
        MALFORMED,
        {
            "to ask for rights": lambda s: s.shown.show(aud="passerelle:rights"),
            "another": lambda s: s.shown.show(aud="passerelle:check-out"),
            "none": lambda s: s.shown.show(aud=None),
        },
    ),
    "key binding typ": (
        MALFORMED,
        {
            "JWT": lambda s: s.shown.show(header={"typ": "JWT"}),
            "the credential's": lambda s: s.shown.show(header={"typ": "dc+sd-jwt"}),
        },
    ),
    "key binding alg": (
        MALFORMED,
        {
            "none": lambda s: s.shown.show(header={"alg": "none"}, sign=unsigned),
            "that of another kind of key": lambda s: s.shown.show(header={"alg": "ES256"}),
            "HS256 with the public key": lambda s: s.shown.show(
                header={"alg": "HS256"}, sign=with_hmac(s.shown.phone.public)
            ),
        },
    ),
    "stale": (
        "pass_stale",
        {
            "two minutes ago": lambda s: s.shown.show(iat=int(time.time()) - 120),
            "in two minutes": lambda s: s.shown.show(iat=int(time.time()) + 120),
        },
    ),
    "over 4 KiB": (
        MALFORMED,
        {"a long nonce": lambda s: s.shown.show(nonce="n" * 4096)},
    ),
}


def _raw_claims(text: str) -> Make:
    """A key binding that the phone signed over these very bytes."""

    def make(s: Stolen) -> str:
        header = compact_json({"alg": "EdDSA", "typ": "kb+jwt"})
        return f"{s.shown.credential}~{jws_bytes(header, text.encode(), s.shown.phone.key.sign)}"

    return make


def _raw_header(text: str) -> Make:
    def make(s: Stolen) -> str:
        claims = compact_json(s.shown.phone.binding_claims(s.shown.credential))
        return f"{s.shown.credential}~{jws_bytes(text.encode(), claims, s.shown.phone.key.sign)}"

    return make


def _claim(name: str, text: str) -> Make:
    """A good key binding but for one claim, given as JSON text that no encoder may write."""

    def make(s: Stolen) -> str:
        claims = s.shown.phone.binding_claims(s.shown.credential, **{name: "@"})
        written = compact_json(claims).decode().replace('"@"', text)
        return _raw_claims(written)(s)

    return make


# Signed by the phone itself, so nothing stops a parser from reading them: refused, never a fault.
ODDITIES: dict[str, Make] = {
    "disclosure": _disclosure,
    "two key bindings": lambda s: f"{s.shown.show()}~{s.shown.phone.bind(s.shown.credential)}",
    "unknown critical header": lambda s: s.shown.show(header={"crit": ["exp"], "exp": 1}),
    "unencoded payload": lambda s: s.shown.show(header={"crit": ["b64"], "b64": False}),
    "no nonce": lambda s: s.shown.show(nonce=None),
    "no iat": lambda s: s.shown.show(iat=None),
    **{
        f"{name} {text[:12]}": _claim(name, text)
        for name, texts in {
            "iat": ['"now"', "true", "null", "[]", "{}", "-1", "1e308", "NaN", "Infinity"],
            "nonce": ["null", "5", "[]", "{}", '""', "true"],
            "aud": ["null", "5", "{}", '""'],
            "sd_hash": ["null", "5", "[]", "{}", '""', '"é"', '"\\ud800"'],
        }.items()
        for text in texts
    },
    "iat of 400 digits": _claim("iat", "1" * 400),
    "iat below zero of 400 digits": _claim("iat", "-" + "1" * 400),
    **{
        f"claims {text[:8]}": _raw_claims(text)
        for text in ["", "{", "[]", "null", "5", '"text"', "[" * 1200, '{"a":' * 400]
    },
    **{
        f"header {text[:8]}": _raw_header(text)
        for text in ["", "{", "[]", "null", "5", '"text"', "[" * 1200, '{"alg":[],"typ":{}}']
    },
    "header just too deep to read twice": _raw_header(
        '{"alg":"EdDSA","typ":"kb+jwt","x":' + "[" * 960 + "]" * 960 + ',"crit":[]}'
    ),
    "credential claims nested": lambda s: s.bound(
        jws_bytes(compact_json({"alg": "EdDSA", "typ": "dc+sd-jwt"}), b"[" * 1500, unsigned)
    ),
    "issuer a list": lambda s: s.forged(iss=[]),
    "issuer an object": lambda s: s.forged(iss={}),
    "issuer null": lambda s: s.forged(iss=None),
    "issuer a path": lambda s: s.forged(iss="../../etc/passwd"),
    "key id a list": lambda s: s.forged(header={"kid": []}),
    "key id an object": lambda s: s.forged(header={"kid": {}}),
    "key id null": lambda s: s.forged(header={"kid": None}),
}

# Nothing that a phone of the network ever shows.
GARBAGE: dict[str, str] = {
    "word": "bonjour",
    "emoji": "🎉🚪",
    "bytes": bytes(range(256)).decode("latin-1"),
    "zeros": "\0\0\0",
    "short form of nothing": "PX1:",
    "short form of anything": "PX1:" + "BB8" * 200,
    "half a character": "\ud800",
    "address": "https://example.org/menu?table=4#a",
    "tilde": "~",
    "tildes": "~" * 3000,
    "dots": "." * 3000,
    "letters": "a.b.c~d.e.f",
    "digits": "1" * 4096,
    "wifi": "WIFI:T:WPA;S:troquet;P:secret;;",
    "json": '{"pass": true}',
    "markup": "<script>alert(1)</script>",
    "statement": "'; DROP TABLE visits; --",
    "right to left": "\u202e" * 50,
    "spaces": " \t\r\n",
    "64 KiB": "x" * 65536,
}
