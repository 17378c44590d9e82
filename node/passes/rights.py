"""What one of our members may do today, asked from the hub."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from charter import localise
from node.context import Node
from node.members.models import Member
from shared.http import PeerError
from shared.problems import Problem


def rights(
    node: Node, member: Member, language: str, space_id: str | None, at: datetime | None
) -> list[dict[str, Any]]:
    """Return ``{"space", "decision"}`` for each partner space. Raises Problem."""
    asked = {
        "member": member.reference,
        "plan": member.plan.plan_class,
        "member_since": member.joined_on.isoformat(),
        "space": space_id,
        "at": at.isoformat() if at else None,
    }
    try:
        answer = node.hub.call("POST", "/api/v1/rights", json=asked)
    except PeerError:
        raise Problem("hub-unreachable") from None
    if answer.status == 404:
        raise Problem("not-found")
    if answer.status != 200:
        raise Problem("hub-unreachable")
    return [
        {**item, "decision": localise(item["decision"], language)}
        for item in answer.json()["items"]
    ]
