"""The hub's accounts, and the access tokens of nodes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.identity.models import Account, ApiToken, Link, Login, RecoveryCode, UsedAssertion
from federation.mail.service import mailbox
from shared import jose
from shared.accounts import Accounts
from shared.db import begin_write
from shared.keys import KeyRing
from shared.links import Links
from shared.two_factor import TwoFactor
from shared.web.guards import Principal

ACCESS_TOKEN_TYP = "at+jwt"  # noqa: S105 - RFC 9068
ACCESS_TOKEN_SECONDS = 600


def _note(
    session: Session,
    now: datetime,
    by: int | str,
    action: str,
    *,
    subject: int | None = None,
    **detail: Any,
) -> None:
    """Add a line about an account to the audit log, within the caller's transaction."""
    actor = f"account:{by}" if isinstance(by, int) else by
    about = by if subject is None else subject
    audit(session, now, actor, action, f"account:{about}", **detail)


accounts = Accounts(Account, Login, ApiToken, _note)
two_factor = TwoFactor(accounts, RecoveryCode)
links = Links(
    accounts, Link, mailbox, "identity/mail/welcome.txt", lambda settings: settings.network
)


def use_assertion(session: Session, node_id: str, jti: str, expires_at: float) -> bool:
    """Note that a client assertion was used; False when it already was."""
    begin_write(session)
    session.add(
        UsedAssertion(node_id=node_id, jti=jti, expires_at=datetime.fromtimestamp(expires_at, UTC))
    )
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        return False
    return True


def forget_assertions(session: Session, now: datetime) -> None:
    """Drop assertions that have expired, and could not be used again anyway."""
    begin_write(session)
    session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < now))
    session.execute(delete(Login).where(Login.expires_at < now))
    session.commit()


def access_token(ring: KeyRing, hub_url: str, node_id: str) -> str:
    """Return a short-lived access token for a node (RFC 9068)."""
    issued = int(time.time())
    claims = {
        "iss": hub_url,
        "aud": hub_url,
        "sub": node_id,
        "client_id": node_id,
        "iat": issued,
        "exp": issued + ACCESS_TOKEN_SECONDS,
    }
    return ring.sign(claims, ACCESS_TOKEN_TYP)


_verified: dict[str, Mapping[str, Any]] = {}
_KEPT = 1024


def node_principal(ring: KeyRing, hub_url: str, token: str) -> Principal | None:
    """Return the node that holds an access token. Verified ones are remembered until they expire.

    Whether the node may still act is looked up by each service, at each call.
    """
    claims = _verified.get(token)
    if claims is None:
        try:
            claims = jose.verify(token, ring.find, ACCESS_TOKEN_TYP).claims
        except jose.TokenFault:
            return None
        if claims.get("iss") != hub_url or claims.get("aud") != hub_url:
            return None
        if len(_verified) >= _KEPT:
            _verified.clear()
        _verified[token] = claims
    expires = claims.get("exp")
    if not isinstance(expires, int) or expires <= time.time():
        _verified.pop(token, None)
        return None
    return Principal("node", str(claims["sub"]), frozenset(("node",)), "token")
