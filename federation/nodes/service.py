"""Who is in the network: nodes that may act, and their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import VerifyKey
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from federation.nodes.models import Node, NodeKey
from shared.base.memory import Memory
from shared.crypto import jose
from shared.crypto.passes import UnknownIssuer
from shared.store.db import write
from shared.wire.problems import Problem

SEEN_AGAIN_AFTER = timedelta(seconds=30)
# A node tells something each minute: one that is heard all the time has not come back, although
# its address may not answer.
AWAY_AFTER = timedelta(minutes=2)


def active_node(session: Session, node_id: str) -> Node:
    """Return a node that may act. Raises Problem."""
    node = settling_node(session, node_id)
    if node.state == "left":
        raise Problem("node-left")
    return node


def settling_node(session: Session, node_id: str) -> Node:
    """Return a node that may act, or that has left and settles what was before. Raises Problem."""
    node = session.get(Node, node_id)
    if node is None or node.state == "suspended":
        raise Problem("node-suspended")
    return node


def seen(session: Session, now: datetime, node_id: str) -> None:
    """Note that a node was heard; written at most every half minute."""
    node = session.get(Node, node_id)
    if node is None or now - node.last_seen_at < SEEN_AGAIN_AFTER:
        return
    with write(session):
        node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
        if node is not None and node.state not in ("suspended", "left"):
            record_contact(node, now)


def record_contact(node: Node, now: datetime) -> None:
    """Note a sign of life, in the caller's transaction, which holds the node's row.

    One that had been away and is not asked for its publication any more is asked soon.
    """
    if node.state in ("late", "offline"):
        node.state = "connected"
    if now - node.last_seen_at >= AWAY_AFTER and node.harvest_failures:
        node.harvest_failures, node.harvest_due_at = 1, None
    if now - node.last_seen_at >= SEEN_AGAIN_AFTER:
        node.last_seen_at = now


_keys = Memory[tuple[str, str], VerifyKey]()

ReadKey = Callable[[Session, str, str], VerifyKey]


def any_key(session: Session, node_id: str, kid: str) -> VerifyKey:
    """Return a key that a node has or had. Raises ``passes.UnknownIssuer``.

    A key never changes, so it is read once. Whether it may still be used is another question,
    asked when a visit is decided, or by ``node_key``.
    """
    keys = _keys.here()
    if (node_id, kid) not in keys:
        keys[node_id, kid] = _read_key(session, node_id, kid)[0]
    return keys[node_id, kid]


def node_key(session: Session, node_id: str, kid: str) -> VerifyKey:
    """Return a node's key as long as it may be used. Raises ``passes.UnknownIssuer``."""
    key, withdrawn_at = _read_key(session, node_id, kid)
    if withdrawn_at is not None:
        raise UnknownIssuer("withdrawn")
    return key


def _read_key(session: Session, node_id: str, kid: str) -> tuple[VerifyKey, datetime | None]:
    # What a database cannot look up is nobody's.
    if not f"{node_id}{kid}".isprintable() or session.get(Node, node_id) is None:
        raise UnknownIssuer("issuer")
    row = session.get(NodeKey, (node_id, kid))
    if row is None:
        raise UnknownIssuer("key")
    return jose.import_public(row.jwk), row.withdrawn_at


def find_key_of(session: Session, node_id: str, read: ReadKey = node_key) -> jose.FindKey:
    """Return a finder of this node's keys alone, for ``jose.verify``."""

    def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> VerifyKey:
        try:
            return read(session, node_id, str(header.get("kid")))
        except UnknownIssuer:
            raise jose.TokenFault("key") from None

    return find


def find(session: Session, node_id: str) -> Node:
    """Return a node, whatever has become of it. Raises Problem("not-found")."""
    node = session.get(Node, node_id)
    if node is None:
        raise Problem("not-found")
    return node


def nodes(session: Session) -> list[Node]:
    return list(session.scalars(select(Node).order_by(Node.id)))


def mark_silent(session: Session, now: datetime, late: timedelta, offline: timedelta) -> None:
    """Set nodes that were not heard lately to late or offline; being heard brings them back."""
    with write(session):
        for state, silence, before in (
            ("late", late, ("connected",)),
            ("offline", offline, ("connected", "late")),
        ):
            session.execute(
                update(Node)
                .where(Node.state.in_(before), Node.last_seen_at < now - silence)
                .values(state=state)
            )
