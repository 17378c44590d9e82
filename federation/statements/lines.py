"""Which lines a month's statement has, and reading them one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, func, not_, or_, select
from sqlalchemy.orm import Session

from charter.settlement import Line
from federation.statements.models import Dispute, Statement
from federation.visits.models import HalfDayLine, Visit

_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Selection:
    """A month's lines, as a condition; of one node alone where ``node_id`` is given."""

    condition: ColumnElement[bool]
    node_id: str | None = None

    @property
    def of_node(self) -> ColumnElement[bool]:
        if self.node_id is None:
            return self.condition
        mine = or_(HalfDayLine.home_id == self.node_id, HalfDayLine.host_id == self.node_id)
        return and_(self.condition, mine)


def neighbour(month: str, step: int) -> str:
    """Return the month before (-1) or after (1)."""
    year, number = (int(part) for part in month.split("-"))
    total = year * 12 + number - 1 + step
    return f"{total // 12}-{total % 12 + 1:02}"


def select_lines(session: Session, month: str, node_id: str | None = None) -> Selection:
    """Choose a month's lines: an issued month's up to its cutoff, an open month's so far.

    What comes in after its own month was issued is of the first month that is still open; so are
    lines that a dispute kept out of the month before and that are free again.
    """
    line = HalfDayLine
    own = session.get(Statement, month)
    before = session.get(Statement, neighbour(month, -1))
    if own is not None:
        condition = and_(line.month <= month, line.id <= own.cutoff)
    else:
        condition = line.month <= month if before is not None else line.month == month
    if before is not None:
        taken = and_(line.month <= before.month, line.id <= before.cutoff)
        back = line.visit_id.in_(before.excluded)
        condition = and_(condition, or_(not_(taken), and_(taken, back)))
    out = own.excluded if own is not None else disputed(session, before)
    if out:
        condition = and_(condition, line.visit_id.not_in(out))
    return Selection(and_(condition, line.home_id != line.host_id), node_id)


def disputed(session: Session, before: Statement | None) -> list[str]:
    """Return which of the visits that were kept out of the last month are still disputed."""
    if before is None or not before.excluded:
        return []
    query = select(Dispute.visit_id).where(Dispute.state == "open")
    return sorted(session.scalars(query))


def totals(session: Session, chosen: Selection) -> list[Line]:
    """Return half-days by home and host, of the whole network."""
    query = select(HalfDayLine.home_id, HalfDayLine.host_id, func.sum(HalfDayLine.quantity))
    query = query.where(chosen.condition).group_by(HalfDayLine.home_id, HalfDayLine.host_id)
    return [Line(home, host, int(count)) for home, host, count in session.execute(query)]


_COLUMNS = (
    Visit.id,
    Visit.home_id,
    Visit.host_id,
    Visit.space_id,
    Visit.started_at,
    Visit.timezone,
    Visit.charter,
    Visit.flags,
    Visit.void_reason,
    HalfDayLine.quantity,
    HalfDayLine.recorded_at,
)


def _rows(
    session: Session, chosen: Selection, sign: ColumnElement[bool], limit: int | None
) -> Iterator[Any]:
    query = (
        select(*_COLUMNS)
        .join(HalfDayLine, HalfDayLine.visit_id == Visit.id)
        .where(chosen.of_node, sign)
        .order_by(Visit.started_at, Visit.id, HalfDayLine.id)
        .limit(limit)
        .execution_options(yield_per=_AT_ONCE)
    )
    yield from session.connection().execute(query)


def visits(
    session: Session, chosen: Selection, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield each visit that counts something, with its half-days, in the order of arrival."""
    entry: dict[str, Any] | None = None
    for row in _rows(session, chosen, HalfDayLine.quantity > 0, limit):
        if entry is not None and entry["id"] == row.id:
            entry["half_days"] += row.quantity
            continue
        if entry is not None:
            yield entry
        entry = _entry(row)
    if entry is not None:
        yield entry


def corrections(
    session: Session, chosen: Selection, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the lines that reverse, each with its reason."""
    for row in _rows(session, chosen, HalfDayLine.quantity < 0, limit):
        recorded = _local(row.recorded_at, row.timezone)
        yield {**_entry(row), "reason": row.void_reason or "", "recorded_at": recorded}


def _entry(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "home": row.home_id,
        "host": row.host_id,
        "space": row.space_id,
        "started_at": _local(row.started_at, row.timezone),
        "half_days": row.quantity,
        "charter": row.charter,
        "flags": row.flags,
    }


def _local(instant: datetime, zone: str) -> str:
    return instant.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
