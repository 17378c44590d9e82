"""Which lines a month has, and reading them one at a time.

A month that was issued has the lines that are counted in it. An open one shows the free lines of
days up to its end: those that it would take if it were issued now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    CompoundSelect,
    Select,
    Subquery,
    Text,
    cast,
    exists,
    func,
    or_,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from charter.halfdays import AFTERNOON, MORNING
from charter.settlement import Line
from charter.statement import in_order
from federation.statements.models import Dispute, Statement, StatementLine
from federation.visits.models import HalfDayLine, Visit

_AT_ONCE = 5_000
_SHOWN = ("visit_id", "day", "half", "home_id", "host_id", "space_id", "quantity")
_LINE = (
    HalfDayLine.recorded_at,
    HalfDayLine.reason,
    *(getattr(HalfDayLine, name) for name in _SHOWN),
)
_FLAGS = cast(Visit.flags, Text).label("flags")  # mostly none, and read one by one
_OF_NETWORK = HalfDayLine.home_id != HalfDayLine.host_id
HAS_ROW = exists().where(StatementLine.line_id == HalfDayLine.id)
OPEN_DISPUTE = exists().where(Dispute.visit_id == HalfDayLine.visit_id, Dispute.state == "open")


def neighbour(month: str, step: int) -> str:
    """Return the month before (-1) or after (1)."""
    year, number = (int(part) for part in month.split("-"))
    total = year * 12 + number - 1 + step
    return f"{total // 12}-{total % 12 + 1:02}"


def last_day(month: str) -> date:
    return date.fromisoformat(f"{neighbour(month, 1)}-01") - timedelta(days=1)


def counted(month: str) -> Subquery:
    """Choose the lines that are counted in a month."""
    return _counted(month).subquery("line")


def _counted(month: str) -> Select[Any]:
    taken = StatementLine.month == month, StatementLine.state == "counted"
    return (
        select(*_LINE)
        .join(StatementLine, StatementLine.line_id == HalfDayLine.id)
        .where(*taken, _OF_NETWORK)
    )


def of_open(session: Session, month: str) -> Subquery:
    """Choose the lines that an open month would have.

    The first that is open takes the free ones of all days up to its end; of a later one, those
    of its own days are shown. What is taken already while it is being issued is among them.
    """
    last = session.scalars(select(Statement).order_by(Statement.month.desc()).limit(1)).first()
    conditions = [HalfDayLine.day <= last_day(month)]
    if last is not None and last.state == "closing" and last.month == month:
        parts = [_counted(month), *_free(last.floor)]
    else:
        if last is None or month != neighbour(last.month, 1):
            conditions.append(HalfDayLine.day >= date.fromisoformat(f"{month}-01"))
        parts = _free(last.floor if last else 0)
    chosen: CompoundSelect[Any] = union_all(*(part.where(*conditions) for part in parts))
    return chosen.subquery("line")


def _free(floor: int) -> list[Select[Any]]:
    """Choose free lines: below the floor, only a dispute that is settled can have freed any."""
    free = select(*_LINE).where(_OF_NETWORK, ~HAS_ROW, ~OPEN_DISPUTE)
    settled = select(Dispute.visit_id).where(Dispute.state != "open")
    return [
        free.where(HalfDayLine.id >= floor),
        free.where(HalfDayLine.id < floor, HalfDayLine.visit_id.in_(settled)),
    ]


def held_of(session: Session, month: str) -> list[str]:
    """Return the visits that an issued month keeps out for a dispute, by id."""
    query = select(HalfDayLine.visit_id).join(
        StatementLine, StatementLine.line_id == HalfDayLine.id
    )
    query = query.where(StatementLine.month == month, StatementLine.state == "held")
    return sorted(session.scalars(query.distinct()))


def held_of_open(session: Session, month: str) -> list[str]:
    """Return the visits that are disputed still, and of which an open month takes nothing."""
    query = (
        select(HalfDayLine.visit_id)
        .join(Dispute, Dispute.visit_id == HalfDayLine.visit_id)
        .outerjoin(StatementLine, StatementLine.line_id == HalfDayLine.id)
        .where(
            Dispute.state == "open",
            StatementLine.month.is_(None),
            HalfDayLine.day <= last_day(month),
            _OF_NETWORK,
        )
    )
    return sorted(session.scalars(query.distinct()))


def totals(session: Session, chosen: Subquery) -> list[Line]:
    """Return half-days by home and host, of the whole network."""
    line = chosen.c
    query = select(line.home_id, line.host_id, func.sum(line.quantity))
    query = query.group_by(line.home_id, line.host_id).order_by(line.home_id, line.host_id)
    return [Line(home, host, int(count)) for home, host, count in session.execute(query)]


def visits(
    session: Session, chosen: Subquery, node_id: str | None = None, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield what each visit counts on each day, as a statement has it; of one node, if given."""
    for _, same in groupby(_rows(session, chosen, 1, node_id, limit), _visit_and_day):
        yield from _entries(list(same))


def corrections(
    session: Session, chosen: Subquery, node_id: str | None = None, limit: int | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield what was taken back of each visit and day, with its reason and when it was."""
    for _, same in groupby(_rows(session, chosen, -1, node_id, limit), _visit_and_day):
        yield from in_order(
            {**entry, "reason": reason, "recorded_on": day.isoformat()}
            for (day, reason), at_once in groupby(sorted(same, key=_taken_back), _taken_back)
            for entry in _entries(list(at_once))
        )


def _taken_back(row: Any) -> tuple[date, str]:
    """Return on which day, by the space's own clock, and why."""
    at: datetime = row.recorded_at
    return at.astimezone(ZoneInfo(row.timezone)).date(), row.reason


def _visit_and_day(row: Any) -> tuple[date, str]:
    return row.day, row.visit_id


def _rows(
    session: Session, chosen: Subquery, quantity: int, node_id: str | None, limit: int | None
) -> Iterator[Any]:
    line = chosen.c
    about = (line.reason, Visit.timezone, line.recorded_at) if quantity < 0 else ()
    query = (
        select(*(line[name] for name in _SHOWN), Visit.charter, _FLAGS, *about)
        .join(Visit, Visit.id == line.visit_id)
        .where(line.quantity == quantity)
        .order_by(line.day, line.visit_id, line.half)
        .limit(limit)
        .execution_options(yield_per=_AT_ONCE)
    )
    if node_id is not None:
        query = query.where(or_(line.home_id == node_id, line.host_id == node_id))
    yield from session.connection().execute(query)


def _entries(rows: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield what a visit counts on a day. A half that was counted anew has an entry of its own."""
    mornings = sum(row.half == MORNING for row in rows)
    afternoons = len(rows) - mornings
    whole = min(mornings, afternoons)
    for halves, times in (
        ([MORNING], mornings - whole),
        ([MORNING, AFTERNOON], whole),
        ([AFTERNOON], afternoons - whole),
    ):
        for _ in range(times):
            yield _entry(rows[0], halves)


def _entry(row: Any, halves: list[str]) -> dict[str, Any]:
    return {
        "id": row.visit_id,
        "day": row.day.isoformat(),
        "halves": halves,
        "half_days": row.quantity * len(halves),
        "home": row.home_id,
        "host": row.host_id,
        "space": row.space_id,
        "charter": row.charter,
        "flags": [] if row.flags == "[]" else json.loads(row.flags),
    }
