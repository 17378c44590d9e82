"""The half-day lines: counting what a visit touches, once, and reversing by lines of their own."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, func, insert, select
from sqlalchemy.orm import Session

from charter import Charter
from charter.halfdays import HalfDay, half_days
from federation.visits.models import HalfDayLine, Visit

_ADD_LINE = insert(HalfDayLine.__table__)

Counted = dict[tuple[str, date, str], tuple[int, int]]


def closing(visit: Any) -> datetime:
    """Return when a visit ends that nobody ends: at the closing that its host told, or at midnight.

    A member who shows up elsewhere days later was not here all that time.
    """
    opening = visit.facts.get("opening")
    if opening:
        return datetime.fromisoformat(opening[1])
    return midnight_after(visit.started_at, visit.timezone)


def midnight_after(instant: datetime, timezone: str) -> datetime:
    zone = ZoneInfo(timezone)
    following = instant.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(following, time(), zone)


def _touched(charter: Charter, visit: Any, until: datetime) -> list[HalfDay]:
    split = charter.rules.opening_hours.split
    return half_days(visit.started_at, until, ZoneInfo(visit.timezone), split)


def count(
    connection: Connection,
    charter: Charter,
    visit: Any,
    until: datetime,
    counted: Counted | None = None,
) -> None:
    """Add a line for each half-day that the visit touches and that is not counted yet."""
    touched = _touched(charter, visit, until)
    if counted is None:
        counted = _counted_on(connection, visit, {half_day.day for half_day in touched})
    lines = []
    for half_day in touched:
        key = (visit.space_id, half_day.day, half_day.half)
        quantity, occurrence = counted.get(key, (0, -1))
        if quantity <= 0:
            lines.append(_line(visit, half_day.day, half_day.half, 1, occurrence + 1))
    if lines:
        connection.execute(_ADD_LINE, lines)


def close(session: Session, charter: Charter, visit: Visit, at: datetime, now: datetime) -> None:
    visit.state = "closed"
    visit.ended_at = max(at, visit.started_at)
    visit.changed_at = now
    session.flush()
    count(session.connection(), charter, visit, visit.ended_at)


def _counted_on(connection: Connection, visit: Any, days: set[date]) -> Counted:
    """Return what is counted of the visit's person at its space on these days."""
    rows = connection.execute(
        select(
            HalfDayLine.space_id,
            HalfDayLine.day,
            HalfDayLine.half,
            func.sum(HalfDayLine.quantity),
            func.max(HalfDayLine.occurrence),
        )
        .where(
            HalfDayLine.member_id == visit.member_id,
            HalfDayLine.space_id == visit.space_id,
            HalfDayLine.day.in_(days),
        )
        .group_by(HalfDayLine.space_id, HalfDayLine.day, HalfDayLine.half)
    )
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in rows}


def _line(visit: Any, day: date, half: str, quantity: int, occurrence: int) -> dict[str, Any]:
    return {
        "visit_id": visit.id,
        "member_id": visit.member_id,
        "home_id": visit.home_id,
        "host_id": visit.host_id,
        "space_id": visit.space_id,
        "month": f"{day:%Y-%m}",
        "day": day,
        "half": half,
        "quantity": quantity,
        "occurrence": occurrence,
        "recorded_at": visit.changed_at,
    }


def count_again(session: Session, charter: Charter, voided: Visit, days: set[date]) -> None:
    """Count for other visits of the same person and place the half-days that a void one touched."""
    if not days:
        return
    earliest = datetime.combine(min(days), datetime.min.time(), ZoneInfo(voided.timezone))
    others = session.scalars(
        select(Visit).where(
            Visit.member_id == voided.member_id,
            Visit.space_id == voided.space_id,
            Visit.state != "void",
            Visit.started_at >= earliest - timedelta(days=1),
            Visit.started_at < earliest + timedelta(days=len(days) + 2),
        )
    )
    for other in others:
        count(session.connection(), charter, other, other.ended_at or other.started_at)


def reverse(session: Session, visit: Visit) -> set[date]:
    """Reverse what a visit counts for by lines of their own; return the days concerned."""
    lines = session.scalars(
        select(HalfDayLine).where(
            HalfDayLine.member_id == visit.member_id, HalfDayLine.visit_id == visit.id
        )
    ).all()
    done = {(line.day, line.half, line.occurrence) for line in lines if line.quantity < 0}
    standing = [
        line
        for line in lines
        if line.quantity > 0 and (line.day, line.half, line.occurrence) not in done
    ]
    for line in standing:
        reverse_line(session, visit, line)
    return {line.day for line in standing}


def reverse_line(session: Session, visit: Visit, line: HalfDayLine) -> None:
    reversal = _line(visit, line.day, line.half, -1, line.occurrence)
    session.connection().execute(_ADD_LINE, [reversal])
