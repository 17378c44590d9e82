"""The signed trust list: kept as bytes in one row, and signed anew when something in it changes.

Whoever asks first after a change signs it, within the request; the jobs process asks each second.
Several processes may sign at once without harm: marks are read before the data they stand for, so
what a signature leaves out is still marked.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.charters import service as charters
from federation.context import Hub
from federation.nodes.models import Node, NodeKey, SignedTrustList, TrustChange
from federation.nodes.node_urls import former_urls
from federation.nodes.trust_changes import note
from federation.spaces.models import Space
from shared.crypto import jose, trust_list
from shared.store.db import write

# Signed anew so often although nothing has changed. A list that a node has confirmed lately (304)
# may be as old as this, so it lives for that much longer than a door may work alone.
RENEW_AFTER = timedelta(hours=12)
# Who is late or offline enters it so often at most.
MINOR_EVERY = timedelta(minutes=1)

_HEAD = select(
    *(SignedTrustList.etag, SignedTrustList.kid, SignedTrustList.hub_url),
    *(SignedTrustList.signed_at, SignedTrustList.changed_at),
)
_MARKED = select(TrustChange.id).limit(1)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of the list without reading it; ``etag`` is the SHA-256 of its bytes."""

    etag: str
    kid: str
    hub_url: str
    signed_at: datetime
    changed_at: datetime


def current(session: Session, hub: Hub) -> Head:
    """Return the head of the list as it is now, signed anew if it has to be. Raises Problem."""
    head = _head(session)
    if head is None or _is_due(head, hub) or session.scalar(_MARKED) is not None:
        _sign(session, hub)
        head = _head(session)
    if head is None:
        raise RuntimeError("the trust list was signed, and is not there")
    return head


def body(session: Session, etag: str) -> str | None:
    """Return the list with this tag; None where another has taken its place."""
    return session.scalar(select(SignedTrustList.token).where(SignedTrustList.etag == etag))


def _head(session: Session) -> Head | None:
    row = session.execute(_HEAD).first()
    return Head(*row) if row else None


def _is_due(head: Head, hub: Hub) -> bool:
    """Tell whether it is to be signed anew although nothing was marked.

    A process that has not read the hub's new key yet does not sign with the old one again.
    """
    former_key = head.kid in {kid for kid, _ in hub.ring.keys[1:]}
    old = hub.clock.real() - head.signed_at >= RENEW_AFTER
    return former_key or old or head.hub_url != hub.url


def _sign(session: Session, hub: Hub) -> None:
    # Of two processes that sign the first one, one is first; the marks are still there.
    with suppress(IntegrityError), write(session):
        row = session.get(SignedTrustList, 1, with_for_update=True, populate_existing=True)
        marks = session.execute(select(TrustChange.id, TrustChange.minor).limit(10_000)).all()
        if row is not None and not marks and not _is_due(_as_head(row), hub):
            return  # another process was first
        token, real = _make(session, hub), hub.clock.real()
        if row is None:
            row = SignedTrustList(id=1, changed_at=real)
            session.add(row)
        row.token, row.etag = token, hashlib.sha256(token.encode()).hexdigest()
        row.kid, row.hub_url, row.signed_at = hub.ring.kid, hub.url, real
        if any(not mark.minor for mark in marks):
            row.changed_at = real
        session.execute(delete(TrustChange).where(TrustChange.id.in_([mark.id for mark in marks])))


def _as_head(row: SignedTrustList) -> Head:
    return Head(row.etag, row.kid, row.hub_url, row.signed_at, row.changed_at)


def _make(session: Session, hub: Hub) -> str:
    """Return the signed list, as of now."""
    charter = charters.in_force(session)
    issued = int(hub.clock.real().timestamp())
    alone = timedelta(hours=charter.rules.offline.trust_list_hours)
    claims = {
        "iss": hub.url,
        "iat": issued,
        "exp": issued + int((alone + RENEW_AFTER).total_seconds()),
        "charter": {"version": charter.version, "sha256": charter.sha256},
        "nodes": _nodes(session, hub.clock.now(), charter.version),
    }
    return hub.ring.sign_bytes(orjson.dumps(claims), trust_list.TYP).decode()


def _nodes(session: Session, now: datetime, version: str) -> list[dict[str, Any]]:
    signed, former = charters.signed_versions(session, version), former_urls(session, now)
    keys, spaces = _keys(session), _spaces(session)
    columns = (Node.id, Node.name, Node.url, Node.state, Node.plans, Node.leaving_on)
    return [
        {
            "id": node.id,
            "name": node.name,
            "url": node.url,
            **({"former_urls": former[node.id]} if node.id in former else {}),
            "state": node.state,
            "keys": keys.get(node.id, []),
            "plans": node.plans,
            "charter": signed.get(node.id),
            "spaces": spaces.get(node.id, []),
            **({"leaving_on": node.leaving_on.isoformat()} if node.leaving_on else {}),
        }
        for node in session.execute(select(*columns).order_by(Node.id))
    ]


def _keys(session: Session) -> dict[str, list[dict[str, Any]]]:
    query = select(NodeKey.node_id, NodeKey.jwk, NodeKey.withdrawn_at)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in session.execute(query.order_by(NodeKey.added_at, NodeKey.kid)):
        since = row.withdrawn_at
        withdrawn = {"withdrawn": True, "withdrawn_at": since.isoformat()} if since else {}
        found.setdefault(row.node_id, []).append({**row.jwk, **withdrawn})
    return found


def _spaces(session: Session) -> dict[str, list[dict[str, Any]]]:
    query = select(Space.node_id, Space.id, Space.name, Space.town).where(
        Space.withdrawn_at.is_(None), Space.node_id.is_not(None)
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for row in session.execute(query.order_by(Space.id)):
        found.setdefault(row.node_id, []).append({"id": row.id, "name": row.name, "town": row.town})
    return found


def note_states(session: Session, hub: Hub) -> None:
    """Mark the list if others are late or offline than it says, at most once a minute."""
    head = _head(session)
    if head is None or hub.clock.real() - head.signed_at < MINOR_EVERY:
        return
    text = body(session, head.etag)
    said = jose.read_unverified(text or "").claims["nodes"] if text else []
    states = {row.id: row.state for row in session.execute(select(Node.id, Node.state))}
    if {node["id"]: node["state"] for node in said} != states:
        with write(session):
            note(session, minor=True)
