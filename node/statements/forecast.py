"""Where this month is heading for this operator: on its page, and by e-mail to its admins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter.outlook import APPROACHING, BEYOND, CALM, Outlook, outlook
from node.context import Node
from node.hub import service as sync
from node.identity.admins import tell_admins
from node.mail.service import mailbox
from node.spaces.models import Space
from node.statements import service
from shared.mail.letters import letter
from shared.net.http import PeerError
from shared.wire.problems import Problem

log = structlog.get_logger()
_ZONE = ZoneInfo("Europe/Paris")


def of_month(session: Session, node: Node, statement: Mapping[str, Any]) -> Outlook | None:
    """Return where a month is heading; None unless it is under way, and the charter known."""
    today = node.clock.now().astimezone(_ZONE).date()
    known = sync.network(session, node)
    if known is None or statement["state"] != "open" or statement["month"] != f"{today:%Y-%m}":
        return None
    own = sync.node_id(session)
    lines = [*statement["visits"], *statement["corrections"]]
    given, received = (
        sum(line["half_days"] for line in lines if line[side] == own) for side in ("host", "home")
    )
    return outlook(given, received, today, known.charter.rules)


def caps(session: Session) -> list[tuple[Space, int]]:
    """Return each space with how many visitors it receives at once."""
    return [(space, space.guest_cap) for space in session.scalars(select(Space).order_by(Space.id))]


def warn(session: Session, node: Node) -> int:
    """Tell the admins once a month that the balance nears the tolerance, and once that it is past.

    Returns how many messages are queued. While the hub is away, nothing.
    """
    if node.settings.smtp_url is None or node.hub.away:
        return 0
    month = service.months(node.clock.now())[0]
    try:
        statement = service.month_of(session, node, month)
    except (Problem, PeerError) as error:
        log.info("outlook.later", reason=str(error)[:100])
        return 0
    found = of_month(session, node, statement)
    if found is None or found.state == CALM:
        return 0
    if found.state == APPROACHING and mailbox.keys(session, f"outlook:{month}:{BEYOND}:"):
        return 0  # it was past the tolerance, and is less so: that is no news to be mailed
    return tell_admins(
        session,
        node,
        f"outlook:{month}:{found.state}",
        lambda: letter(
            "statements/mail/heading.txt",
            outlook=found,
            month=month,
            currency=statement["currency"],
            url=f"{node.url}/console/statements/{month}",
            hub_url=node.hub.url,
        ),
    )
