"""Codes that an app on the phone shows, new every 30 seconds (RFC 6238), and how we keep it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

STEP_SECONDS = 30
DIGITS = 6
# A phone's clock may be a step off, either way (RFC 6238, 5.2).
LEEWAY = 1
_KEY_BYTES = 20  # of HMAC-SHA-1, which is what every such app takes (RFC 4226, 4)
_NONCE_BYTES = 12


def new_key() -> bytes:
    return secrets.token_bytes(_KEY_BYTES)


def step_at(at: datetime) -> int:
    """Return the number of the half-minute, since 1970."""
    return int(at.timestamp()) // STEP_SECONDS


def code_of(key: bytes, step: int, digits: int = DIGITS) -> str:
    """Return the code of a half-minute (RFC 4226, 5.3)."""
    digest = hmac.digest(key, step.to_bytes(8), hashlib.sha1)
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}d}"


def matching_step(key: bytes, typed: str, at: datetime, used: int | None) -> int | None:
    """Return the half-minute whose code this is, about now; None where it is none or used.

    Nothing at or before ``used`` is taken: a code works once. All are compared in the same time.
    """
    now, found = step_at(at), None
    given = "".join(typed.split()).encode(errors="replace")
    for step in range(now - LEEWAY, now + LEEWAY + 1):
        if hmac.compare_digest(code_of(key, step).encode(), given) and step > (used or 0):
            found = step
    return found


def address(key: bytes, issuer: str, name: str) -> str:
    """Return what the QR says to the app."""
    label = quote(f"{issuer}:{name}", safe="@:")
    asked = {"secret": written(key).replace(" ", ""), "issuer": issuer}
    return f"otpauth://totp/{label}?{urlencode(asked, quote_via=quote)}"


def written(key: bytes) -> str:
    """Return the key for who types it: base32, in groups of four."""
    text = base64.b32encode(key).decode().rstrip("=")
    return " ".join(text[n : n + 4] for n in range(0, len(text), 4))


def _sealing(secret_key: str) -> AESGCM:
    derived = HKDF(SHA256(), 32, salt=None, info=b"passerelle two-factor")
    return AESGCM(derived.derive(secret_key.encode()))


def seal(secret_key: str, account_id: int, key: bytes) -> str:
    """Encrypt a key for the database; it opens for the same account alone."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = _sealing(secret_key).encrypt(nonce, key, str(account_id).encode())
    return base64.b64encode(nonce + sealed).decode()


def unseal(secret_key: str, account_id: int, sealed: str) -> bytes | None:
    """Decrypt it; None where the service's secret key is not the one it was sealed with."""
    data = base64.b64decode(sealed)
    try:
        return _sealing(secret_key).decrypt(
            data[:_NONCE_BYTES], data[_NONCE_BYTES:], str(account_id).encode()
        )
    except InvalidTag:
        return None
