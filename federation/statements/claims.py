"""Writing where each line stands: counted in a month, held by a dispute, or free again.

A line is in one month at the most, once: that is the table's primary key. Whoever changes which
lines a month has, holds the month's row, and raises its revision.
"""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Select,
    SelectBase,
    delete,
    func,
    insert,
    literal,
    null,
    select,
    text,
    true,
    update,
)
from sqlalchemy.orm import Session

from federation.statements.models import Dispute, Statement, StatementLine
from federation.statements.statement_lines import HAS_ROW, last_day
from federation.visits.models import HalfDayLine
from shared.store.db import write

# So many numbers of lines at a time: check-ins wait for one of these transactions at the most.
AT_ONCE = 2_500

_COLUMNS = ("line_id", "month", "state")
_ANY = true()
_OF_NETWORK = HalfDayLine.home_id != HalfDayLine.host_id


def lock_month(session: Session, month: str) -> Statement | None:
    """Return a month as it is now, which nobody else changes meanwhile."""
    return session.get(Statement, month, with_for_update=True, populate_existing=True)


# When a month is issued


def claim(session: Session, month: str) -> None:
    """Take the free lines of days up to the month's end, in many short transactions.

    What was taken already stays so: after a crash, this goes on. What is written meanwhile is
    free, and of the next month.
    """
    before = session.scalar(select(func.max(Statement.floor)).where(Statement.month < month)) or 0
    last = _last_committed(session)
    first = session.scalar(select(func.min(HalfDayLine.id)).where(HalfDayLine.id >= before))
    first = last + 1 if first is None else first
    for start in range(first, last + 1, AT_ONCE):
        end = min(last, start + AT_ONCE - 1)
        # Said of both tables: what is taken is not all read again for each of these.
        some = HalfDayLine.id.between(start, end), StatementLine.line_id.between(start, end)
        _take(session, month, *some)
    settled = select(Dispute.visit_id).where(Dispute.state != "open")
    _take(session, month, (HalfDayLine.id < first) & HalfDayLine.visit_id.in_(settled))
    _raise_floor(session, month, first, last)


def _last_committed(session: Session) -> int:
    """Return the highest number below which no line is still being written.

    A line has its number before others can see it: whoever is writing one is waited for.
    """
    with write(session):
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("LOCK TABLE half_day_line IN SHARE MODE"))
        return session.scalar(select(func.max(HalfDayLine.id))) or 0


def _take(
    session: Session, month: str, some: ColumnElement[bool], taken: ColumnElement[bool] = _ANY
) -> None:
    """Count the free lines among these in the month; those of a disputed visit are held."""
    with write(session):
        row = lock_month(session, month)
        if row is None or row.state != "closing":
            return
        # Whoever settles one of these waits, and then finds what was held for it.
        still = select(Dispute.visit_id).where(Dispute.state == "open").with_for_update(read=True)
        disputed = set(session.scalars(still))
        free = (some, _OF_NETWORK, HalfDayLine.day <= last_day(month), ~HAS_ROW.where(taken))
        if disputed:
            _hold_free(session, *free, HalfDayLine.visit_id.in_(disputed))
        counted = select(HalfDayLine.id, literal(month), literal("counted")).where(*free)
        row.revision += bool(_add(session, counted))


def _raise_floor(session: Session, month: str, first: int, last: int) -> None:
    later = select(func.min(HalfDayLine.id)).where(
        HalfDayLine.id.between(first, last), HalfDayLine.day > last_day(month), _OF_NETWORK
    )
    found = session.scalar(later)
    with write(session):
        row = lock_month(session, month)
        if row is not None and row.state == "closing":
            row.floor = last + 1 if found is None else found


# When a visit is disputed; within the transaction of whoever calls, who holds person and month


def has_visit(session: Session, month: str, visit_id: str) -> bool:
    """Say whether a month has a line of this visit, or holds one."""
    query = select(StatementLine.line_id).where(
        StatementLine.month == month, StatementLine.line_id.in_(_lines_of(visit_id))
    )
    return session.scalar(query.limit(1)) is not None


def hold(session: Session, visit_id: str, month: str | None) -> None:
    """Hold all lines of a visit that are in no final month; this one is not, if there is one."""
    if month is not None:
        session.execute(
            update(StatementLine)
            .where(StatementLine.month == month, StatementLine.line_id.in_(_lines_of(visit_id)))
            .values(state="held")
        )
    _hold_free(session, HalfDayLine.visit_id == visit_id, _OF_NETWORK, ~HAS_ROW)


def restore(session: Session, visit_id: str) -> None:
    """Count a visit's lines again in the month that held them; free those that no month did."""
    mine = StatementLine.line_id.in_(_lines_of(visit_id)), StatementLine.state == "held"
    session.execute(delete(StatementLine).where(*mine, StatementLine.month.is_(None)))
    session.execute(update(StatementLine).where(*mine).values(state="counted"))


def release(session: Session, visit_id: str) -> None:
    """Free all lines of a visit that are held: with what reverses them, they are nothing."""
    mine = StatementLine.line_id.in_(_lines_of(visit_id)), StatementLine.state == "held"
    session.execute(delete(StatementLine).where(*mine))


def _lines_of(visit_id: str) -> Select[int]:
    """A reversal is a line of the visit whose line it reverses."""
    return select(HalfDayLine.id).where(HalfDayLine.visit_id == visit_id)


# When a month becomes final


def leave(session: Session, month: str) -> None:
    """Let what is held go out of a month, in the caller's transaction; it stays held."""
    held = StatementLine.month == month, StatementLine.state == "held"
    session.execute(update(StatementLine).where(*held).values(month=None))


def _hold_free(session: Session, *conditions: ColumnElement[bool]) -> None:
    _add(session, select(HalfDayLine.id, null(), literal("held")).where(*conditions))


def _add(session: Session, rows: SelectBase) -> int:
    added = session.connection().execute(insert(StatementLine).from_select(_COLUMNS, rows))
    return added.rowcount
