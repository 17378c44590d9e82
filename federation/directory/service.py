"""Admitting nodes, taking their publications, and saying who is in the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from nacl.signing import VerifyKey
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from federation.directory.addresses import former_urls
from federation.directory.models import AuditEntry, Node, NodeKey, Space
from federation.governance import service as governance
from shared import jose, trust
from shared.db import begin_write
from shared.keys import KeyRing
from shared.passes import UnknownIssuer
from shared.problems import Problem

SEEN_AGAIN_AFTER = timedelta(seconds=30)


def audit(
    session: Session, now: datetime, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Add a line to the audit log, within the caller's transaction."""
    session.add(AuditEntry(at=now, actor=actor, action=action, subject=subject, detail=detail))


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
    session.execute(
        update(Node)
        .where(Node.id == node_id, Node.state.in_(("connected", "late", "offline")))
        .values(last_seen_at=now, state="connected")
    )
    session.commit()


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
    box: tuple[float, float, float, float] | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[Space]:
    """Return published spaces by id; ``box`` is west, south, east, north in degrees."""
    query = (
        select(Space)
        .join(Node)
        .where(Space.withdrawn_at.is_(None), Node.state.notin_(("left",)), Space.id > after)
        .order_by(Space.id)
        .limit(limit)
    )
    if box:
        west, south, east, north = box
        query = query.where(
            Space.latitude.between(south, north), Space.longitude.between(west, east)
        )
    return list(session.scalars(query))


def space(session: Session, space_id: str) -> Space:
    """Return one published space. Raises Problem("not-found")."""
    row = session.get(Space, space_id)
    if row is None or not is_public(row):
        raise Problem("not-found")
    return row


def is_public(space: Space) -> bool:
    """Tell whether a space is on the map."""
    return space.withdrawn_at is None and (space.node is None or space.node.state != "left")


def signed(session: Session) -> set[str]:
    """Return the nodes that signed the charter in force."""
    return set(governance.signed_versions(session, governance.in_force(session).version))


def nodes(session: Session) -> list[Node]:
    return list(session.scalars(select(Node).order_by(Node.id)))


def set_state(
    session: Session, now: datetime, node_id: str, state: str, actor: str, reason: str
) -> Node:
    """Suspend a node, take it back, or note that it has left, for good. Raises Problem."""
    begin_write(session)
    node = session.get(Node, node_id)
    if node is None:
        session.rollback()
        raise Problem("not-found")
    if node.state == "left":
        session.rollback()
        raise Problem("conflict", "this node has left the network")
    audit(session, now, actor, state, node_id, before=node.state, reason=reason)
    node.state = state
    session.commit()
    return node


def trust_list(session: Session, now: datetime, ring: KeyRing, hub_url: str) -> str:
    """Return the signed trust list, as of now. It holds for the charter's offline tolerance."""
    charter = governance.in_force(session)
    signed = governance.signed_versions(session, charter.version)
    by_node: dict[str, list[dict[str, Any]]] = {}
    for row in session.scalars(
        select(Space).where(Space.withdrawn_at.is_(None)).order_by(Space.id)
    ):
        by_node.setdefault(row.node_id, []).append(
            {"id": row.id, "name": row.name, "town": row.town}
        )
    issued, former = int(datetime.now(UTC).timestamp()), former_urls(session, now)
    claims = {
        "iss": hub_url,
        "iat": issued,
        "exp": issued + charter.rules.offline.trust_list_hours * 3600,
        "charter": {"version": charter.version, "sha256": charter.sha256},
        "nodes": [
            {
                "id": node.id,
                "name": node.name,
                "url": node.url,
                **({"former_urls": former[node.id]} if node.id in former else {}),
                "state": node.state,
                "keys": [
                    {**key.jwk, **({"withdrawn": True} if key.withdrawn_at else {})}
                    for key in node.keys
                ],
                "plans": node.plans,
                "charter": signed.get(node.id),
                "spaces": by_node.get(node.id, []),
                **({"leaving_on": node.leaving_on.isoformat()} if node.leaving_on else {}),
            }
            for node in nodes(session)
        ],
    }
    return ring.sign(claims, trust.TYP)


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


Fetch = Callable[[str], str]
