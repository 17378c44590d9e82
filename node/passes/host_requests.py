"""What a host's door asks of a home, signed: to show a card, to hand over a pass for its digits.

The hub's trust list says whose key it is. Each request is good once, for 90 seconds.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import service as sync
from node.passes.models import HostRequest
from shared.crypto import jose
from shared.store.db import write
from shared.wire.problems import Problem

_FRESH_SECONDS = 90
_KEPT = timedelta(minutes=10)
_WELCOME = ("connected", "late", "offline")


def sign(node: Node, typ: str, host: str, home_url: str, **claims: str) -> str:
    """Return a request that our door sends to a home."""
    about = {
        "iss": host,
        "aud": home_url,
        "iat": int(node.clock.real().timestamp()),
        "jti": secrets.token_urlsafe(12),
    }
    return node.ring.sign({**about, **claims}, typ)


def read(
    session: Session, node: Node, typ: str, request: str, longest: Mapping[str, int]
) -> dict[str, str]:
    """Return the claims of a request by a host of the network, and use it up. Raises Problem.

    ``longest`` names the claims wanted, each a text of so many characters at most; ``iss`` is the
    host. ``space``, where it is wanted, is one of that host's.
    """
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")

    def key(header: Any, claims: Any) -> Any:
        host = str(claims.get("iss"))
        if known.trust.nodes.get(host, {}).get("state") not in _WELCOME:
            raise jose.TokenFault("issuer")
        return known.trust.find_key_of(host)(header, claims)

    try:
        claims = jose.verify(request, key, typ).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    issued = claims.get("iat")
    if not isinstance(issued, int) or not node.clock.fresh(issued, _FRESH_SECONDS):
        raise Problem("proof-invalid", "iat")
    if claims.get("aud") != node.url:
        raise Problem("proof-invalid", "iss or aud is another")
    host = str(claims["iss"])
    wanted = {"jti": 64, **longest}
    found = {name: claims.get(name) for name in wanted}
    for name, value in found.items():
        if not isinstance(value, str) or not 1 <= len(value) <= wanted[name]:
            raise Problem("proof-invalid", name)
    spaces = [space["id"] for space in known.trust.nodes[host]["spaces"]]
    if "space" in found and found["space"] not in spaces:
        raise Problem("proof-invalid", "space")
    _use_up(session, host, str(found["jti"]), node.clock.real())
    return {**{name: str(value) for name, value in found.items()}, "iss": host}


def _use_up(session: Session, host: str, jti: str, now: datetime) -> None:
    try:
        with write(session):
            session.execute(delete(HostRequest).where(HostRequest.at < now - _KEPT))
            session.add(HostRequest(host=host, jti=jti, at=now))
    except IntegrityError:
        raise Problem("proof-invalid", "jti") from None
