"""The month's account: from open to issued to final, and where the one under way is heading.

An issued month takes in nothing any more: what arrives late, and what is reversed, is of the next
one. A disputed visit is kept out until the dispute is settled.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import outlook
from charter.outlook import Outlook
from charter.settlement import Line
from federation.audit.service import JOBS, audit
from federation.charters import service as charters
from federation.charters.models import CharterVersion
from federation.nodes.models import Node
from federation.statements import claims, documents
from federation.statements.composing import NETWORK, Sheet, charter_of, compose
from federation.statements.models import Statement
from federation.statements.statement_lines import neighbour
from federation.visits.models import HalfDayLine
from shared.store.db import write
from shared.wire.problems import Problem

_ZONE = ZoneInfo("Europe/Paris")
_MONTH = re.compile("20[0-9]{2}-(0[1-9]|1[0-2])")
_ATTEMPTS = 10


def is_month(text_: str) -> bool:
    return bool(_MONTH.fullmatch(text_))


def may_read(session: Session, node: Node) -> bool:
    """Say whether an operator reads the account: the others' visits are told to who signed.

    That is the charter in force; of one that has left, any that it signed while it was here.
    """
    signed = {row.version for row in charters.signed_by(session, node.id)}
    if node.state == "left":
        return bool(signed)
    return charters.in_force(session).version in signed


def outlooks(session: Session, found: Sheet, now: datetime) -> Mapping[str, Outlook]:
    """Return where the month under way is heading, by operator; nothing for any other month."""
    today = now.astimezone(_ZONE).date()
    if found.head["month"] != f"{today:%Y-%m}" or found.head["state"] != "open":
        return {}
    rules = charter_of(session, None).rules
    totals = [Line(home, host, count) for (home, host), count in found.matrix.items()]
    return outlook.outlooks(totals, found.head["balances"], today, rules)


def statement_of(session: Session, month: str) -> Statement | None:
    """Return what was issued of a month; None while it is open."""
    row = session.get(Statement, month)
    return row if row is not None and row.state != "closing" else None


def issued(session: Session, before: str = "", limit: int | None = None) -> list[Statement]:
    """Return the months that were issued, the latest first; those before a month, if given."""
    query = select(Statement).where(Statement.state != "closing").limit(limit)
    if before:
        query = query.where(Statement.month < before)
    return list(session.scalars(query.order_by(Statement.month.desc())))


def closing(session: Session) -> Statement | None:
    """Return the month that is being issued."""
    return session.scalar(select(Statement).where(Statement.state == "closing"))


def first_open(session: Session) -> str | None:
    """Return the month that is to be issued next; None before the first visit."""
    last = session.scalar(select(func.max(Statement.month)).where(Statement.state != "closing"))
    if last is not None:
        return neighbour(last, 1)
    return session.scalar(select(func.min(HalfDayLine.month)))


# From open to final


def issue(session: Session, now: datetime, month: str, actor: str) -> Statement:
    """Close a month: from now on it takes in nothing more. Raises Problem.

    Issuing it again changes nothing; what was interrupted goes on. Months are issued in order,
    once they are over, and once the one before is final. Its lines are taken in short
    transactions, between which check-ins go on.
    """
    row = _begin(session, now, month, actor)
    if row.state == "closing":
        claims.claim(session, month)
        row = _finish_issue(session, now, month, actor)
    return row


def _begin(session: Session, now: datetime, month: str, actor: str) -> Statement:
    """Return the month's row; a new one is ``closing``. Raises Problem."""
    carried = documents.carried(session, neighbour(month, -1))
    # Somebody else may begin it at the same moment.
    with suppress(IntegrityError), write(session):
        row = session.get(Statement, month)
        if row is None:
            _check_turn(session, now, month)
            row = Statement(
                month=month,
                state="closing",
                charter=charters.in_force(session).version,
                nodes=list(session.scalars(select(Node.id).order_by(Node.id))),
                carried=carried,
            )
            session.add(row)
            audit(session, now, actor, "closing", month, before="open", after="closing")
    return session.get_one(Statement, month)


def _check_turn(session: Session, now: datetime, month: str) -> None:
    """Raise Problem unless this month is over, and the next to be issued."""
    last = session.scalars(select(Statement).order_by(Statement.month.desc()).limit(1)).first()
    due = first_open(session)
    fault = None
    if f"{now.astimezone(_ZONE):%Y-%m}" <= month:
        fault = "this month is not over yet"
    elif last is None and month < (due or _founded(session)):
        fault = "there was no visit yet in this month"
    elif due is not None and due < month:
        fault = "an earlier month is to be issued first"
    elif last is not None and (due != month or last.state != "final"):
        fault = "the month before is not final yet"
    if fault:
        raise Problem("conflict", fault)


def _founded(session: Session) -> str:
    """Return the month of the first charter."""
    first = session.scalar(select(func.min(CharterVersion.adopted_at)))
    return f"{first.astimezone(_ZONE):%Y-%m}" if first else ""


def _finish_issue(session: Session, now: datetime, month: str, actor: str) -> Statement:
    """Sign what was taken, and let the month be issued, in one transaction."""
    issuing = {"state": "issued", "revision": 1, "issued_at": now}
    for _ in range(_ATTEMPTS):
        composed = compose(session, month, lambda _row: issuing)
        packed = documents.pack(composed)
        with write(session):
            row = claims.lock_month(session, month)
            if row is None or row.state != "closing":  # by somebody else, meanwhile
                break
            if row.revision == composed.seen:
                row.state, row.revision, row.issued_at = "issued", 1, now
                documents.put(session, row, NETWORK, composed, packed)
                audit(session, now, actor, "issue", month, before="open", after="issued")
                return row
    return session.get_one(Statement, month)


def deadline(session: Session, row: Statement) -> datetime:
    """Return until when a line can be contested (article 12)."""
    if row.issued_at is None:
        raise ValueError("this month is not issued yet")
    return row.issued_at + timedelta(days=charter_of(session, row).rules.dispute.days)


def finalise(session: Session, now: datetime, month: str, actor: str = JOBS) -> Statement:
    """Make an issued month final once its lines can no longer be contested. Raises Problem.

    What is still disputed goes out of it, and is of a later month once it is settled.
    """
    for _ in range(_ATTEMPTS):
        row = statement_of(session, month)
        if row is None:
            raise Problem("conflict", "this month is not issued yet")
        if row.state == "final":
            return row
        if now < deadline(session, row):
            raise Problem("conflict", "its lines can be contested yet")
        composed = compose(session, month, _as_final)
        packed = documents.pack(composed)
        with write(session):
            locked = claims.lock_month(session, month)
            if locked is None or (locked.state, locked.revision) != ("issued", composed.seen):
                continue
            claims.leave(session, month)
            locked.state, locked.final_at, locked.revision = "final", now, locked.revision + 1
            documents.put(session, locked, NETWORK, composed, packed)
            audit(session, now, actor, "final", month, before="issued", after="final")
            return locked
    raise Problem("unavailable")


def _as_final(row: Statement) -> dict[str, Any]:
    return {"state": "final", "revision": row.revision + 1}


def finalise_due(session: Session, now: datetime) -> None:
    """Make final whatever is due."""
    due = [row.month for row in issued(session) if row.state == "issued"]
    for month in due:
        if now >= deadline(session, session.get_one(Statement, month)):
            finalise(session, now, month)
