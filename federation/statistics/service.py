"""The sums behind the pictures, read from the account; finished months are kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import ColumnElement, Row, Text, cast, exists, func, not_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from federation.nodes.models import Node
from federation.spaces.models import Space
from federation.statements import documents, statement_lines
from federation.statements import service as statements
from federation.statements.models import Statement
from federation.statistics import sums
from federation.statistics.models import Sum
from federation.visits.models import HalfDayLine
from shared.base.memory import Memory
from shared.store.db import write

ZONE = ZoneInfo("Europe/Paris")  # months of refusals and of page views
MOST_MONTHS = 36


@dataclass(frozen=True, slots=True)
class Period:
    """Whole months, both included; ``today`` is the last day that anything is known of."""

    first: str
    last: str
    today: date

    @property
    def months(self) -> tuple[str, ...]:
        found = [self.first]
        while found[-1] < self.last:
            found.append(statement_lines.neighbour(found[-1], 1))
        return tuple(found)

    @property
    def begins(self) -> date:
        return date.fromisoformat(f"{self.first}-01")

    @property
    def ends(self) -> date:
        """The last day."""
        return date.fromisoformat(f"{statement_lines.neighbour(self.last, 1)}-01") - timedelta(
            days=1
        )

    @property
    def until(self) -> date:
        """The last day of it that has begun."""
        return min(self.ends, self.today)


def today(now: datetime) -> date:
    return now.astimezone(ZONE).date()


# Visits


def read(session: Session, period: Period) -> dict[str, sums.Sums]:
    """Return each month's sums. Of finished months, this process remembers them."""
    return dict(_read(session, period.months, period.today))


def merged(session: Session, period: Period) -> sums.Sums:
    """Return the sums of all the months together."""
    state = period.months, tuple(sorted(_counted(session, period.months).items()))
    kept = _last.here()
    last = kept.get("last")
    if last is None or last[0] != state:
        last = kept["last"] = state, sums.merge(read(session, period).values())
    return last[1]


_last = Memory[str, tuple[Any, sums.Sums]]()  # what was wanted last: one page wants it often


def prepare(session: Session, now: datetime) -> None:
    """Keep the sums of finished months: those not made yet, and those that late lines changed."""
    day = today(now)
    last, first = (
        statement_lines.neighbour(f"{day:%Y-%m}", -1),
        session.scalar(select(func.min(_month))),
    )
    if first is None or first > last:
        return
    period = Period(first, last, day)
    counted = _counted(session, period.months)
    kept = {(row.kind, row.month): row.state for row in session.execute(_STATES)}
    for month, found in _read(session, period.months, day):
        state = counted.get(month, 0)
        if state and kept.get(("visits", month)) != state:
            _keep(session, "visits", month, state, sums.to_json(found))
    for row in issued(session):
        if kept.get(("account", row.month)) != row.revision:
            _keep(session, "account", row.month, row.revision, _balances(session, row.month))


_month = HalfDayLine.month
_STATES = select(Sum.kind, Sum.month, Sum.state)


def _counted(session: Session, months: Sequence[str]) -> dict[str, int]:
    """Return how many lines there are of each month: none is ever changed, so these say it all."""
    query = select(_month, func.count()).where(_month.between(months[0], months[-1]))
    return dict(session.execute(query.group_by(_month)).all())


def _read(session: Session, months: Sequence[str], day: date) -> Iterator[tuple[str, sums.Sums]]:
    counted, lately = _counted(session, months), _lately.here()
    for month in months:
        state = counted.get(month, 0)
        if not state:
            yield month, sums.Sums()
            continue
        if month in lately and lately[month][0] == state:
            yield month, lately[month][1]
            continue
        body = _kept(session, "visits", month, state)
        found = sums.from_json(body) if body else sums.add_up(_lines(session, month))
        if month < f"{day:%Y-%m}":
            while len(lately) >= MOST_MONTHS:
                lately.pop(next(iter(lately)))
            lately[month] = state, found
        yield month, found


# Sums of finished months that this process has read: never changed, and known by their state.
_lately = Memory[str, tuple[int, sums.Sums]]()


def _lines(session: Session, month: str) -> Iterator[Row[Any]]:
    """Yield the half-days of a month that count: what was reversed is left out with its reversal.

    Half-days are in the month in which they were, whenever they were told of.
    """
    line = HalfDayLine
    what = (
        line.home_id,
        line.host_id,
        line.space_id,
        line.visit_id,
        line.member_id,
        line.day,
        line.half,
        line.occurrence,
    )
    of_month = select(*what).where(line.month == month, line.home_id != line.host_id)
    reversed_ = {tuple(row) for row in session.execute(of_month.where(line.quantity == -1))}
    query = of_month.where(line.quantity == 1).execution_options(yield_per=10_000)
    rows: Any = session.connection().execute(query)
    yield from (row for row in rows if tuple(row) not in reversed_) if reversed_ else rows


def not_reversed(line: type[HalfDayLine]) -> ColumnElement[bool]:
    """Return the condition that no other line takes this one back."""
    back = aliased(HalfDayLine)
    return not_(
        exists().where(
            back.quantity == -1,
            back.member_id == line.member_id,
            back.month == line.month,
            back.space_id == line.space_id,
            back.day == line.day,
            back.half == line.half,
            back.occurrence == line.occurrence,
        )
    )


def _kept(session: Session, kind: str, month: str, state: int) -> Mapping[str, Any] | None:
    body = cast(Sum.body, Text)  # read in a third of the time that the column's own reader takes
    query = select(body).where(Sum.kind == kind, Sum.month == month, Sum.state == state)
    found = session.scalar(query)
    return orjson.loads(found) if found else None


def _keep(session: Session, kind: str, month: str, state: int, body: Mapping[str, Any]) -> None:
    """Keep a month's sums. Two that make them at once make the same."""
    with suppress(IntegrityError), write(session):
        row = session.get(Sum, (kind, month))
        if row is None:
            session.add(Sum(kind=kind, month=month, state=state, body=dict(body)))
        else:
            row.state, row.body = state, dict(body)


# The account


def issued(session: Session) -> list[Statement]:
    """Return the months that were issued, the first of them first."""
    return list(reversed(statements.issued(session)))


def account(session: Session, period: Period) -> dict[str, dict[str, int]]:
    """Return each month's balances by node, in half-days given minus received, as accounted."""
    revisions = {row.month: row.revision for row in issued(session)}
    found = {}
    for month in period.months:
        if month <= f"{period.today:%Y-%m}":
            revision = revisions.get(month)
            body = _kept(session, "account", month, revision) if revision else None
            found[month] = dict(body or _balances(session, month))
    return found


def not_issued(session: Session, months: Sequence[str]) -> list[str]:
    """Return which of these months can still change."""
    done = {row.month for row in issued(session)}
    return [month for month in months if month not in done]


def _balances(session: Session, month: str) -> dict[str, int]:
    return dict(documents.sheet(session, month).head["balances"])


# Names


def names(session: Session) -> dict[str, str]:
    """Return the names of the nodes."""
    return {row.id: row.name for row in session.execute(select(Node.id, Node.name))}


def towns(session: Session) -> dict[str, str]:
    """Return by node the towns of its spaces; of those it has published no longer, if it has none.

    Towns are in the order of the alphabet, each once.
    """
    query = select(Node.id, Space.town, Space.withdrawn_at).join(Space, Space.node_id == Node.id)
    now: dict[str, set[str]] = {}
    ever: dict[str, set[str]] = {}
    for node, town, withdrawn_at in session.execute(query):
        ever.setdefault(node, set()).add(town)
        if withdrawn_at is None:
            now.setdefault(node, set()).add(town)
    return {node: ", ".join(sorted(now.get(node, found))) for node, found in ever.items()}
