"""A partner space's published document, asked from the hub; our own, from our own sheet."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from node.context import Node
from node.hub import service as sync
from node.publication.document import document
from node.spaces import service as spaces
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem


def places(session: Session, node: Node) -> list[dict[str, Any]]:
    """Return id, name and town of every space of the network, our own too, by name."""
    known = sync.network(session, node)
    entries = known.trust.nodes.values() if known else ()
    found = [
        space
        for entry in entries
        if entry["state"] not in ("suspended", "left")
        for space in entry["spaces"]
    ]
    return sorted(found, key=lambda space: str(space["name"]).casefold())


def sheet(session: Session, node: Node, space_id: str) -> dict[str, Any] | None:
    """Return a space's document; None where the hub is silent. Raises Problem("not-found")."""
    for row in spaces.spaces(session):
        if row.id == space_id:
            return document(row, spaces.today(row, node.clock.now()), node.url)
    if space_id not in {space["id"] for space in places(session, node)}:
        raise Problem("not-found")
    release(session)
    if node.hub.away:
        return None
    try:
        found: dict[str, Any] = node.hub.get(f"/api/v1/spaces/{space_id}").json()
    except PeerError:
        return None
    return found
