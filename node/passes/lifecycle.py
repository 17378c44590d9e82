"""What becomes of a member's passes when the subscription changes, in the caller's transaction.

A phone's pass carries the class of the plan and the first day of use, signed: when either changes
it is ended, so that every door is right at once, with the hub or without, and the phone makes
another on its page. A card on paper carries neither: its home signs what is true when it is shown.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.members import changes
from node.members.models import Member
from node.members.service import today
from node.passes import service
from node.passes.models import Card, Pass
from shared.store.db import release


def held(session: Session, member_id: int) -> list[Pass]:
    """Return the passes that are not ended, locked: valid and suspended ones."""
    query = select(Pass).where(Pass.member_id == member_id, Pass.status != "revoked")
    return list(session.scalars(query.order_by(Pass.number).with_for_update(of=Pass)))


def end_all(session: Session, node: Node, member_id: int) -> int:
    """End every pass for good; return how many."""
    found = held(session, member_id)
    for row in found:
        service.end(session, node, row, "revoked")
    return len(found)


def suspend_all(session: Session, node: Node, member_id: int) -> None:
    """Suspend what is valid, and remember that it was."""
    for row in held(session, member_id):
        if row.status == "valid":
            row.with_member = True
            service.end(session, node, row, "suspended")


def resume_all(session: Session, node: Node, member_id: int) -> None:
    """Make valid again what was suspended with the member, and nothing else."""
    for row in held(session, member_id):
        if row.status == "suspended" and row.with_member:
            row.status, row.ended_at, row.with_member = "valid", None, False
            row.changes += 1
            session.flush()
            service.announce(session, node, row)


def renew_all(session: Session, node: Node, member_id: int) -> int:
    """End phones' passes, which say what is no longer so, and announce cards anew.

    Returns how many phones have to make another.
    """
    rows = held(session, member_id)
    cards = set(session.scalars(select(Card.pass_id).where(Card.pass_id.in_(r.id for r in rows))))
    for row in rows:
        if row.id in cards:
            row.changes += 1
            session.flush()
            service.announce(session, node, row)
        else:
            service.end(session, node, row, "revoked")
    return len(rows) - len(cards)


def end_due(session: Session, node: Node) -> int:
    """End the passes of those whose last day is over; return how many people that were."""
    day = today(session, node)
    over = select(Pass.member_id).join(Member).where(Member.ended_on < day)
    due = list(session.scalars(over.where(Pass.status != "revoked").distinct()))
    release(session)
    for member_id in due:
        with changes.locked(session, member_id) as row:
            if row.ended_on is not None and row.ended_on < day:
                end_all(session, node, member_id)
    return len(due)
