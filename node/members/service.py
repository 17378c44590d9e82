"""The home's members."""

from __future__ import annotations

import secrets
from datetime import date, datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from node.identity.models import Account
from node.identity.service import accounts
from node.members.models import Member, Plan
from shared.db import begin_write
from shared.problems import Problem


def add_plan(session: Session, name: str, plan_class: str, half_days_per_month: int | None) -> Plan:
    """Add one of the home's plans."""
    begin_write(session)
    plan = Plan(name=name, plan_class=plan_class, half_days_per_month=half_days_per_month)
    session.add(plan)
    session.commit()
    return plan


def add_member(
    session: Session,
    now: datetime,
    *,
    email: str,
    given_name: str,
    family_name: str,
    password: str,
    plan_id: int,
    joined_on: date,
) -> Member:
    """Add a person with an account of role member. Raises Problem when the address is taken."""
    begin_write(session)
    account = accounts.create(
        session,
        now,
        email=email,
        name=f"{given_name} {family_name}",
        password=password,
        roles=["member"],
    )
    member = Member(
        account_id=account.id,
        reference=secrets.token_urlsafe(16),
        given_name=given_name,
        plan_id=plan_id,
        joined_on=joined_on,
        created_at=now,
    )
    session.add(member)
    session.commit()
    return member


def member_of(session: Session, account_id: int, today: date) -> Member:
    """Return the subscription of an account. Raises Problem when there is none in force."""
    member = session.scalar(select(Member).where(Member.account_id == account_id))
    if member is None or (member.ended_on is not None and member.ended_on < today):
        raise Problem("forbidden", "this account has no subscription in force")
    return member


def member(session: Session, member_id: int, today: date) -> Member:
    """Return a subscription in force. Raises Problem("not-found")."""
    found = session.get(Member, member_id)
    if found is None or (found.ended_on is not None and found.ended_on < today):
        raise Problem("not-found")
    return found


FOUND = 20


def find(session: Session, text: str, today: date, also: int | None = None) -> list[Member]:
    """Return subscriptions in force whose name or address has this in it, and one more, by name."""
    wanted = f"%{text.translate(_LITERALLY)}%"
    query = (
        select(Member)
        .join(Account)
        .where(
            or_(Member.ended_on.is_(None), Member.ended_on >= today),
            or_(
                Account.name.ilike(wanted, escape="\\"),
                Account.email.ilike(wanted, escape="\\"),
                Member.id == also,
            ),
        )
        .order_by(Account.name, Member.id)
        .limit(FOUND)
    )
    return list(session.scalars(query))


# What LIKE takes for a sign of its own.
_LITERALLY = str.maketrans({"%": "\\%", "_": "\\_", "\\": "\\\\"})
