"""Signing and verifying compact JWS with Ed25519, and nothing else (RFC 7515, 8037, 8725).

The verifier names the algorithms and the ``typ`` it takes; a token never chooses, and
nothing is ever fetched because a token said so.
"""

from __future__ import annotations

import base64
import binascii
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import OKPKey
from nacl.exceptions import CryptoError
from nacl.signing import VerifyKey

# Phones' libraries still say EdDSA, and the contract takes both names (RFC 9864).
warnings.filterwarnings("ignore", message="EdDSA is deprecated", category=SecurityWarning)

ALGORITHMS = ("Ed25519", "EdDSA")
SIGN_WITH = "Ed25519"
PASS_SIGN_WITH = "EdDSA"  # noqa: S105 - an algorithm's name, the one phones' libraries know
# Header members that nobody here knows are ignored, as RFC 7515 (section 4) wants.
_HEADERS = jws.JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)


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


FindKey = Callable[[Mapping[str, Any], Mapping[str, Any]], VerifyKey]
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


def verify(token: str | Token, find_key: FindKey, *types: str | None) -> Token:
    """Return the token if its type is one of these, and algorithm and signature hold.

    One that was taken apart already is not taken apart again. Raises TokenFault.
    """
    found = read_unverified(token) if isinstance(token, str) else token
    if found.header.get("alg") not in ALGORITHMS:
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
    except (JoseError, CryptoError, ValueError, TypeError):
        raise TokenFault("signature") from None
    return found


def sign(
    claims: Mapping[str, Any],
    key: OKPKey,
    typ: str,
    algorithm: str = SIGN_WITH,
    kid: str | None = None,
) -> str:
    """Return the compact JWS of the claims' JSON."""
    header = {"alg": algorithm, "typ": typ}
    if kid:
        header["kid"] = kid
    payload = json.dumps(claims, separators=(",", ":"), ensure_ascii=False).encode()
    return jws.serialize_compact(header, payload, key, algorithms=[algorithm])


def sign_bytes(payload: bytes, key: OKPKey, typ: str, kid: str) -> bytes:
    """Return the compact JWS of a payload that is too long to be copied more than needed."""
    header = json.dumps({"alg": SIGN_WITH, "typ": typ, "kid": kid}, separators=(",", ":"))
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
    if not isinstance(jwk, Mapping):
        raise ValueError("a JWK is an object")  # noqa: TRY004 - callers handle one kind of error
    if jwk.get("kty") != "OKP" or jwk.get("crv") != "Ed25519":
        raise ValueError("an Ed25519 key is expected (kty OKP, crv Ed25519)")
    if "d" in jwk:
        raise ValueError("this is a private key: send the public part alone")
    x = jwk.get("x")
    raw = decode_b64(x) if isinstance(x, str) else b""
    if len(raw) != 32:
        raise ValueError("x must be 32 bytes in base64url")
    return VerifyKey(raw)
