"""What one of our members may do today, asked from the hub."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from charter import Decision, Facts, Reason, decide, localise
from node.context import Node
from node.hub import service as sync
from node.members.models import Member
from node.spaces.service import own_zone
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem


def rights(
    session: Session,
    node: Node,
    member: Member,
    language: str,
    space_id: str | None,
    at: datetime | None,
) -> list[dict[str, Any]]:
    """Return ``{"space", "decision"}`` for each partner space. Raises Problem.

    A home that is suspended cannot ask the hub: what the doors say is then known without it.
    """
    asked = {
        "member": member.reference,
        "plan": member.plan.plan_class,
        "member_since": member.joined_on.isoformat(),
        "space": space_id,
        "at": at.isoformat() if at else None,
    }
    alone = _out_of_the_network(session, node, member)
    over = _expired(session, node, member, at)
    release(session)
    if alone is not None:
        found = [
            {"space": space, "decision": decision.to_json(language)}
            for space, decision in alone.items()
            if space_id in (None, space)
        ]
        if not found:
            raise Problem("not-found")
        return found
    try:
        answer = node.hub.call("POST", "/api/v1/rights", json=asked)
    except PeerError:
        raise Problem("hub-unreachable") from None
    if answer.status == 404:
        raise Problem("not-found")
    if answer.status != 200:
        raise Problem("hub-unreachable")
    return [
        {**item, "decision": localise(_with(item["decision"], over), language)}
        for item in answer.json()["items"]
    ]


def _expired(
    session: Session, node: Node, member: Member, at: datetime | None
) -> dict[str, Any] | None:
    """Return the reason that the member's pass will have ended with the subscription, if so."""
    known, now = sync.network(session, node), at or node.clock.now()
    day = now.astimezone(own_zone(session)).date()
    if known is None or member.ended_on is None or day <= member.ended_on:
        return None
    return Reason("pass_expired", known.charter.rules.articles.pass_).to_json("fr")


def _with(decision: dict[str, Any], reason: dict[str, Any] | None) -> dict[str, Any]:
    """Return a decision with a reason that the hub did not know of, before the others."""
    if reason is None:
        return decision
    return {**decision, "outcome": "refused", "reasons": [reason, *decision["reasons"]]}


def _out_of_the_network(session: Session, node: Node, member: Member) -> dict[str, Decision] | None:
    """Return what each partner's door says while this home is suspended; None while it is not."""
    known = sync.network(session, node)
    own = sync.node_id(session)
    entry = known.trust.nodes.get(own) if known else None
    if known is None or entry is None or entry["state"] not in ("suspended", "left"):
        return None
    person = Facts(
        plan=member.plan.plan_class,
        member_since=member.joined_on,
        home=own,
        home_state=entry["state"],
        home_signed=entry.get("charter"),
        hours_known=False,
        guest_cap=1,
    )
    return {
        space["id"]: decide(
            known.charter,
            replace(person, host=host, space=space["id"], host_signed=about.get("charter")),
            node.clock.now(),
        )
        for host, about in known.trust.nodes.items()
        if host != own
        for space in about["spaces"]
    }
