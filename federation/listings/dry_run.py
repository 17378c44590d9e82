"""What importing a table would do, row by row. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, or_, select
from sqlalchemy.orm import Session

from federation.listings import mapping as mappings
from federation.listings.mapping import Fault
from federation.listings.models import Listing, ListingChoice
from federation.listings.reading import Table
from federation.listings.similarity import Index, Known, Like, known
from federation.nodes.models import Node
from federation.spaces.models import Space

Choice = Row[str, str, str | None, str, datetime | None]

STATES = ("new", "changed", "same", "doubtful", "merged", "joined", "skipped", "fault")


@dataclass(slots=True)
class Line:
    """A row: ``state`` is one of STATES.

    ``doubtful`` waits for a choice between its ``likes``; ``merged`` is kept as one with the space
    ``other``; ``joined`` is the space ``other`` now, which has a node.
    """

    place: int
    key: str
    facts: Mapping[str, Any]
    state: str = "new"
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)
    differs: tuple[str, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    likes: list[Like] = field(default_factory=list)
    other: str = ""
    twin: int = 0  # the line that has the same key

    @property
    def name(self) -> str:
        return str(self.facts.get("name", ""))


@dataclass(frozen=True, slots=True)
class Trial:
    """``gone`` are the id and name of spaces that the source had, and has no more."""

    lines: list[Line]
    gone: list[tuple[str, str]]

    def of(self, *states: str) -> list[Line]:
        return [line for line in self.lines if line.state in states]

    def counts(self) -> dict[str, int]:
        found = Counter(line.state for line in self.lines)
        return {state: found[state] for state in STATES}


def examine(
    session: Session, table: Table, mapping: mappings.Mapped, source_id: int | None
) -> Trial:
    """Return what a table's import would do; a source that is None is a new one."""
    held = _held(session, source_id)
    choices = _choices(session, source_id)
    lines: list[Line] = []
    places: dict[str, int] = {}
    for row in table.rows:
        made = mappings.make(row.cells, mapping)
        line = Line(row.place, made.key, made.facts, faults=made.faults, notes=made.notes)
        if made.faults:
            line.state = "fault"
        elif made.key in places:
            line.state, line.twin = "fault", places[made.key]
        else:
            places[made.key] = row.place
            _judge(line, held.get(made.key), choices.get(made.key))
        lines.append(line)
    _suggest(session, lines, source_id, choices)
    gone = [
        (row.id, row.name)
        for key, row in held.items()
        if key not in places and row.withdrawn_at is None
    ]
    return Trial(lines, gone)


def _held(session: Session, source_id: int | None) -> dict[str, Row[Any]]:
    if source_id is None:
        return {}
    query = (
        select(
            *(Space.id, Space.source_key, Space.name, Space.withdrawn_at),
            *(Listing.facts, Listing.became_id),
        )
        .join(Listing, Listing.space_id == Space.id)
        .where(Space.source_id == source_id)
        .order_by(Space.id)
    )
    return {row.source_key: row for row in session.execute(query)}


def _choices(session: Session, source_id: int | None) -> dict[str, Choice]:
    """Return what was decided before, with whether the space that it names is still there."""
    if source_id is None:
        return {}
    query = (
        select(
            *(ListingChoice.source_key, ListingChoice.choice, ListingChoice.space_id),
            *(Space.name, Space.withdrawn_at),
        )
        .outerjoin(Space, Space.id == ListingChoice.space_id)
        .where(ListingChoice.source_id == source_id)
    )
    return {row.source_key: row for row in session.execute(query)}


def _judge(line: Line, held: Row[Any] | None, choice: Choice | None) -> None:
    if held is not None and held.became_id is not None:
        line.state, line.other = "joined", held.became_id
    elif choice is not None and choice.choice == "skip":
        line.state = "skipped"
    elif choice is not None and choice.choice == "same" and choice.withdrawn_at is None:
        line.state, line.other = "merged", choice.name
    elif held is None or held.withdrawn_at is not None:
        line.state = "new"
    elif held.facts == line.facts:
        line.state = "same"
    else:
        names = {**held.facts, **line.facts}
        line.state, line.before = "changed", held.facts
        line.differs = tuple(n for n in names if held.facts.get(n) != line.facts.get(n))


def _suggest(
    session: Session,
    lines: list[Line],
    source_id: int | None,
    choices: Mapping[str, Choice],
) -> None:
    """Find spaces that new lines may be; what was said to be apart is not asked again."""
    new = [line for line in lines if line.state == "new"]
    if not new:
        return
    index = Index(others(session, source_id, {line.key for line in lines}))
    for line in new:
        choice = choices.get(line.key)
        apart = choice.space_id if choice is not None and choice.choice == "apart" else None
        found = index.like(known("", line.facts))
        line.likes = [like for like in found if like.space.id != apart]
        if line.likes:
            line.state = "doubtful"


def others(session: Session, source_id: int | None, keys: set[str]) -> list[Known]:
    """Return the spaces on the map, but for those that the source's own rows are."""
    query = (
        select(
            *(Space.id, Space.name, Space.town, Space.latitude, Space.longitude),
            *(Space.node_id, Space.source_id, Space.source_key),
            Space.document["website"].as_string().label("website"),
            Space.document[("address", "street")].as_string().label("street"),
        )
        .outerjoin(Node, Node.id == Space.node_id)
        .where(Space.withdrawn_at.is_(None), or_(Space.node_id.is_(None), Node.state != "left"))
    )
    return [
        Known(
            *(row.id, row.name, row.town, row.street or "", row.website or ""),
            None
            if row.latitude is None or row.longitude is None
            else (row.latitude, row.longitude),
            row.node_id is None,
        )
        for row in session.execute(query)
        if not (row.source_id == source_id and row.source_key in keys)
    ]
