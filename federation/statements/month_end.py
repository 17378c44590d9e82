"""What happens at a month's end by itself: issued once every node's own log agrees."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from federation.directory import service as directory
from federation.governance import service as governance
from federation.statements import lines, service
from federation.statements.models import Statement
from shared.problems import Problem

log = structlog.get_logger()
_ZONE = ZoneInfo("Europe/Paris")
# Offline visits that were told late and logs compared anew: time for both.
AT_LEAST = timedelta(days=2)


def end_of(month: str) -> datetime:
    following = date.fromisoformat(f"{lines.neighbour(month, 1)}-01")
    return datetime.combine(following, time(), _ZONE)


def waiting_for(session: Session, month: str) -> list[str]:
    """Return the nodes whose log was not compared since its end, or differs from the account."""
    since = end_of(month)
    checks = service.log_checks(session, month)
    return [
        node.id
        for node in directory.nodes(session)
        if node.state not in ("suspended", "left")
        and not (
            (check := checks.get(node.id)) is not None
            and check.agrees
            and check.checked_at >= since
        )
    ]


def issue_due(session: Session, now: datetime) -> Statement | None:
    """Issue last month once a host can undo no visit of it any more and every log agrees.

    Where one does not, or is not heard of, a coordinator looks at it and issues it by hand.
    """
    month = lines.neighbour(f"{now.astimezone(_ZONE):%Y-%m}", -1)
    if service.statement_of(session, month) is not None:
        return None
    undone = timedelta(hours=governance.in_force(session).rules.correction.hours)
    if now < end_of(month) + max(undone, AT_LEAST) or waiting_for(session, month):
        return None
    try:
        return service.issue(session, now, month, "jobs")
    except Problem as problem:  # the one before is not final yet
        log.info("statement.waits", month=month, reason=problem.detail)
        return None
