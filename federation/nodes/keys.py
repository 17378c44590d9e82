"""A node's keys: adding one, and withdrawing one.

Adding needs more than the key that may have been stolen: the hub asks at the node's registered
address for a proof by the new key, and whoever only stole a key does not answer there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from joserfc.jwk import OKPKey
from marshmallow import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.nodes import notifications, trust_changes
from federation.nodes.challenges import call_back, check_fresh
from federation.nodes.models import Node, NodeKey
from shared.crypto import jose
from shared.crypto.keys import key_id
from shared.store.db import release, write
from shared.wire.problems import Problem

KEY_TYP = "passerelle-key+jwt"
MOST_KEYS = 50


def public_part(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """Return a key as it is kept and published, under the number that the hub gives it.

    Raises ValueError.
    """
    jose.import_public(jwk)
    stored: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": str(jwk["x"])}
    return {**stored, "kid": key_id(OKPKey.import_key(stored)), "use": "sig"}


def usable(node: Node) -> list[NodeKey]:
    return [key for key in node.keys if key.withdrawn_at is None]


def find(session: Session, node_id: str, kid: str) -> tuple[Node, NodeKey]:
    """Return a node and a key that it has or had. Raises Problem("not-found")."""
    row = session.get(NodeKey, (node_id, kid))
    if row is None:
        raise Problem("not-found")
    return session.get_one(Node, node_id), row


def add_key(
    session: Session, now: datetime, hub: Hub, node_id: str, jwk: Mapping[str, Any], proof: str
) -> NodeKey:
    """Take a further key of a node that proves to hold it, here and at its registered address.

    The ones before stay good; the same key again changes nothing. Raises Problem.
    """
    try:
        public = public_part(jwk)
        key = jose.import_public(jwk)
    except ValueError:
        raise Problem("proof-invalid", "key") from None
    try:
        claims = jose.verify(proof, lambda _header, _claims: key, KEY_TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    check_fresh(claims, {"iss": node_id, "aud": hub.url})
    known = session.get(NodeKey, (node_id, public["kid"]))
    if known is not None and known.withdrawn_at is None:
        return known
    url = session.get_one(Node, node_id).url
    release(session)  # nothing is held while the node is called back
    call_back(hub.peers, hub.ring, hub.url, url, lambda _header, _claims: key, public["kid"])
    with write(session):
        node = session.get_one(Node, node_id, with_for_update=True, populate_existing=True)
        return take(session, now, node, public)


def take(session: Session, now: datetime, node: Node, public: dict[str, Any]) -> NodeKey:
    """Add a proven key in the caller's transaction, which holds the node's row. Raises Problem."""
    row = session.get(NodeKey, (node.id, public["kid"]))
    if row is not None and row.withdrawn_at is not None:
        raise Problem("conflict", "this key was withdrawn: make another")
    if row is not None:
        return row
    held = session.scalar(select(func.count()).where(NodeKey.node_id == node.id)) or 0
    if held >= MOST_KEYS:
        raise Problem("conflict", "this node has many keys already")
    row = NodeKey(node_id=node.id, kid=public["kid"], jwk=public, added_at=now)
    session.add(row)
    if held:
        audit(session, now, f"node:{node.id}", "add-key", node.id, kid=public["kid"])
    trust_changes.note(session)
    return row


def withdraw(
    session: Session,
    hub: Hub,
    node_id: str,
    kid: str,
    reason: str,
    since: datetime | None = None,
    actor: str | None = None,
) -> NodeKey:
    """Let nothing that a key signs be believed from an instant on, now unless another is said.

    ``actor`` is who of the coordination does it; without one it is the node, which keeps at least
    one key. What is withdrawn already stays so; only an earlier instant changes it, as more is
    found out of a theft. Raises Problem or ValidationError.
    """
    now = hub.clock.now()
    since = since or now
    with write(session):
        node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
        row = session.get(NodeKey, (node_id, kid), populate_existing=True) if node else None
        if node is None or row is None:
            raise Problem("not-found")
        if row.withdrawn_at is not None and row.withdrawn_at <= since:
            return session.get_one(NodeKey, (node_id, kid))
        if not row.added_at <= since <= now:
            raise ValidationError({"since": ["From when the key was added until now."]})
        if actor is None and row.withdrawn_at is None and len(usable(node)) == 1:
            raise Problem("conflict", "this is the last key: add another first")
        told = {"kid": kid, "since": since.isoformat(), "reason": reason}
        audit(session, now, actor or f"node:{node_id}", "withdraw-key", node_id, **told)
        row.withdrawn_at, row.withdrawn_reason = since, reason
        trust_changes.note(session)
        _tell(session, hub, node, row, actor)
    return row


def _tell(session: Session, hub: Hub, node: Node, row: NodeKey, actor: str | None) -> None:
    """Queue a letter to the coordinators, and to the node's people: it may not be they who ask."""
    key = f"key:{node.id}:{row.kid}:{hub.clock.now():%Y%m%dT%H%M%S%f}"
    template, url = "console/mail/key.txt", f"{hub.url}/coordination/nodes/{node.id}"
    facts = {"node": node, "withdrawn": row, "url": url, "last": not usable(node)}
    by = actor.removeprefix("account:") if actor and actor.startswith("account:") else ""
    besides = int(by) if by else None
    notifications.write_to_coordinators(session, hub, key, template, besides=besides, **facts)
    own = notifications.contacts(session, [node.id]).get(node.id)
    if own:
        notifications.write(session, hub, f"{key}:node", own, template, **facts)


def was_good_at(session: Session, node_id: str, kid: str, at: datetime) -> bool:
    """Tell whether a node had this key, not withdrawn, at an instant that the hub itself noted.

    A time that only the signer says proves nothing: who holds a stolen key writes any.
    """
    row = session.get(NodeKey, (node_id, kid))
    return row is not None and (row.withdrawn_at is None or at < row.withdrawn_at)
