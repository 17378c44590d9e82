"""Signatures of the Standard Webhooks specification, and how their secrets are kept.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

PREFIX = "whsec_"


class SealBroken(Exception):
    """The hub's secret key is not the one that this was sealed with."""


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def sign(secret: str, message_id: str, timestamp: int, body: str) -> str:
    """Return one signature, ``v1,…``: HMAC-SHA256 of "id.timestamp.body"."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    content = f"{message_id}.{timestamp}.{body}".encode()
    return f"v1,{base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()}"


def _box(secret_key: str) -> SecretBox:
    return SecretBox(hashlib.sha256(b"passerelle webhooks:" + secret_key.encode()).digest())


def seal(secret_key: str, secret: str) -> str:
    """Return a webhook's secret as it is kept: readable with the hub's secret key alone."""
    return base64.b64encode(_box(secret_key).encrypt(secret.encode())).decode()


def unseal(secret_key: str, sealed: str) -> str:
    """Raises SealBroken."""
    try:
        return _box(secret_key).decrypt(base64.b64decode(sealed)).decode()
    except CryptoError:
        raise SealBroken from None
