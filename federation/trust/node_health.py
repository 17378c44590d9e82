"""How nodes are: what is known of each, and what is amiss, the worst first."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import String, cast, func, select
from sqlalchemy.orm import Session, lazyload

from federation.charters.service import signatories
from federation.nodes.models import Node, NodeMark
from federation.nodes.rollback_detection import runs_twice
from federation.spaces.models import Availability, Document, Space

CLOCK_SECONDS, CLOCK_WORST_SECONDS = 20, 60
MANY_WAITING = 20
# One failure may be a restart.
HARVEST_FAILURES = 2
# By how much each matters; also the order in which they are said.
WEIGHTS = {
    "copies": 90,
    "offline": 80,
    "harvest": 70,
    "clock-wrong": 60,
    "refused": 50,
    "nothing": 45,
    "outbox-dead": 40,
    "late": 30,
    "places": 25,
    "outbox-waiting": 20,
    "unsigned": 15,
    "clock-off": 10,
    "leaving": 5,
    "suspended": 4,
}
GRAVE = 45


@dataclass(frozen=True, slots=True)
class Condition:
    """One node, and what is known beside its row. ``places_until`` None: never told."""

    node: Node
    mark: NodeMark | None
    spaces: int
    refused: int
    places_as_of: datetime | None
    places_until: datetime | None
    signed: bool
    amiss: list[str] = field(default_factory=list)

    @property
    def weight(self) -> int:
        return WEIGHTS[self.amiss[0]] if self.amiss else 0

    @property
    def grave(self) -> bool:
        return self.weight >= GRAVE


def all_of(session: Session, now: datetime, node_id: str | None = None) -> list[Condition]:
    """Return every node's condition, or one's, what needs attention most first."""
    query = select(Node)  # whose keys are read for a page of its own alone
    query = query.options(lazyload(Node.keys)) if node_id is None else query.filter_by(id=node_id)
    nodes = list(session.scalars(query))
    marks = {row.node_id: row for row in session.scalars(select(NodeMark))}
    shown = select(Space.node_id, func.count()).where(_shown()).group_by(Space.node_id)
    spaces: dict[str | None, int] = {row[0]: row[1] for row in session.execute(shown)}
    # nothing refused is NULL, or null as JSON writes it
    wrong = Document.refused.is_not(None) & (cast(Document.refused, String) != "null")
    faulty = select(Document.node_id, func.count()).where(wrong).group_by(Document.node_id)
    refused: dict[str, int] = {row[0]: row[1] for row in session.execute(faulty)}
    places = {
        row[0]: row[1:]
        for row in session.execute(
            select(Space.node_id, func.min(Availability.as_of), func.min(Availability.expires_at))
            .join(Availability)
            .where(_shown())
            .group_by(Space.node_id)
        )
    }
    who_signed = signatories(session)
    found = []
    for node in nodes:
        as_of, until = places.get(node.id, (None, None))
        mark, count = marks.get(node.id), spaces.get(node.id, 0)
        faults = refused.get(node.id, 0)
        one = Condition(node, mark, count, faults, as_of, until, node.id in who_signed)
        one.amiss.extend(_amiss(one, now))
        found.append(one)
    return sorted(found, key=lambda one: (-one.weight, one.node.name.casefold(), one.node.id))


def _shown() -> Any:
    return Space.withdrawn_at.is_(None) & Space.node_id.is_not(None)


def _amiss(one: Condition, now: datetime) -> list[str]:
    node = one.node
    if node.state in ("suspended", "left"):
        return ["suspended"] if node.state == "suspended" else []
    silent = node.state in ("late", "offline")
    places_known = one.places_until is not None and one.places_until > now
    found = {
        "leaving": node.leaving_on is not None,
        node.state: silent,
        "places": one.spaces > 0 and not silent and not places_known,
        "harvest": node.harvest_failures >= HARVEST_FAILURES,
        "refused": one.refused > 0,
        "nothing": node.published_at is None,
        "unsigned": not one.signed,
        **(_told_amiss(one.mark, now) if one.mark else {}),
    }
    return sorted((code for code, so in found.items() if so), key=lambda code: -WEIGHTS[code])


def _told_amiss(mark: NodeMark, now: datetime) -> dict[str, bool]:
    off = abs(mark.skew or 0)
    return {
        "copies": runs_twice(mark, now),
        "clock-wrong": off > CLOCK_WORST_SECONDS,
        "clock-off": CLOCK_SECONDS < off <= CLOCK_WORST_SECONDS,
        "outbox-dead": bool(mark.outbox_dead),
        "outbox-waiting": (mark.outbox_pending or 0) >= MANY_WAITING,
    }
