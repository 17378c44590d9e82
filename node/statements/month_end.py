"""At a month's end this node compares its own log with the account, by itself."""

from __future__ import annotations

import hashlib
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import outbox
from node.identity.admins import tell_admins
from node.statements import service
from shared.mail.letters import letter
from shared.wire.problems import Problem

log = structlog.get_logger()
_ZONE = ZoneInfo("Europe/Paris")
# A month that is not issued by then is in the coordinator's hands.
UNTIL_DAY = 10


def compare(session: Session, node: Node) -> bool | None:
    """Compare last month's log once the hub was told of every visit; None where it is not time.

    A difference is told to the admins, once for each that there is.
    """
    now = node.clock.now().astimezone(_ZONE)
    if now.day > UNTIL_DAY or node.hub.away or outbox.waiting(session)["pending"]:
        return None
    month = service.months(now)[1]
    try:
        found = service.compare_log(session, node, month)
    except Problem as problem:
        log.info("log-check.later", reason=problem.slug)
        return None
    if not found["agrees"]:
        apart = " ".join([*found["only_here"], "/", *found["only_there"]])
        which = hashlib.sha256(apart.encode()).hexdigest()[:16]
        tell_admins(
            session,
            node,
            f"log:{month}:{which}",
            lambda: letter(
                "statements/mail/differs.txt",
                month=month,
                here=len(found["only_here"]),
                there=len(found["only_there"]),
                url=f"{node.url}/console/statements/{month}",
            ),
        )
    agrees: bool = found["agrees"]
    return agrees
