"""Who is in the network: nodes that may act, their keys, and the published spaces."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import VerifyKey
from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from federation.audit.service import audit as audit  # noqa: PLC0414 - rooms note what they do with it
from federation.charters import service as governance
from federation.nodes.models import Node, NodeKey, Space
from shared.crypto import jose
from shared.crypto.passes import UnknownIssuer
from shared.store.db import begin_write
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
    begin_write(session)
    node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
    if node is not None and node.state not in ("suspended", "left"):
        hear(node, now)
    session.commit()


def hear(node: Node, now: datetime) -> None:
    """Note a sign of life, in the caller's transaction, which holds the node's row.

    One that had been away and is not asked for its publication any more is asked soon.
    """
    if node.state in ("late", "offline"):
        node.state = "connected"
    if now - node.last_seen_at >= AWAY_AFTER and node.harvest_failures:
        node.harvest_failures, node.harvest_due_at = 1, None
    if now - node.last_seen_at >= SEEN_AGAIN_AFTER:
        node.last_seen_at = now


_keys: dict[tuple[str, str], VerifyKey] = {}


def any_key(session: Session, node_id: str, kid: str) -> VerifyKey:
    """Return a key that a node has or had. Raises ``passes.UnknownIssuer``.

    A key never changes, so it is read once. Whether it may still be used is another question,
    asked when a visit is decided, or by ``node_key``.
    """
    if (node_id, kid) not in _keys:
        _keys[node_id, kid] = _read_key(session, node_id, kid)[0]
    return _keys[node_id, kid]


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


def find_key_of(session: Session, node_id: str, read: Any = node_key) -> jose.FindKey:
    """Return a finder of this node's keys alone, for ``jose.verify``."""

    def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> VerifyKey:
        try:
            return read(session, node_id, str(header.get("kid")))
        except UnknownIssuer:
            raise jose.TokenFault("key") from None

    return find


def spaces(
    session: Session,
    *,
    after: str = "",
    limit: int = 1000,
    listed: bool = True,
) -> list[Space]:
    """Return published spaces by id, with those that run no node unless ``listed`` is false."""
    in_network = Node.state.notin_(("left",))
    query = (
        select(Space)
        .outerjoin(Node)
        .where(
            Space.withdrawn_at.is_(None),
            Space.hidden_at.is_(None),
            or_(Space.node_id.is_(None), in_network) if listed else in_network,
            Space.id > after,
        )
        .order_by(Space.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def names_of(session: Session, ids: Collection[str]) -> dict[str, str]:
    """Return the names of some spaces by id, whatever has become of them."""
    rows = session.execute(select(Space.id, Space.name).where(Space.id.in_(ids)))
    return {row.id: row.name for row in rows}


def space(session: Session, space_id: str, *, hidden: bool = False) -> Space:
    """Return one published space; one kept off the map only if ``hidden``.

    Raises Problem("not-found").
    """
    row = session.get(Space, space_id)
    if row is None or not is_public(row, hidden=hidden):
        raise Problem("not-found")
    return row


def is_public(space: Space, *, hidden: bool = False) -> bool:
    """Tell whether a space is on the map, or, if ``hidden``, would be but for a moderator."""
    if space.withdrawn_at is not None or (space.hidden_at is not None and not hidden):
        return False
    return space.node is None or space.node.state != "left"


def signed(session: Session) -> set[str]:
    """Return the nodes that signed the charter in force."""
    return set(governance.signed_versions(session, governance.in_force(session).version))


def nodes(session: Session) -> list[Node]:
    return list(session.scalars(select(Node).order_by(Node.id)))


def mark_silent(session: Session, now: datetime, late: timedelta, offline: timedelta) -> None:
    """Set nodes that were not heard lately to late or offline; being heard brings them back."""
    begin_write(session)
    for state, silence, before in (
        ("late", late, ("connected",)),
        ("offline", offline, ("connected", "late")),
    ):
        session.execute(
            update(Node)
            .where(Node.state.in_(before), Node.last_seen_at < now - silence)
            .values(state=state)
        )
    session.commit()
