"""What hosts told, in numbers by host and month, counted by the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, cast, extract, func, or_, select
from sqlalchemy.orm import Session

from federation.oversight.comparing import MONTHS_BEFORE, Figures
from federation.statements.statement_lines import last_day, neighbour
from federation.visits.models import HalfDayLine, Showing, Visit

# Of a visit's flags, those that say how it was told; the others, what speaks against it. What a
# home did not tell speaks against no host.
TELLING = ("offline", "told_again", "told_late", "pass_untold")

_FLAGS = cast(Visit.flags, Text)
_COUNTED = (Visit.state != "void") & Visit.held.is_(None)


def figures(session: Session, month: str) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Return by host the figures of a month (``YYYY-MM``), and of the three before together."""
    first = date.fromisoformat(f"{neighbour(month, -MONTHS_BEFORE)}-01")
    here, before = dict[str, Figures](), dict[str, Figures]()
    half_days = _half_days(session, f"{first:%Y-%m}", month)
    for row in session.execute(_told(first, last_day(month))):
        host, year, number, *counts = row
        of = f"{year:04}-{number:02}"
        found = replace(Figures(*counts), half_days=half_days.get((host, of), 0))
        into = here if of == month else before
        into[host] = into.get(host, Figures()) + found
    return here, before


def waiting(session: Session) -> list[tuple[str, int]]:
    """Return how many held visits wait for the coordination, by host, the most first."""
    count = func.count()
    query = (
        select(Visit.host_id, count)
        .where(Visit.held.is_not(None), Visit.state != "void")
        .group_by(Visit.host_id)
        .order_by(count.desc(), Visit.host_id)
    )
    return [(host, number) for host, number in session.execute(query)]


def other_showings(session: Session, visits: Collection[Visit]) -> dict[str, Showing]:
    """Return by visit where else its code was shown, or that the hub itself refused it."""
    query = select(Showing).where(Showing.showing.in_({visit.proof for visit in visits}))
    known = {each.showing: each for each in session.scalars(query)}
    return {
        visit.id: other
        for visit in visits
        if (other := known.get(visit.proof)) is not None
        and (other.kind == "refused" or other.space_id != visit.space_id)
    }


def _told(first: date, last: date) -> Select[*tuple[Any, ...]]:
    """Count by host and month what ``Figures`` has, in its order, but for half-days."""
    year, number = extract("year", Visit.day), extract("month", Visit.day)
    conditions = (
        _COUNTED,
        _has("told_late"),
        Visit.online.is_(False),
        _is_flagged(),
        Visit.held.is_not(None),
        _COUNTED & _is_unclosed(),
    )
    return (
        select(
            Visit.host_id,
            cast(year, Integer),
            cast(number, Integer),
            func.count(),
            *(func.count().filter(condition) for condition in conditions),
            func.count((Visit.home_id + "/" + Visit.pass_id).distinct()),
        )
        # What its host undid by itself is no longer told; what the coordination undid was.
        .where(Visit.day.between(first, last), or_(Visit.state != "void", Visit.held.is_not(None)))
        .group_by(Visit.host_id, year, number)
    )


def _half_days(session: Session, first: str, last: str) -> dict[tuple[str, str], int]:
    query = (
        select(HalfDayLine.host_id, HalfDayLine.month, func.sum(HalfDayLine.quantity))
        .where(HalfDayLine.month.between(first, last))
        .group_by(HalfDayLine.host_id, HalfDayLine.month)
    )
    return {(host, month): int(count) for host, month, count in session.execute(query)}


def _has(flag: str) -> ColumnElement[bool]:
    return _FLAGS.contains(f'"{flag}"', autoescape=True)


def _is_flagged() -> ColumnElement[bool]:
    rest: ColumnElement[str] = _FLAGS
    for flag in TELLING:
        rest = func.replace(rest, f'"{flag}"', "")
    return rest.contains('"')


def _is_unclosed() -> ColumnElement[bool]:
    """Over at its closing: nobody said when, and no other visit of the person ended it."""
    return (Visit.state == "closed") & Visit.left_at.is_(None) & (Visit.ended_at >= Visit.closes_at)
