"""What changes in a subscription, and reaches the passes in the same transaction.

Each verb may be repeated: done twice, it changes nothing the second time. The member's row is the
lock, which whoever issues a pass to the member takes as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.identity.models import Account
from node.identity.service import accounts
from node.members.models import Link, Member, Plan
from node.members.names import folded, full_name
from node.members.passes import passes
from node.members.service import Sheet, lock, today
from shared.store.account_tables import normal_email
from shared.store.db import write
from shared.wire.problems import Problem

ROLES = ("admin", "desk", "member")
LAST_ADMIN = "This is the only admin: give somebody else the role first."


@contextmanager
def locked(session: Session, member_id: int) -> Iterator[Member]:
    """Write to a member, for this change alone. Raises Problem."""
    with write(session):
        found = lock(session, member_id)
        if found is None:
            raise Problem("not-found")
        yield found


def change(session: Session, node: Node, member_id: int, sheet: Sheet) -> int:
    """Make a subscription what the sheet says. Returns how many phones must make another pass.

    Raises Problem when the address is another's, the plan is gone, or the last admin would end.
    """
    with write(session):
        hold_plan(session, sheet.plan_id)  # before the member, as imports do
        row = lock(session, member_id)
        if row is None:
            raise Problem("not-found")
        return apply(session, node, row, sheet)


def apply(session: Session, node: Node, row: Member, sheet: Sheet) -> int:
    """Do the same within the caller's transaction, in which the member is locked."""
    plan = session.get(Plan, sheet.plan_id)
    if plan is None:
        raise Problem("not-found")
    if sheet.ended_on is not None and row.ended_on is None:
        keep_an_admin(session, row.account)
    _rename(session, row, sheet)
    other = row.plan.plan_class != plan.plan_class or row.joined_on != sheet.joined_on
    row.plan, row.joined_on, row.ended_on = plan, sheet.joined_on, sheet.ended_on
    session.flush()
    phones = passes().renew_all(session, node, row.id) if other else 0
    if row.ended_on is not None and row.ended_on < today(session, node):
        passes().end_all(session, node, row.id)
    return phones


def hold_plan(session: Session, plan_id: int) -> None:
    """Keep a plan as it is until the caller's transaction ends."""
    session.execute(select(Plan.id).where(Plan.id == plan_id).with_for_update(read=True))


def _rename(session: Session, row: Member, sheet: Sheet) -> None:
    email = normal_email(sheet.email)
    if email != row.account.email:
        if session.scalar(select(Account.id).where(Account.email == email)) is not None:
            raise Problem("conflict", "this e-mail address already has an account")
        row.account.email = email
        for link in session.scalars(select(Link).where(Link.account_id == row.account_id)):
            session.delete(link)  # it went to the address that is no longer theirs
    row.given_name, row.family_name = sheet.given_name, sheet.family_name
    row.account.name = full_name(sheet.given_name, sheet.family_name)
    row.folded = folded(sheet.family_name, sheet.given_name, email)


def suspend(session: Session, node: Node, member_id: int) -> None:
    """Suspend a subscription and every pass that is valid. Raises Problem."""
    with locked(session, member_id) as row:
        if row.suspended_at is None:
            row.suspended_at = node.clock.now()
            session.flush()
            passes().suspend_all(session, node, row.id)


def resume(session: Session, node: Node, member_id: int) -> None:
    """Take a subscription up again, with the passes that were valid before. Raises Problem."""
    with locked(session, member_id) as row:
        if row.suspended_at is not None:
            row.suspended_at = None
            session.flush()
            passes().resume_all(session, node, row.id)


def end(session: Session, node: Node, member_id: int, last_day: date) -> None:
    """End a subscription after its last day, at once where that is over. Raises Problem."""
    with locked(session, member_id) as row:
        keep_an_admin(session, row.account)
        row.ended_on = last_day
        session.flush()
        if last_day < today(session, node):
            passes().end_all(session, node, row.id)


def set_roles(session: Session, member_id: int, roles: Collection[str]) -> None:
    """Give a member's account these roles and no others. Raises Problem for the last admin."""
    with locked(session, member_id) as row:
        if "admin" not in roles:
            keep_an_admin(session, row.account)
        row.account.roles = [role for role in ROLES if role in roles]


def keep_an_admin(session: Session, account: Account) -> None:
    """Raise Problem where nobody but this account is an admin. Admins are locked, in order."""
    if not accounts.keep_one(session, account, "admin"):
        raise Problem("conflict", LAST_ADMIN)
