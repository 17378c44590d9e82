"""Speaking for a node, rightly or wrongly: its keys and tokens, and tokens made by hand."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from shared.keys import KeyRing
from tests.network import LocalNode


def keys_of(node: LocalNode) -> KeyRing:
    """Return the node's own keys."""
    found: KeyRing = node.app.extensions["node"].ring
    return found


def private_key(keys: KeyRing) -> Any:
    found = keys.current.private_key
    assert found is not None
    return found


def access_token(node: LocalNode) -> str:
    """Return the token by which the node speaks to its hub."""
    with node.context() as (_, context):
        token: str = context.hub._access_token()
    return token


def kind(answer: requests.Response) -> tuple[int, str]:
    """Return the status of a problem and its name."""
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def b64(value: object) -> str:
    """Return bytes, or the JSON of anything else, in base64url."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says, whoever signed it."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def named(value: object) -> str:
    """Return a short name of a parameter, for the name of its test."""
    if isinstance(value, (set, frozenset)):
        return "+".join(sorted(map(str, value)))
    return ascii(value)[:48]


@dataclass(frozen=True)
class FromNow:
    """A time that is reckoned when the test runs, so many seconds from then."""

    seconds: int


def at_last(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return claims with their times reckoned, and without those that are None."""
    now = int(time.time())
    return {
        name: now + value.seconds if isinstance(value, FromNow) else value
        for name, value in claims.items()
        if value is not None
    }
