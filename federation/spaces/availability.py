"""What nodes say of their free places: only the latest counts, and only for a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from federation.nodes.service import active_node, record_contact
from federation.spaces.models import Availability, Space
from shared.store.db import write


def take(session: Session, now: datetime, node_id: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Note what a node says of its spaces; what was said before this is not taken any more.

    Returns which spaces it was taken of, and how the hub last asked for the publication. A space
    that was not published yet, or is another node's, is passed over. Raises Problem.
    """
    active_node(session, node_id)
    with write(session):
        query = select(Node).where(Node.id == node_id).with_for_update()
        node = session.scalars(query.execution_options(populate_existing=True)).one()
        own = {row.id for row in session.scalars(select(Space).where(Space.node_id == node_id))}
        spaces = {space["id"]: space for space in told["spaces"] if space["id"] in own}
        as_of = min(told["as_of"], now)  # nobody knows what will be
        held = {
            row.space_id: row
            for row in session.scalars(
                select(Availability).where(Availability.space_id.in_(spaces))
            )
        }
        for space_id, space in spaces.items():
            row = held.get(space_id)
            if row is None:
                row = Availability(space_id=space_id)
                session.add(row)
            elif as_of < row.as_of <= now:
                continue
            row.guest_places, row.guest_places_free = (
                space["guest_places"],
                space["guest_places_free"],
            )
            row.paused, row.as_of = space["paused"], as_of
            row.expires_at = as_of + timedelta(seconds=told["ttl"])
        record_contact(node, now)
    return {
        "spaces": sorted(spaces),
        "harvested_at": node.harvested_at,
        "harvest_fault": node.harvest_fault,
    }
