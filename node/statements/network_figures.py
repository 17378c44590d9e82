"""Our own figures as the coordination's pictures show them, and our word to them.

The hub is told, in numbers alone, what hosts answered to our members' bookings.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.bookings.models import Trip
from node.context import Node
from node.hub import service as sync
from node.statements import service
from shared.store.db import release
from shared.wire.problems import Problem

log = structlog.get_logger()
_ZONE = ZoneInfo("Europe/Paris")
KEPT = ("confirmed", "arrived", "no_show")


def own(node: Node, month: str) -> dict[str, Any] | None:
    """Return our figures of a month and what we said to them; None where the hub does not say."""
    try:
        found: dict[str, Any] = service.ask(node, "GET", f"/api/v1/nodes/me/figures/{month}")
    except Problem:
        return None
    return found


def say(node: Node, month: str, text: str) -> None:
    """Say a word to our figures, in place of what was said; an empty one takes it back.

    Raises Problem.
    """
    path = f"/api/v1/nodes/me/replies/{month}"
    if text:
        service.ask(node, "PUT", path, {"text": text})
    else:
        service.ask(node, "DELETE", path)


def tell_asked(session: Session, node: Node) -> None:
    """Tell what became of the places asked for, for dates in this month and in the last one."""
    for month in service.months(node.clock.now()):
        hosts = asked(session, sync.node_id(session), month)
        release(session)
        try:
            service.ask(node, "PUT", f"/api/v1/nodes/me/asked/{month}", {"hosts": hosts})
        except Problem as problem:
            log.info("asked.later", reason=problem.slug)
            return


def asked(session: Session, own_id: str | None, month: str) -> dict[str, dict[str, int]]:
    """Return by host how many bookings it took, refused, and gave no word to."""
    first = datetime.fromisoformat(f"{month}-01").replace(tzinfo=_ZONE)
    following = (first + timedelta(days=32)).replace(day=1)
    query = (
        select(Trip.host_id, Trip.state, Trip.unanswered, func.count())
        .where(Trip.starts_at >= first, Trip.starts_at < following, Trip.host_id != own_id)
        .group_by(Trip.host_id, Trip.state, Trip.unanswered)
    )
    found: dict[str, Counter[str]] = {}
    for host, state, unanswered, count in session.execute(query):
        kind = (
            "unanswered"
            if unanswered
            else "refused"
            if state == "refused"
            else "kept"
            if state in KEPT
            else ""
        )
        if kind:
            found.setdefault(host, Counter())[kind] += count
    kinds = ("kept", "refused", "unanswered")
    return {host: {kind: counts[kind] for kind in kinds} for host, counts in found.items()}
