"""“Check my node”: the admin asks, the jobs process has the hub look, and its findings are kept.

The jobs process asks, and not who serves pages: the hub calls this node back meanwhile, and a node
with one worker could not answer it. That it asks also shows that it is at work.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from node.context import Node
from node.hub.models import Enrolment
from shared.net.http import PeerError
from shared.store.db import release, write
from shared.wire.problems import Problem

PATH = "/api/v1/nodes/me/check"
SECONDS = 20.0


def ask(session: Session, now: datetime) -> None:
    """Ask for a check; one that is under way is enough. Raises Problem before enrolment."""
    with write(session):
        row = session.get(Enrolment, 1, with_for_update=True)
        if row is None:
            raise Problem("unavailable", "this node is not enrolled yet")
        if not is_pending(row):
            row.check_asked_at = now


def is_pending(row: Enrolment) -> bool:
    asked, done = row.check_asked_at, row.check_done_at
    return asked is not None and (done is None or done < asked)


def run_due(session: Session, node: Node) -> bool:
    """Have the hub look, if somebody asked; says whether it did. Called every second."""
    row = session.get(Enrolment, 1)
    due = row is not None and is_pending(row)
    release(session)
    if not due:
        return False
    report = _report(node)
    with write(session):
        row = session.get_one(Enrolment, 1, with_for_update=True)
        row.check_done_at, row.check_report = node.clock.now(), report
    return True


def _report(node: Node) -> dict[str, Any]:
    """Return the hub's findings, or ``{"fault"}``: why there are none."""
    try:
        answer = node.hub.call("POST", PATH, timeout=SECONDS)
        document: dict[str, Any] = answer.json()
    except PeerError as error:
        return {"fault": {"reason": error.reason, "detail": error.detail}}
    if answer.status != 200:
        return {"fault": {"status": answer.status, "title": document.get("title")}}
    return {name: document.get(name) for name in ("url", "items")}
