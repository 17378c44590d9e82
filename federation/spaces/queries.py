"""The published spaces, as everybody may find them."""

from __future__ import annotations

from collections.abc import Collection, Set

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from federation.spaces.models import Document, Space
from shared.wire.problems import Problem


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


def contacts(session: Session, node_ids: Set[str]) -> dict[str, str]:
    """Return by node the address that its first space publishes, if there is one."""
    query = select(Space.node_id, Space.document).where(
        Space.node_id.in_(node_ids), Space.withdrawn_at.is_(None)
    )
    return {
        row.node_id: str(row.document.get("email") or "")
        for row in session.execute(query.order_by(Space.id.desc()))
    }


def of_node(session: Session, node_id: str) -> list[Space]:
    """Return the spaces that a node publishes, by name."""
    query = select(Space).where(Space.node_id == node_id, Space.withdrawn_at.is_(None))
    return list(session.scalars(query.order_by(Space.name)))


def refused_documents(session: Session, node_id: str) -> list[Document]:
    """Return the documents of a node of which a later version was not taken, by name."""
    query = select(Document).where(Document.node_id == node_id).order_by(Document.name)
    return [row for row in session.scalars(query) if row.refused]


def any_space(session: Session, space_id: str) -> Space:
    """Return a space, whatever has become of it. Raises Problem("not-found")."""
    row = session.get(Space, space_id)
    if row is None:
        raise Problem("not-found")
    return row


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
