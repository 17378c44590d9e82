"""A second client of the network, written from the published contract and RFC 9901 alone.

It shares no code with the product: what the two agree on is what the contract says. It needs
``cryptography`` and ``requests``, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

AUDIENCE = "passerelle:check-in"
ED25519 = frozenset({"EdDSA", "Ed25519"})
VALID, INVALID, SUSPENDED = 0, 1, 2
NODE_STATES = frozenset({"connected", "late", "offline", "suspended", "left"})
TIMEOUT = 20

Json = dict[str, Any]
Sign = Callable[[bytes], bytes]


class Untrusted(Exception):
    """What was received is not what its issuer signed, or is not meant for this."""


# -- JSON Web Signatures, compact form (RFC 7515) ------------------------------------------


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Read base64url without padding, in its one proper spelling."""
    data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if b64(data) != text:
        raise ValueError("not base64url")
    return data


def compact_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def jws_bytes(header: bytes, payload: bytes, sign: Sign) -> str:
    """A token with any bytes for header and payload: forgeries need not be JSON."""
    signed = f"{b64(header)}.{b64(payload)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


def jws(header: object, payload: object, sign: Sign) -> str:
    return jws_bytes(compact_json(header), compact_json(payload), sign)


def with_hmac(secret: bytes) -> Sign:
    return lambda data: hmac.new(secret, data, hashlib.sha256).digest()


def unsigned(_: bytes) -> bytes:
    return b""


@dataclass(frozen=True)
class Token:
    header: Json
    claims: Json
    signed: bytes
    signature: bytes

    @classmethod
    def read(cls, text: str) -> Token:
        parts = text.split(".")
        if len(parts) != 3:
            raise Untrusted("three parts are wanted")
        return cls(
            json.loads(unb64(parts[0])),
            json.loads(unb64(parts[1])),
            f"{parts[0]}.{parts[1]}".encode(),
            unb64(parts[2]),
        )


def verified(text: str, jwks: Json, typ: str | None) -> Token:
    """The token, if one of the published keys signed it and it is of the type wanted."""
    token = Token.read(text)
    if token.header.get("alg") not in ED25519:
        raise Untrusted(f"algorithm {token.header.get('alg')!r}")
    if typ is not None and token.header.get("typ") != typ:
        raise Untrusted(f"type {token.header.get('typ')!r}")
    keys = [key for key in jwks["keys"] if key.get("kid") == token.header.get("kid")]
    if not keys:
        raise Untrusted("no such key is published")
    key = Ed25519PublicKey.from_public_bytes(unb64(keys[0]["x"]))
    try:
        key.verify(token.signature, token.signed)
    except InvalidSignature:
        raise Untrusted("signature") from None
    return token


# -- Services -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Service:
    """A hub or a node, as somebody with this token (or nobody) sees it."""

    url: str
    token: str | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        language: str | None = None,
        headers: dict[str, str] | None = None,
        **options: Any,
    ) -> requests.Response:
        sent = dict(headers or {})
        if self.token is not None:
            sent["Authorization"] = f"Bearer {self.token}"
        if language is not None:
            sent["Accept-Language"] = language
        return requests.request(
            method, self.url + path, headers=sent, timeout=TIMEOUT, allow_redirects=False, **options
        )

    def jwks(self) -> Json:
        answer = self.call("GET", "/.well-known/jwks.json")
        answer.raise_for_status()
        return answer.json()


class Hub(Service):
    def trust_list(self) -> Json:
        """The hub's word on every node, checked against the hub's published keys."""
        answer = self.call("GET", "/api/v1/trust-list")
        answer.raise_for_status()
        claims = verified(answer.text.strip(), self.jwks(), None).claims
        if claims["exp"] <= time.time():
            raise Untrusted("the trust list has expired")
        return claims

    def statement(self, month: str, **options: Any) -> requests.Response:
        return self.call("GET", f"/api/v1/statements/{month}", **options)


@dataclass
class Phone:
    """What holds the key that a pass is bound to."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def jwk(self) -> Json:
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(self.public)}

    def binding_claims(self, credential: str, **changed: object) -> Json:
        """The claims of a key binding made now; ``claim=None`` leaves one out."""
        digest = hashlib.sha256(f"{credential}~".encode()).digest()
        claims: Json = {
            "iat": int(time.time()),
            "aud": AUDIENCE,
            "nonce": secrets.token_urlsafe(12),
            "sd_hash": b64(digest),
        }
        claims.update(changed)
        return {name: value for name, value in claims.items() if value is not None}

    def bind(
        self,
        credential: str,
        *,
        header: Json | None = None,
        sign: Sign | None = None,
        **changed: object,
    ) -> str:
        head = {"alg": "EdDSA", "typ": "kb+jwt", **(header or {})}
        return jws(head, self.binding_claims(credential, **changed), sign or self.key.sign)


@dataclass(frozen=True)
class Pass:
    pass_id: str
    credential: str
    expires_at: str
    phone: Phone

    @property
    def claims(self) -> Json:
        return Token.read(self.credential).claims

    def show(self, **binding: Any) -> str:
        """The text of a QR made now."""
        return f"{self.credential}~{self.phone.bind(self.credential, **binding)}"


class Member(Service):
    """A subscriber, at the home node."""

    def ask_pass(self, jwk: object) -> requests.Response:
        return self.call("POST", "/api/v1/me/passes", json={"jwk": jwk})

    def new_pass(self, phone: Phone | None = None) -> Pass:
        phone = phone or Phone()
        answer = self.ask_pass(phone.jwk)
        answer.raise_for_status()
        body = answer.json()
        return Pass(body["pass_id"], body["credential"], body["expires_at"], phone)

    def revoke(self, pass_id: str) -> requests.Response:
        return self.call("DELETE", f"/api/v1/me/passes/{pass_id}")

    def rights(self, space: str, at: str | None = None, **options: Any) -> requests.Response:
        params = {"space": space} | ({"at": at} if at else {})
        return self.call("GET", "/api/v1/me/rights", params=params, **options)


class Desk(Service):
    """Whoever keeps the door of a host node's spaces."""

    def check_in(
        self, space: str, text: str, *, key: str | None = None, language: str | None = None
    ) -> requests.Response:
        return self.call(
            "POST",
            "/api/v1/check-ins",
            json={"space": space, "pass": text},
            headers={"Idempotency-Key": key} if key is not None else None,
            language=language,
        )

    def preview(self, space: str, text: str) -> requests.Response:
        return self.call("POST", "/api/v1/check-ins/preview", json={"space": space, "pass": text})

    def presence(self, space: str) -> list[Json]:
        found: list[Json] = []
        params = {"space": space}
        while True:
            answer = self.call("GET", "/api/v1/presence", params=params)
            answer.raise_for_status()
            page = answer.json()
            found += page["items"]
            if not page.get("next_cursor"):
                return found
            params["cursor"] = page["next_cursor"]

    def check_out(self, visit: str) -> requests.Response:
        return self.call("POST", f"/api/v1/check-ins/{visit}/check-out")

    def void(self, visit: str, reason: str) -> requests.Response:
        return self.call("POST", f"/api/v1/check-ins/{visit}/void", json={"reason": reason})


# -- What anybody can verify --------------------------------------------------------------


def verify_credential(credential: str, home: Service) -> Json:
    """The claims of a credential that this home signed and that is in force."""
    claims = verified(credential, home.jwks(), "dc+sd-jwt").claims
    now = time.time()
    if not claims["iat"] - 90 <= now < claims["exp"]:
        raise Untrusted("not in force")
    return claims


def status_list_text(claims: Json) -> str:
    answer = requests.get(
        claims["status"]["status_list"]["uri"],
        headers={"Accept": "application/statuslist+jwt"},
        timeout=TIMEOUT,
    )
    answer.raise_for_status()
    return answer.text.strip()


def status_of(claims: Json, home: Service) -> int:
    """VALID, INVALID or SUSPENDED, from the home's list (IETF Token Status List)."""
    where = claims["status"]["status_list"]
    listed = verified(status_list_text(claims), home.jwks(), "statuslist+jwt").claims
    if listed["sub"] != where["uri"]:
        raise Untrusted("the status list of another address")
    if listed["exp"] <= time.time() or listed["ttl"] <= 0:
        raise Untrusted("the status list has expired")
    bits = listed["status_list"]["bits"]
    if bits not in (1, 2, 4, 8):
        raise Untrusted("bits")
    octets = zlib.decompress(unb64(listed["status_list"]["lst"]))
    place, shift = divmod(where["idx"] * bits, 8)
    return (octets[place] >> shift) & ((1 << bits) - 1)


# -- What somebody dishonest can make -----------------------------------------------------


@dataclass
class Forger:
    """Signs credentials with a key of its own, or with none that should count."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def credential(
        self,
        like: Pass,
        *,
        header: Json | None = None,
        sign: Sign | None = None,
        **changed: object,
    ) -> str:
        """A copy of a real credential with other claims, signed by the forger."""
        real = Token.read(like.credential)
        claims = real.claims | changed
        return jws(real.header | (header or {}), claims, sign or self.key.sign)

    def show(self, like: Pass, **made: Any) -> str:
        """The same, with a good key binding by the phone that the real pass is bound to."""
        credential = self.credential(like, **made)
        return f"{credential}~{like.phone.bind(credential)}"


def flip_signature(token: str) -> str:
    """The same token with one bit of its signature turned."""
    rest, _, signature = token.rpartition(".")
    octets = bytearray(unb64(signature))
    octets[10] ^= 1
    return f"{rest}.{b64(bytes(octets))}"


def respelled(token: str) -> list[str]:
    """Other texts that a lenient reader takes for the same token."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    rest, _, signature = token.rpartition(".")
    return [
        token[:-1] + alphabet[alphabet.index(token[-1]) | 1],  # bits that stand for nothing
        f"{rest}.{signature.replace('-', '+').replace('_', '/')}",
        f"{token}==",
        f"{token} ",
        f"\n{token}",
    ]


def replace_claims(token: str, **changed: object) -> str:
    """The same header and signature over other claims."""
    header, payload, signature = token.split(".")
    claims = json.loads(unb64(payload)) | changed
    return f"{header}.{b64(compact_json(claims))}.{signature}"
