"""A person's visits and half-day lines, made to follow from what was told of the visits.

``Person.settle`` is the only way by which a visit ends, and the only writer of lines: check-in,
late report, check-out, void, dispute and the closing job change a fact of a visit, then call it,
with the person's row locked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, bindparam, insert, select
from sqlalchemy.orm import Session

from charter.halfdays import HalfDay
from charter.timeline import Stay, counted, place
from federation.visits.models import HalfDayLine, Visit, published_hours
from shared.store.db import table_of

# A visit is over two days after it began at the latest. What changes in one can change those that
# began so long before; to know their ends, the next ones are looked at too.
_REACH, _SEEN = timedelta(days=3), timedelta(days=6)

_visit = table_of(Visit).c
_AROUND = select(*(each for each in _visit if each.name not in {"facts", "evidence"})).where(
    _visit.member_id == bindparam("member"),
    _visit.started_at >= bindparam("since", type_=_visit.started_at.type),
    _visit.started_at <= bindparam("until", type_=_visit.started_at.type),
)
_line = table_of(HalfDayLine).c
_LINES = select(table_of(HalfDayLine)).where(
    _line.member_id == bindparam("member"), _line.month == bindparam("month")
)
_ADD_LINE = insert(table_of(HalfDayLine))
_ADD_VISIT = insert(table_of(Visit))

Key = tuple[str, HalfDay]
"""An operator and a half-day."""


def stay_of(visit: Any) -> Stay:
    """Return a visit as the charter's timeline takes it."""
    held = visit.held is not None
    return Stay(
        id=visit.id,
        host=visit.host_id,
        space=visit.space_id,
        zone=ZoneInfo(visit.timezone),
        start=visit.started_at,
        shown_at=visit.shown_at,
        day=visit.day,
        openings=published_hours(visit.hours),
        closes_at=visit.closes_at,
        left_at=visit.left_at,
        stands=visit.state != "void" and not held,
        cuts=not held and not visit.upheld,
    )


@dataclass(slots=True)
class Person:
    """What is known of one person around an instant, their row locked.

    ``visits`` by id are rows, or what has a row's attributes and is not written yet; ``lines``
    those of the months looked at, by operator and half-day.
    """

    session: Session
    connection: Connection
    member_id: int
    at: datetime
    visits: dict[str, Any]
    lines: dict[Key, list[Any]] = field(default_factory=dict)
    _months: set[str] = field(default_factory=set)

    def used(self, month: str, arriving: Stay, split: time) -> dict[Key, str]:
        """Return what counts in a month when somebody arrives, with the space that has each.

        What an open visit has touched by then is included; the arriving one is not, nor is what
        is disputed.
        """
        disputed = {visit.id for visit in self.visits.values() if visit.disputed}
        found: dict[Key, str] = {}
        for key, lines in self._lines([month]).items():
            standing = [line for line in _standing(lines) if line.visit_id not in disputed]
            if standing and key[1].month == month:
                found[key] = standing[0].space_id
        stays = self._placed(arriving.start, arriving)
        for key, touching in counted(stays, split).items():
            others = [stay for stay in touching if stay.id not in {arriving.id, *disputed}]
            if others and key[1].month == month:
                found.setdefault(key, others[0].space)
        return found

    def settle(self, split: time, now: datetime, *changed: Any) -> None:
        """Let ends, states and lines follow from the visits, of which ``changed`` have changed.

        One that is not written yet is inserted. Repeating it changes nothing.
        """
        self.visits |= {visit.id: visit for visit in changed}
        days = {visit.day for visit in changed}
        placed = self._placed(now)
        # Whoever is still somewhere was elsewhere before: what ends is written first.
        for stay in sorted(placed, key=lambda each: each.end is None):
            visit = self.visits[stay.id]
            near = abs(stay.start - self.at) <= _REACH
            if (near or visit in changed) and _ends_otherwise(visit, stay):
                days.add(visit.day)
                if stay.end is None:
                    self.session.flush()
                _end(self.to_change(visit), stay.end, now)
        self.session.flush()
        for visit in changed:
            if not isinstance(visit, Visit):
                self.connection.execute(_ADD_VISIT, vars(visit))
        self._reconcile(placed, split, now, days)

    def to_change(self, visit: Any) -> Any:
        """Return one of ``visits`` so that what changes of it is written."""
        if isinstance(visit, Row):
            visit = self.session.get_one(Visit, visit.id, populate_existing=True)
            self.visits[visit.id] = visit
        return visit

    def _placed(self, now: datetime, *more: Stay) -> tuple[Stay, ...]:
        return place([*(stay_of(visit) for visit in self.visits.values()), *more], now)

    def _lines(self, months: Iterable[str]) -> dict[Key, list[Any]]:
        for month in set(months) - self._months:
            self._months.add(month)
            wanted = {"member": self.member_id, "month": month}
            for line in self.connection.execute(_LINES, wanted):
                key = line.host_id, HalfDay(line.day, line.half)
                self.lines.setdefault(key, []).append(line)
        return self.lines

    def _reconcile(
        self, placed: tuple[Stay, ...], split: time, now: datetime, days: set[date]
    ) -> None:
        """Write the lines that make the ledger what the visits touch on some days.

        A half-day stays with the visit that carries it for as long as that stands and touches it.
        """
        lines = self._lines(f"{day:%Y-%m}" for day in days)
        touching = counted(placed, split)
        added = []
        for key in sorted({key for key in [*lines, *touching] if key[1].day in days}):
            by = {stay.id for stay in touching.get(key, ())}
            standing = _standing(lines.get(key, []))
            carrier = next((line for line in standing if line.visit_id in by), None)
            added += [self._reversal(line, now) for line in standing if line is not carrier]
            if by and carrier is None:
                occurrence = max((line.occurrence for line in lines.get(key, [])), default=-1)
                visit = self.visits[touching[key][0].id]
                added.append(_new_line(visit, self.member_id, key[1], occurrence + 1, now))
        if added:
            self.connection.execute(_ADD_LINE, added)
            self._months.clear()
            self.lines.clear()

    def _reversal(self, line: Any, now: datetime) -> dict[str, Any]:
        """Return the line that takes another back, with why: what it says never changes."""
        visit = self.visits.get(line.visit_id)
        why = (visit.void_reason or visit.held or "") if visit is not None else ""
        of_line = dict(line._mapping)  # noqa: SLF001 - a row's public name for it
        of_line.pop("id")
        reversal = {"quantity": -1, "reverses_id": line.id, "reason": why, "recorded_at": now}
        return {**of_line, **reversal}


def person(session: Session, member_id: int, at: datetime) -> Person:
    """Read the visits of a person, locked by the caller, around an instant."""
    session.flush()
    connection = session.connection()
    wanted = {"member": member_id, "since": at - _SEEN, "until": at + _SEEN}
    visits = {visit.id: visit for visit in connection.execute(_AROUND, wanted)}
    return Person(session, connection, member_id, at, visits)


def _ends_otherwise(visit: Any, stay: Stay) -> bool:
    if visit.state == "void":
        return False
    return (visit.ended_at, visit.state == "open") != (stay.end, stay.end is None)


def _end(visit: Any, end: datetime | None, now: datetime) -> None:
    visit.ended_at, visit.changed_at = end, now
    visit.state = "open" if end is None else "closed"


def _standing(lines: list[Any]) -> list[Any]:
    """Return the lines that no other reverses."""
    reversed_ids = {line.reverses_id for line in lines}
    return [line for line in lines if line.quantity > 0 and line.id not in reversed_ids]


def _new_line(
    visit: Any, member_id: int, half_day: HalfDay, occurrence: int, now: datetime
) -> dict[str, Any]:
    return {
        "visit_id": visit.id,
        "member_id": member_id,
        "home_id": visit.home_id,
        "host_id": visit.host_id,
        "space_id": visit.space_id,
        "month": half_day.month,
        "day": half_day.day,
        "half": half_day.half,
        "quantity": 1,
        "occurrence": occurrence,
        "reverses_id": None,
        "reason": "",
        "recorded_at": now,
    }
