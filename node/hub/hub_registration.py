"""What the hub has of this node: address, key and signatures; what differs is told anew."""

from __future__ import annotations

import time
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import keys, outbox
from node.hub import service as sync
from node.hub.checkpoint import locked, memory
from node.hub.models import Cached
from shared.store.db import release

log = structlog.get_logger()

MOVE_TYP = "passerelle-move+jwt"


def put_right(session: Session, node: Node, known: sync.Network | None) -> None:
    """Tell the hub of an address or a key that it has not. Raises PeerError."""
    own = sync.node_id(session)
    entry = known.trust.nodes.get(own) if known else None
    release(session)
    if entry is None:
        return
    if node.ring.kid not in {jwk["kid"] for jwk in entry["keys"]}:
        answer = keys.announce_key(node, own, node.ring.kid, node.ring.current)
        if answer.status == 200:  # what was signed with it meanwhile is taken now
            outbox.revive(session, node.clock.real(), "proof-invalid")
    if entry["url"] != node.url:
        _move(session, node, own)
    elif (row := memory(session)) is not None and row.move_fault is not None:
        _note_fault(session, None)
    release(session)


def _move(session: Session, node: Node, own: str) -> None:
    claims = {"iss": own, "aud": node.hub.url, "url": node.url, "iat": int(time.time())}
    body = {"url": node.url, "proof": node.ring.sign(claims, MOVE_TYP)}
    answer = node.hub.call("PUT", "/api/v1/nodes/me/url", json=body, timeout=15)
    if answer.status == 200:
        log.info("address.taken", url=node.url)
        sync.refresh(session, node)
    _note_fault(session, None if answer.status == 200 else answer.json())


def _note_fault(session: Session, fault: dict[str, Any] | None) -> None:
    if (row := memory(session)) is None or row.move_fault == fault:
        return
    with locked(session) as row:
        row.move_fault = fault


def forgotten(session: Session, node: Node) -> bool:
    """Tell whether the hub knows nothing of this node, which has its word that it joined."""
    known, row = sync.network(session, node), sync.enrolment(session)
    return known is not None and row is not None and row.node_id not in known.trust.nodes


def sign_again(session: Session, node: Node) -> None:
    """Send the signatures that we gave, for a hub that has lost them. Raises PeerError."""
    query = select(Cached.name, Cached.body).where(Cached.name.startswith(sync.SIGNATURE))
    given = session.execute(query).all()
    release(session)
    for name, body in given:
        version = name.removeprefix(sync.SIGNATURE)
        path = f"/api/v1/charters/{version}/signatures"
        answer = node.hub.call("POST", path, json={"jws": body}, timeout=10)
        log.info("signature.told-again", version=version, status=answer.status)
