"""What homes say of their passes: whose they are, and whether they hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Fault
from federation.visits.models import Member, Pass
from federation.visits.placeholder_member import merge
from shared.crypto.passes import Evidence
from shared.store.db import write

PAGE = 500
_UNTOLD = "pass:"
# A pass whose end was not told is in use for a year at most.
IN_USE = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class PassUpdate:
    """A home's word on a pass; ``changes`` is None where the home does not count them."""

    member: str
    member_since: date
    status: str
    changes: int | None = None
    number: int | None = None
    expires_at: datetime | None = None


def register_pass(
    session: Session, now: datetime, node_id: str, pass_id: str, word: PassUpdate
) -> None:
    """Take a home's word on a pass. Repeating it is harmless.

    Of words told in another order, or out of a backup, the last one holds; revoked is for good.
    """
    try:
        _register(session, now, node_id, pass_id, word)
    except IntegrityError:  # a door was shown it at the same moment
        _register(session, now, node_id, pass_id, word)


def _register(
    session: Session, now: datetime, node_id: str, pass_id: str, word: PassUpdate
) -> None:
    with write(session):
        member, stand_in = _lock_people(session, node_id, pass_id, word.member)
        if member is None and stand_in is not None:
            member, stand_in = stand_in, None
            member.reference = word.member
        elif member is None:
            member = Member(node_id=node_id, reference=word.member)
            session.add(member)
        member.member_since = word.member_since
        session.flush()
        row = session.get(Pass, (node_id, pass_id))
        if row is None:
            row = Pass(
                node_id=node_id,
                id=pass_id,
                member_id=member.id,
                status=word.status,
                known_at=now,
                changed_at=now,
            )
            session.add(row)
        row.member_id = member.id
        if stand_in is not None:
            merge(session, now, stand_in, member)
            # Whoever waits for its row finds it gone, and looks again for whose the pass is.
            session.delete(stand_in)
        _take(row, word, now)


def end_all(session: Session, now: datetime, node_id: str) -> None:
    """Let the passes of a node that leaves end, in the caller's transaction."""
    ended = update(Pass).where(Pass.node_id == node_id, Pass.status != "revoked")
    session.execute(ended.values(status="revoked", changed_at=now))


def _lock_people(
    session: Session, node_id: str, pass_id: str, reference: str
) -> tuple[Member | None, Member | None]:
    """Return the member by reference, and who stands in for the pass's owner, if anybody does.

    A door may have been shown the pass before its home could announce it. Both are locked, in the
    order of their ids.
    """
    untold = placeholder(pass_id)
    names = Member.reference.in_((reference, untold))
    query = select(Member).where(Member.node_id == node_id, names).order_by(Member.id)
    found = {each.reference: each for each in session.scalars(query.with_for_update())}
    return found.get(reference), found.get(untold)


def _take(row: Pass, word: PassUpdate, now: datetime) -> None:
    row.number = row.number if word.number is None else word.number
    row.expires_at = word.expires_at or row.expires_at
    if word.changes is not None and word.changes < (row.changes or 0):
        return
    if word.changes is not None:
        row.changes = word.changes
    if row.status != "revoked":
        row.status, row.changed_at = word.status, now


def placeholder(pass_id: str) -> str:
    """Return by what reference the owner of a pass is known until its home says whose it is."""
    return f"{_UNTOLD}{pass_id}"


def is_untold(reference: str) -> bool:
    """Say whether a person is one of whose pass the home has said nothing."""
    return reference.startswith(_UNTOLD)


def faults(status: str, number: int | None, evidence: Evidence) -> tuple[Fault, ...]:
    """Return what the home's word says against a pass.

    At another place of the home's list than the home told, its status is another pass's, or there
    is none, beyond the list's end: a door alone would not let it in either.
    """
    if status != "valid":
        return (Fault(f"pass_{status}"),)
    if number not in (None, evidence.status_index):
        return (Fault("pass_revoked", "index"),)
    return ()


def find(session: Session, node_id: str, pass_id: str) -> tuple[Pass | None, Member | None]:
    """Return a pass and whose it is, as its home told."""
    row = session.get(Pass, (node_id, pass_id))
    return row, session.get(Member, row.member_id) if row else None


def known(session: Session, now: datetime, node_id: str, after: str) -> list[dict[str, Any]]:
    """Return what was told of a home's passes that are not over, by id; one more than a page."""
    query = (
        select(Pass, Member)
        .join(Member, Member.id == Pass.member_id)
        .where(
            Pass.node_id == node_id,
            Pass.id > after,
            or_(
                Pass.expires_at > now,
                Pass.expires_at.is_(None) & (Pass.changed_at > now - IN_USE),
            ),
        )
        .order_by(Pass.id)
        .limit(PAGE + 1)
    )
    return [
        {
            "id": row.id,
            "member": member.reference,
            "member_since": member.member_since,
            "status": row.status,
            "changes": row.changes,
            "number": row.number,
            "expires_at": row.expires_at,
        }
        for row, member in session.execute(query)
    ]
