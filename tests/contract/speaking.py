"""Speaking for a node, rightly or wrongly: its keys and tokens, and tokens made by hand."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from shared.crypto.keys import KeyRing
from tests.network import LocalNode, Network


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


def claims_of_visit(
    network: Network, shown: str, host: str = "troquet", **changes: Any
) -> dict[str, Any]:
    """Return what a host says of a visit, of the hub's own present where nothing else is said."""
    claims = {
        "iss": host,
        "aud": network.hub.url,
        "iat": int(time.time()),
        "space": host,
        "pass": shown,
        "at": network.clock.now().isoformat(),
        "online": True,
        "host": {
            "paused": False,
            "hours_known": True,
            "opening": ["2026-11-24T09:00:00+01:00", "2026-11-24T19:00:00+01:00"],
            "next_opening": None,
            "timezone": "Europe/Paris",
            "guest_cap": 1000,
            "capacity": None,
            "guests_present": 0,
            "people_present": 0,
            "services": [],
        },
        "trust_list_age": 0,
        "offline_visits": 0,
        "decision": None,
    }
    claims["host"] |= changes.pop("of_host", {})
    return {**claims, **changes}


def send_report(
    network: Network, node: LocalNode, claims: dict[str, Any], ring: KeyRing | None = None
) -> requests.Response:
    """Sign a report by the node's own key, unless another is given, and send it to the hub."""
    token = access_token(node)
    report = (ring or keys_of(node)).sign(claims, "passerelle-visit+jwt")
    return network.hub.post("/api/v1/visits", {"report": report}, token)
