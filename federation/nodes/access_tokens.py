"""The access tokens of nodes: given for an assertion that is used once, and looked at per call."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.identity.models import UsedAssertion
from federation.nodes.models import NodeKey
from shared.crypto import jose
from shared.crypto.keys import KeyRing
from shared.store.db import write
from shared.web.guards import Principal

ACCESS_TOKEN_TYP = "at+jwt"  # noqa: S105 - RFC 9068
ACCESS_TOKEN_SECONDS = 600


def use_assertion(session: Session, node_id: str, jti: str, expires_at: float) -> bool:
    """Note that a client assertion was used; False when it already was."""
    until = datetime.fromtimestamp(expires_at, UTC)
    try:
        with write(session):
            session.add(UsedAssertion(node_id=node_id, jti=jti, expires_at=until))
    except IntegrityError:
        return False
    return True


def access_token(ring: KeyRing, hub_url: str, node_id: str, kid: str) -> str:
    """Return a short-lived access token for a node (RFC 9068), got by its key ``kid``."""
    issued = int(time.time())
    claims = {
        "iss": hub_url,
        "aud": hub_url,
        "sub": node_id,
        "client_id": node_id,
        "jti": secrets.token_urlsafe(12),
        "key": kid,
        "iat": issued,
        "exp": issued + ACCESS_TOKEN_SECONDS,
    }
    return ring.sign(claims, ACCESS_TOKEN_TYP)


@dataclass(slots=True)
class _Verified:
    """A token's claims, and when its key was last found good, by the steady clock."""

    claims: Mapping[str, Any]
    looked: float = float("-inf")


_verified: dict[str, _Verified] = {}
_KEPT = 1024
# For so long a token outlives the withdrawal of the key that it was got by.
LOOK_SECONDS = 1.0
_WITHDRAWN = select(NodeKey.kid).where(
    NodeKey.node_id == bindparam("node"),
    NodeKey.kid == bindparam("kid"),
    NodeKey.withdrawn_at.is_not(None),
)


def node_principal(session: Session, ring: KeyRing, hub_url: str, token: str) -> Principal | None:
    """Return the node that holds an access token. Verified ones are remembered until they expire.

    One that was got by a key withdrawn since is nobody's. Whether the node may still act is looked
    up by each service, at each call.
    """
    known = _verified.get(token)
    if known is None:
        try:
            claims = jose.verify(token, ring.find, ACCESS_TOKEN_TYP).claims
        except jose.TokenFault:
            return None
        if claims.get("iss") != hub_url or claims.get("aud") != hub_url:
            return None
        if len(_verified) >= _KEPT:
            _verified.clear()
        known = _verified[token] = _Verified(claims)
    claims = known.claims
    if time.monotonic() - known.looked >= LOOK_SECONDS:
        wanted = {"node": str(claims["sub"]), "kid": str(claims.get("key"))}
        if session.connection().execute(_WITHDRAWN, wanted).first() is not None:
            return None
        known.looked = time.monotonic()
    expires = claims.get("exp")
    if not isinstance(expires, int) or expires <= time.time():
        _verified.pop(token, None)
        return None
    return Principal("node", str(claims["sub"]), frozenset(("node",)), "token")
