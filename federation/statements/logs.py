"""Each host's own log of a month's visits, compared with the hub's by count and hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.statements.models import LogCheck
from federation.visits.models import Visit
from shared.store.db import write


def log_hash(ids: Iterable[str]) -> str:
    """Return the SHA-256, in hex, of visit ids in order, each followed by a line feed."""
    digest = hashlib.sha256()
    for visit_id in sorted(ids):
        digest.update(visit_id.encode() + b"\n")
    return digest.hexdigest()


def check_log(
    session: Session, now: datetime, month: str, host_id: str, count: int, sha256: str
) -> tuple[bool, list[str]]:
    """Compare a host's log of a month's visits with the hub's; note what came of it.

    Returns whether they agree, and, only when they do not, the ids that the hub has.
    """
    ids = _log(session, month, host_id)
    agrees = count == len(ids) and sha256 == log_hash(ids)
    with write(session):
        row = session.get(LogCheck, (month, host_id))
        if row is None:
            row = LogCheck(month=month, node_id=host_id)
            session.add(row)
        row.visits, row.sha256, row.agrees, row.checked_at = count, sha256, agrees, now
    return agrees, [] if agrees else sorted(ids)


def _log(session: Session, month: str, host_id: str) -> list[str]:
    """Return the visits of a month at one host's spaces, by their own clocks, that stand."""
    first = datetime.fromisoformat(f"{month}-01T00:00:00+00:00") - timedelta(days=1)
    rows = session.execute(
        select(Visit.id, Visit.started_at, Visit.timezone).where(
            Visit.host_id == host_id,
            Visit.state != "void",
            Visit.started_at >= first,
            Visit.started_at < first + timedelta(days=34),
        )
    )
    return [
        row.id
        for row in rows
        if f"{row.started_at.astimezone(ZoneInfo(row.timezone)):%Y-%m}" == month
    ]


def log_checks(session: Session, month: str) -> dict[str, LogCheck]:
    """Return by node what it last said of its log of a month."""
    rows = session.scalars(select(LogCheck).where(LogCheck.month == month))
    return {row.node_id: row for row in rows}
