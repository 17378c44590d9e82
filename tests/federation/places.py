"""A hub alone, and spaces put on it as an accepted publication would put them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from federation.context import Hub
from federation.context import hub as hub_context
from federation.db import db
from federation.nodes.models import Node
from federation.spaces import publications
from federation.spaces.models import Space
from shared.store.db import begin_write
from shared.wire.spaces import SpaceSchema
from tests.network import Network

_schema = SpaceSchema()


@contextmanager
def inside(network: Network) -> Iterator[tuple[Session, Hub]]:
    with network.hub.app.app_context():
        yield db.session(), hub_context()


def put_space(network: Network, space_id: str, **values: Any) -> None:
    """Publish a space of the node of its own name; what is not given is not known."""
    town = values.pop("town", "Lyon")
    document = {"id": space_id, "name": space_id.title(), "address": {"town": town}, **values}
    with inside(network) as (session, hub):
        begin_write(session)
        now = hub.clock.now()
        if session.get(Node, space_id) is None:
            session.add(_node(space_id, now))
            session.flush()
        row = session.get(Space, space_id)
        publications._store_space(session, row, space_id, dict(_schema.load(document)), now)
        session.commit()


def _node(name: str, now: datetime) -> Node:
    return Node(
        id=name,
        name=f"Operator of {name}",
        url=f"http://127.0.0.1:9/{name}",
        state="connected",
        plans={},
        enrolled_at=now,
        last_seen_at=now,
    )


def event(id_: str, starts_at: str, ends_at: str, **values: Any) -> dict[str, Any]:
    return {"id": id_, "title": id_.title(), "starts_at": starts_at, "ends_at": ends_at, **values}
