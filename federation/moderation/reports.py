"""Reports of errors, from anybody: they reach the space and the moderators, and are answered."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.mail.service import mailbox
from federation.moderation.models import Report
from federation.nodes import service as nodes
from federation.spaces import queries as published
from federation.spaces.models import Space
from shared.mail.letters import letter, quoted
from shared.store.db import write
from shared.wire.page_reports import ANSWERS, KINDS
from shared.wire.problems import Problem

# An address is for an answer, and nobody waits longer for one.
ADDRESS_KEPT = timedelta(days=90)
KEPT_FOR = timedelta(days=365)
MOST_A_DAY = 20  # of one space
MOST_WORDS = 2000
TOLD_FOR, MOST_TOLD = timedelta(days=90), 200


def file(
    session: Session, hub: Hub, space_id: str, key: str, kind: str, words: str, email: str | None
) -> Report:
    """Take a report, and write to the space; the same ``key`` again is the same report.

    Raises Problem("not-found"), or Problem("too-many-requests") where one space has had many today.
    """
    now = hub.clock.now()
    published.space(session, space_id)
    same = select(Report).where(Report.key == key)
    try:
        with write(session):
            found = session.scalar(same)
            if found is not None:
                return found
            recent = select(func.count()).where(
                Report.space_id == space_id, Report.at > now - timedelta(days=1)
            )
            if (session.scalar(recent) or 0) >= MOST_A_DAY:
                raise Problem("too-many-requests")
            row = Report(
                id=secrets.token_urlsafe(12),
                key=key,
                space_id=space_id,
                kind=kind,
                words=words,
                email=email or None,
                at=now,
            )
            row.space = session.get_one(Space, space_id)
            session.add(row)
            session.flush()
            _write(session, hub, row, "space", row.space.document.get("email") or "")
    except IntegrityError:  # the same form, in another process
        return session.scalars(same).one()
    return row


def _write(session: Session, hub: Hub, row: Report, what: str, to: str) -> None:
    """Queue a letter about a report, in the caller's transaction; once for ever."""
    if not to or hub.settings.smtp_url is None:
        return
    subject, text = letter(
        f"moderation/mail/{what}.txt",
        report=row,
        kind=KINDS[row.kind],
        quoted=quoted,
        url=f"{hub.url}/spaces/{row.space_id}",
        network=hub.settings.network,
    )
    mailbox.queue(session, hub.settings, f"report:{row.id}:{what}", to, subject, text)


def _locked(session: Session, query: Select[Report]) -> Report:
    """Return one report, its row locked. Raises Problem."""
    of_one = query.with_for_update(of=Report).execution_options(populate_existing=True)
    row = session.scalar(of_one)
    if row is None:
        raise Problem("not-found")
    return row


def answer(
    session: Session, hub: Hub, node_id: str, report_id: str, outcome: str, words: str
) -> Report:
    """Note what a space says to a report about it; said again, nothing changes.

    Raises Problem: not one of its spaces', closed, or answered otherwise before.
    """
    nodes.active_node(session, node_id)
    with write(session):
        query = select(Report).join(Report.space)
        row = _locked(session, query.where(Report.id == report_id, Space.node_id == node_id))
        if (row.answer, row.answer_words) == (outcome, words):
            return row
        if outcome not in ANSWERS or row.answer is not None or row.closed_at is not None:
            raise Problem("conflict", "this report was answered or closed before")
        now = hub.clock.now()
        detail = {"before": None, "after": outcome, "words": words}
        audit(session, now, f"node:{node_id}", "report-answered", report_id, **detail)
        row.answer, row.answer_words, row.answered_at = outcome, words, now
        _write(session, hub, row, "answered", row.email or "")
    return row


def close(session: Session, hub: Hub, actor: str, report_id: str, words: str) -> Report:
    """Close a report, for good; whoever reported is told, and their address forgotten.

    Raises Problem.
    """
    with write(session):
        row = _locked(session, select(Report).where(Report.id == report_id))
        if row.closed_at is not None:
            raise Problem("conflict", "this report was answered or closed before")
        now = hub.clock.now()
        before = "answered" if row.answer else "open"
        detail = {"before": before, "after": "closed", "space": row.space_id, "words": words}
        audit(session, now, actor, "report-closed", report_id, **detail)
        address, row.email = row.email or "", None
        row.closed_words, row.closed_at = words, now
        _write(session, hub, row, "closed", address)
    return row


def latest(
    session: Session, *, closed: bool, limit: int, space_id: str | None = None
) -> Sequence[Report]:
    """Return open reports, the oldest first; or closed ones, those closed last first."""
    query = select(Report).limit(limit)
    if space_id is not None:
        query = query.where(Report.space_id == space_id)
    if closed:
        return session.scalars(
            query.where(Report.closed_at.is_not(None)).order_by(Report.closed_at.desc())
        ).all()
    return session.scalars(
        query.where(Report.closed_at.is_(None)).order_by(Report.at, Report.id)
    ).all()


def count_open(session: Session) -> int:
    return session.scalar(select(func.count()).where(Report.closed_at.is_(None))) or 0


def of_node(session: Session, now: datetime, node_id: str) -> list[dict[str, Any]]:
    """Return the reports about a node's spaces, without who made them; the latest first."""
    query = (
        select(Report)
        .join(Report.space)
        .where(Space.node_id == node_id, Report.at > now - TOLD_FOR)
        .order_by(Report.at.desc(), Report.id)
        .limit(MOST_TOLD)
    )
    return [to_dict(row) for row in session.scalars(query)]


def to_dict(row: Report) -> dict[str, Any]:
    """Return a report as its space sees it: not who made it."""
    return {
        "id": row.id,
        "space": row.space_id,
        "kind": row.kind,
        "words": row.words,
        "at": row.at,
        "state": "closed" if row.closed_at else "answered" if row.answer else "open",
        "answer": row.answer,
        "answer_words": row.answer_words,
        "answered_at": row.answered_at,
        "closed_words": row.closed_words,
        "closed_at": row.closed_at,
    }


def purge_expired(session: Session, now: datetime) -> None:
    """Forget the addresses that nobody answered in time, and reports closed a year ago."""
    with write(session):
        once = {"synchronize_session": False}
        late = (Report.email.is_not(None), Report.at < now - ADDRESS_KEPT)
        session.execute(update(Report).where(*late).values(email=None), execution_options=once)
        old = Report.closed_at < now - KEPT_FOR
        session.execute(delete(Report).where(old), execution_options=once)
