"""Signing and verifying compact JWS with Ed25519 (RFC 7515, 8037, 8725).

A phone whose browser has no Ed25519 binds with ES256: its key bindings, and nothing else.

The verifier names the algorithms and the ``typ`` it takes; a token never chooses, and
nothing is ever fetched because a token said so.
"""

from __future__ import annotations

import base64
import binascii
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import ECKey, OKPKey
from nacl.bindings import crypto_core_ed25519_is_valid_point
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

# Phones' libraries still say EdDSA, and the contract takes both names (RFC 9864).
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

ALGORITHMS = ("Ed25519", "EdDSA")
ES256 = "ES256"
SIGN_WITH = "Ed25519"
PASS_SIGN_WITH = "EdDSA"  # noqa: S105 - an algorithm's name, the one phones' libraries know
# Header members that nobody here knows are ignored, as RFC 7515 (section 4) wants.
_HEADERS = jws.JWSRegistry(algorithms=(*ALGORITHMS, ES256), strict_check_header=False)


class TokenFault(Exception):
    """Why a token was not accepted: malformed, alg, typ, key or signature."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Token:
    """A compact JWS taken apart. What it says holds only if it came from ``verify``."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


class Verifier(Protocol):
    """A public key. ``verify`` raises when the signature over these bytes does not hold."""

    def verify(self, smessage: bytes, signature: bytes) -> Any: ...


@dataclass(frozen=True, slots=True)
class P256Key:
    """A phone's P-256 key: ES256 signatures are r and s, 32 bytes each (RFC 7518, 3.4)."""

    public: ec.EllipticCurvePublicKey

    def verify(self, smessage: bytes, signature: bytes) -> None:
        """Raise InvalidSignature or ValueError unless the signature holds."""
        if len(signature) != 64:
            raise ValueError("an ES256 signature has 64 bytes")
        r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
        self.public.verify(encode_dss_signature(r, s), smessage, ec.ECDSA(SHA256()))


FindKey = Callable[[Mapping[str, Any], Mapping[str, Any]], Verifier]
"""Given the unverified header and claims, returns the key to verify with or raises TokenFault."""


def encode_b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_b64(text: str) -> bytes:
    """Decode unpadded base64url. Raises ValueError for anything else.

    One text for the same bytes, or a code that was used could be spelled anew.
    """
    if len(text) % 4 == 1:
        raise ValueError("not base64url")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode_b64(data) != text:
        raise ValueError("not base64url")
    return data


def read_unverified(token: str) -> Token:
    """Split a compact JWS into header and claims. Raises TokenFault("malformed")."""
    parts = token.split(".")
    if len(parts) != 3 or not token.isascii():
        raise TokenFault("malformed")
    try:
        header, claims = (json.loads(decode_b64(part)) for part in parts[:2])
        signature = decode_b64(parts[2])
    except (ValueError, RecursionError):
        raise TokenFault("malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise TokenFault("malformed")
    return Token(header, claims, token.rpartition(".")[0].encode(), signature)


def verify(
    token: str | Token,
    find_key: FindKey,
    *types: str | None,
    algorithms: Sequence[str] = ALGORITHMS,
) -> Token:
    """Return the token if its type is one of these, and algorithm and signature hold.

    ``algorithms`` are those that the key is for: Ed25519's names, unless a phone's key is another.
    One that was taken apart already is not taken apart again. Raises TokenFault.
    """
    found = read_unverified(token) if isinstance(token, str) else token
    if found.header.get("alg") not in algorithms:
        raise TokenFault("alg")
    if found.header.get("typ") not in types:
        raise TokenFault("typ")
    if "crit" in found.header or "b64" in found.header:
        raise TokenFault("malformed")
    public = find_key(found.header, found.claims)
    try:
        _HEADERS.check_header(dict(found.header))
        # joserfc would split and decode a second time, takes no payload beyond 128 kB, and
        # verifies by a library that takes twice as long
        public.verify(found.signed, found.signature)
    except (JoseError, CryptoError, InvalidSignature, ValueError, TypeError):
        raise TokenFault("signature") from None
    return found


def sign(
    claims: Mapping[str, Any],
    key: OKPKey | ECKey,
    typ: str,
    algorithm: str = SIGN_WITH,
    kid: str | None = None,
) -> str:
    """Return the compact JWS of the claims' JSON."""
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    if isinstance(key, OKPKey):
        return sign_bytes(payload, key, typ, kid, algorithm).decode()
    header = _header(algorithm, typ, kid)
    return jws.serialize_compact(header, payload, key, algorithms=[algorithm])


def _header(algorithm: str, typ: str, kid: str | None) -> dict[str, str]:
    return {"alg": algorithm, "typ": typ} | ({"kid": kid} if kid else {})


def sign_bytes(
    payload: bytes, key: OKPKey, typ: str, kid: str | None, algorithm: str = SIGN_WITH
) -> bytes:
    """Return the compact JWS of a payload, which may be too long to be copied more than needed."""
    header = json.dumps(_header(algorithm, typ, kid), separators=(",", ":"))
    coded = base64.urlsafe_b64encode(payload).rstrip(b"=")
    signed = base64.urlsafe_b64encode(header.encode()).rstrip(b"=") + b"." + coded
    del coded
    private = cast(Ed25519PrivateKey, key.private_key)
    signature = private.sign(signed)
    return b"%b.%b" % (signed, base64.urlsafe_b64encode(signature).rstrip(b"="))


def read_bytes(token: bytes, find_key: FindKey, typ: str) -> bytes:
    """Return the payload of a compact JWS, unread, once its signature holds. Raises TokenFault.

    For what is too long to be taken apart first: ``find_key`` is given the header alone.
    """
    signed, _, signature = token.rpartition(b".")
    coded_header, _, payload = signed.partition(b".")
    try:
        header = json.loads(decode_b64(coded_header.decode("ascii")))
        if not isinstance(header, dict) or header.get("alg") not in ALGORITHMS:
            raise TokenFault("alg")
        if header.get("typ") != typ or "crit" in header or "b64" in header:
            raise TokenFault("typ")
        find_key(header, {}).verify(signed, decode_b64(signature.decode("ascii")))
        return base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4))
    except CryptoError:
        raise TokenFault("signature") from None
    except (ValueError, RecursionError):
        raise TokenFault("malformed") from None


def import_public(jwk: Any) -> VerifyKey:
    """Read a public Ed25519 JWK. Raises ValueError, also when the private part is in it."""
    _check_public(jwk)
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise ValueError("an Ed25519 key is expected (kty OKP, crv Ed25519)")
    return VerifyKey(_coordinate(jwk, "x"))


def import_phone(jwk: Any) -> tuple[Verifier, Sequence[str]]:
    """Read a phone's public JWK, Ed25519 or P-256, and the algorithms that it signs with.

    Raises ValueError, also for a point that is not on the curve.
    """
    _check_public(jwk)
    if jwk.get("kty") != "EC":
        return import_public(jwk), ALGORITHMS
    if jwk.get("crv") != "P-256":
        raise ValueError("a P-256 key is expected (kty EC, crv P-256)")
    x, y = (int.from_bytes(_coordinate(jwk, name), "big") for name in ("x", "y"))
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise ValueError("x and y are no point of P-256") from None
    return P256Key(public), (ES256,)


def phone_jwk(jwk: Any) -> dict[str, str]:
    """Return the members of a phone's JWK that make its key, for the credential.

    Raises ValueError for a key that no pass is bound to: besides those that cannot be read,
    Ed25519 points of small order, for which anybody can sign.
    """
    import_phone(jwk)
    names = ("kty", "crv", "x", "y") if jwk["kty"] == "EC" else ("kty", "crv", "x")
    if jwk["kty"] == "OKP" and not crypto_core_ed25519_is_valid_point(decode_b64(jwk["x"])):
        raise ValueError("x is no point of an Ed25519 key")
    return {name: jwk[name] for name in names}


def _check_public(jwk: Any) -> None:
    if not isinstance(jwk, Mapping):
        raise ValueError("a JWK is an object")  # noqa: TRY004 - callers handle one kind of error
    if "d" in jwk:
        raise ValueError("this is a private key: send the public part alone")


def _coordinate(jwk: Mapping[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    raw = decode_b64(text) if isinstance(text, str) else b""
    if len(raw) != 32:
        raise ValueError(f"{name} must be 32 bytes in base64url")
    return raw
