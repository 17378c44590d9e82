"""Showings of passes: each is good for one visit at one space, everywhere.

A door that lets somebody in without a visit to tell (who is here already, or at home) tells the
showing alone, by its hash, which says nothing of who. Told for two spaces, the earlier counts,
whichever came first; but what the hub itself saw, at the moment, stands, and a hash, which proves
nothing, undoes no visit that was told before it: that one is flagged.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from federation.spaces.models import Space
from federation.visits.models import Member, Showing, Visit
from shared.store.db import table_of, write
from shared.wire.problems import Problem
from shared.wire.reports import Report, visit_id

KEPT = timedelta(days=35)
_MARGIN = timedelta(days=1)
REPLAYED = "pass_replayed"
ELSEWHERE = "shown_elsewhere"

_SHOWING = table_of(Showing)
_THIS = _SHOWING.c.showing == bindparam("this")
_FIND = select(_SHOWING).where(_THIS).with_for_update()
_ADD, _CHANGE = insert(_SHOWING), update(_SHOWING).where(_THIS)
_CLAIM = {
    dialect.dialect.name: dialect.insert(_SHOWING)
    .on_conflict_do_nothing()
    .returning(Showing.showing)
    for dialect in (sqlite, postgresql)
}


def find(connection: Connection, showing: str) -> Any:
    """Return what is known of a showing, locked, or None."""
    return connection.execute(_FIND, {"this": showing}).first()


def claim(connection: Connection, showing: str, **values: Any) -> bool:
    """Write a showing unless it is known already; tell whether it was written."""
    statement = _CLAIM[connection.dialect.name]
    return connection.execute(statement, {"showing": showing, **values}).first() is not None


def told_by(report: Report, at: datetime, now: datetime, kind: str) -> dict[str, Any]:
    """Return what is written of the showing in a report."""
    of_host = {"host_id": report.host, "space_id": report.space}
    return {**of_host, "kind": kind, "at": at, "live": report.online, "told_at": now}


def used_elsewhere(known: Any, space_id: str) -> bool:
    return known is not None and known.kind != "refused" and known.space_id != space_id


def yields(known: Any, at: datetime, host_id: str) -> bool:
    """Tell whether a showing that is told for another space counts there instead."""
    return not known.live and (at, host_id) < (known.at, known.host_id)


def store(connection: Connection, known: bool, showing: str, **values: Any) -> None:
    """Write a showing, in place of what was known of it."""
    if known:
        connection.execute(_CHANGE, {"this": showing, **values})
    else:
        connection.execute(_ADD, {"showing": showing, **values})


def tell(
    session: Session, now: datetime, host_id: str, showing: str, space_id: str, at: datetime
) -> None:
    """Note a showing that made no visit here. Repeating it is harmless. Raises Problem."""
    try:
        _tell(session, now, host_id, showing, space_id, at)
    except IntegrityError:  # told by two at the same moment
        _tell(session, now, host_id, showing, space_id, at)


def _tell(
    session: Session, now: datetime, host_id: str, showing: str, space_id: str, at: datetime
) -> None:
    with write(session) as connection:
        space = session.get(Space, space_id)
        if space is None or space.node_id != host_id:
            raise Problem("validation", errors={"space": ["This node has no such space."]})
        enrolled_at = session.get_one(Node, host_id).enrolled_at
        visit = _lock_visit(session, showing)
        known = find(connection, showing)
        if known is None and enrolled_at <= at and now - at <= KEPT:
            store(
                connection,
                False,
                showing,
                kind="seen",
                host_id=host_id,
                space_id=space_id,
                at=at,
                live=False,
                told_at=now,
            )
        elif visit is not None and visit.space_id != space_id and ELSEWHERE not in visit.flags:
            visit.flags, visit.changed_at = [*visit.flags, ELSEWHERE], now


def _lock_visit(session: Session, showing: str) -> Visit | None:
    """Return the visit that a showing made, its person locked before the showing is."""
    known = session.get(Showing, showing)
    if known is None or known.kind != "visit":
        return None
    visit = session.get(Visit, visit_id(showing, known.space_id))
    if visit is not None:
        session.scalars(select(Member).where(Member.id == visit.member_id).with_for_update()).one()
        session.refresh(visit)
    return visit


def purge_expired(session: Session, now: datetime) -> None:
    """Forget showings of which no report is taken any more."""
    with write(session):
        session.execute(delete(Showing).where(Showing.told_at < now - KEPT - _MARGIN))
