"""Our passes against what the hub was told of them: the stricter of two words holds.

Revoked is for good, here and there: a pass that was revoked since a backup does not come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import outbox
from node.hub.models import Enrolment
from node.members.models import Member
from node.passes import service
from node.passes.models import LostPass, Pass
from shared.net.http import PeerError
from shared.store.db import release, write

log = structlog.get_logger()

_STRICTNESS = ("valid", "suspended", "revoked")


def compare(session: Session, node: Node) -> dict[str, Any]:
    """Compare the passes that may be in use; raises PeerError. Repeating it is harmless.

    Returns how many were ``ended`` here, ``told`` to the hub, ``regained`` with their member, and
    ``lost`` with theirs; ``members`` are the ids of those whose passes were ended or regained.
    """
    told = _hub_has(node)
    found: dict[str, Any] = {"ended": 0, "told": 0, "regained": 0, "lost": 0}
    members: set[int] = set()
    for item in told:
        done, member_id = _compare(session, node, item)
        if done:
            found[done] += 1
        if done in ("ended", "regained") and member_id is not None:
            members.add(member_id)
    known = {item["id"] for item in told}
    query = select(Pass.id).where(Pass.expires_at > node.clock.real())
    unheard = [number for number in session.scalars(query) if number not in known]
    release(session)
    for pass_id in unheard:
        found["told"] += _announce_anew(session, node, pass_id)
    return {**found, "members": sorted(members)}


def _hub_has(node: Node) -> list[dict[str, Any]]:
    cursor, told = "", list[dict[str, Any]]()
    while True:
        query = urlencode({"cursor": cursor}) if cursor else ""
        answer = node.hub.call("GET", f"/api/v1/passes?{query}", timeout=10)
        if answer.status != 200:
            raise PeerError("status", str(answer.status))
        page = answer.json()
        told += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return told


def _compare(
    session: Session, node: Node, told: Mapping[str, Any]
) -> tuple[str | None, int | None]:
    with write(session):
        # The lock under which numbers in the status list are given.
        session.scalars(select(Enrolment).with_for_update()).one()
        row = session.get(Pass, told["id"])
        if row is None:
            return _regain(session, node, told)
        if row.changes > told["changes"] and told["status"] != "revoked":
            strict = row.status  # ours is the later word: it may not have been told yet
        else:
            strict = max(row.status, told["status"], key=_STRICTNESS.index)
        done = None
        if row.status != strict:
            row.status, row.ended_at, done = strict, node.clock.real(), "ended"
            row.changes = max(row.changes, told["changes"])
            session.flush()
        as_told = (told["member"], told["number"], told["status"])
        if as_told != (row.member.reference, row.number, strict) or told["changes"] > row.changes:
            row.changes = max(row.changes, told["changes"]) + 1
            session.flush()
            service.announce(session, node, row)
            done = done or "told"
        member_id = row.member_id
    return done, member_id


def _regain(session: Session, node: Node, told: Mapping[str, Any]) -> tuple[str | None, int | None]:
    """Take back a pass that was lost with the database, or end it where nobody knows whose it is.

    One whose number was given to another meanwhile is ended, and so is the other: the list has one
    word for both.
    """
    number, now = told["number"], node.clock.real()
    member = session.scalar(select(Member).where(Member.reference == told["member"]))
    taken = session.scalar(select(Pass).where(Pass.number == number)) if number else None
    if member is not None and number and taken is None and told["expires_at"]:
        if session.get(LostPass, number) is not None:
            return None, None
        session.add(
            Pass(
                id=told["id"],
                number=number,
                member_id=member.id,
                status=told["status"],
                issued_at=now,
                expires_at=datetime.fromisoformat(told["expires_at"]),
                ended_at=None if told["status"] == "valid" else now,
                changes=told["changes"],
            )
        )
        return "regained", member.id
    if taken is not None:
        service.end(session, node, taken, "revoked")
    elif number and session.get(LostPass, number) is None:
        session.add(LostPass(number=number, pass_id=told["id"], noted_at=now))
    if told["status"] != "revoked":
        payload = {
            "pass_id": told["id"],
            "member": told["member"],
            "member_since": told["member_since"] or node.clock.now().date().isoformat(),
            "status": "revoked",
            "changes": told["changes"] + 1,
        }
        subject = f"{service.TOPIC}:{told['id']}"
        outbox.queue(session, now, service.TOPIC, f"{subject}:lost", payload, subject, instead=True)
        log.warning("pass.lost", pass_id=told["id"])
    return ("lost" if told["status"] != "revoked" else None), None


def _announce_anew(session: Session, node: Node, pass_id: str) -> bool:
    """Tell the hub of a pass that it does not know, unless it is about to be told."""
    with write(session):
        row = session.get_one(Pass, pass_id, with_for_update={"of": Pass})
        if outbox.is_queued(session, f"{service.TOPIC}:{row.id}"):
            return False
        row.changes += 1
        session.flush()
        service.announce(session, node, row)
    return True
