"""What happens at a month's end by itself: issued once every node's own log agrees."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from federation.audit.service import JOBS
from federation.charters import service as charters
from federation.nodes import service as nodes
from federation.statements import documents, logs, service, statement_lines
from federation.statements.models import Statement
from shared.wire.problems import Problem

log = structlog.get_logger()
_ZONE = ZoneInfo("Europe/Paris")
# Offline visits that were told late and logs compared anew: time for both.
AT_LEAST = timedelta(days=2)
# A log that differs, or that nobody tells, holds the month back for so long.
AT_MOST = timedelta(days=10)


def end_of(month: str) -> datetime:
    following = date.fromisoformat(f"{statement_lines.neighbour(month, 1)}-01")
    return datetime.combine(following, time(), _ZONE)


def waiting_for(session: Session, month: str) -> list[str]:
    """Return the nodes whose log was not compared since its end, or differs from the account."""
    since = end_of(month)
    checks = logs.log_checks(session, month)
    return [
        node.id
        for node in nodes.nodes(session)
        if node.state not in ("suspended", "left")
        and not (
            (check := checks.get(node.id)) is not None
            and check.agrees
            and check.checked_at >= since
        )
    ]


def issue_due(session: Session, now: datetime) -> Statement | None:
    """Issue the month after the last that was issued, however long ago, once it is due.

    That is when a host can undo no visit of it any more, and every log agrees, or ten days are
    past. One that is being issued, and was interrupted, goes on.
    """
    under_way = service.closing(session)
    month = under_way.month if under_way else _next(session, now)
    if under_way is None and not _is_due(session, now, month):
        return None
    try:
        return service.issue(session, now, month, JOBS)
    except Problem as problem:  # the one before is not final yet
        log.info("statement.waits", month=month, reason=problem.detail)
        return None


def _next(session: Session, now: datetime) -> str:
    this_month = f"{now.astimezone(_ZONE):%Y-%m}"
    return service.first_open(session) or statement_lines.neighbour(this_month, -1)


def _is_due(session: Session, now: datetime, month: str) -> bool:
    undone = timedelta(hours=charters.in_force(session).rules.correction.hours)
    ended = end_of(month)
    if now < ended + max(undone, AT_LEAST):
        return False
    return now >= ended + AT_MOST or not waiting_for(session, month)


def sign_changed(session: Session) -> None:
    """Make the document of what disputes changed, before somebody asks for it."""
    for row in service.issued(session, limit=1):
        documents.current(session, row.month)
