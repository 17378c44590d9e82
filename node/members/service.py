"""The home's members: adding, finding and listing them."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from node.context import Node
from node.identity.models import Account
from node.identity.service import accounts
from node.members.models import Member, Plan
from node.members.names import fold, folded, full_name
from node.members.password_links import links
from node.spaces.service import own_zone
from shared.store.account_tables import NO_PASSWORD, normal_email
from shared.store.db import write
from shared.wire.problems import Problem

PAGE = 50


@dataclass(frozen=True, slots=True)
class Sheet:
    """What an admin says of one member. ``ended_on`` is the last day of the subscription."""

    given_name: str
    family_name: str
    email: str
    plan_id: int
    joined_on: date
    ended_on: date | None = None


def today(session: Session, node: Node) -> date:
    """Return what day it is where subscriptions begin and end: by the operator's own clock."""
    return node.clock.now().astimezone(own_zone(session)).date()


def add_plan(session: Session, name: str, plan_class: str, half_days_per_month: int | None) -> Plan:
    """Add one of the home's plans."""
    with write(session):
        plan = Plan(name=name, plan_class=plan_class, half_days_per_month=half_days_per_month)
        session.add(plan)
    return plan


def add_member(
    session: Session,
    now: datetime,
    *,
    email: str,
    given_name: str,
    family_name: str,
    password: str | None,
    plan_id: int,
    joined_on: date,
    ended_on: date | None = None,
) -> Member:
    """Add a person with an account of role member. Raises Problem when the address is taken."""
    with write(session):
        sheet = Sheet(given_name, family_name, email, plan_id, joined_on, ended_on)
        return insert(session, now, sheet, password)


def insert(session: Session, now: datetime, sheet: Sheet, password: str | None = None) -> Member:
    """Add a member to the caller's transaction. Raises Problem when the address is taken.

    An account without a subscription, an admin's for one, is given it: nobody has two accounts.
    """
    email = normal_email(sheet.email)
    # Imports hold the plans: who adds one person waits here, not at a name that is being written.
    if session.scalar(select(Plan.id).where(Plan.id == sheet.plan_id).with_for_update()) is None:
        raise Problem("not-found")
    account = session.scalar(select(Account).where(Account.email == email).with_for_update())
    if account is None or _subscribed(session, account.id):
        account = accounts.create(
            session,
            now,
            email=email,
            name=full_name(sheet.given_name, sheet.family_name),
            password=password,
            roles=["member"],
        )
    elif "member" not in account.roles:
        account.roles = [*account.roles, "member"]
    row = new_row(account.id, now, sheet)
    session.add(row)
    session.flush()
    return row


def _subscribed(session: Session, account_id: int) -> bool:
    return session.scalar(select(Member.id).where(Member.account_id == account_id)) is not None


def new_row(account_id: int, now: datetime, sheet: Sheet) -> Member:
    """Return a member's row, not added to any session yet."""
    return Member(
        account_id=account_id,
        reference=secrets.token_urlsafe(16),
        given_name=sheet.given_name,
        family_name=sheet.family_name,
        folded=folded(sheet.family_name, sheet.given_name, normal_email(sheet.email)),
        plan_id=sheet.plan_id,
        joined_on=sheet.joined_on,
        ended_on=sheet.ended_on,
        created_at=now,
    )


def lock(session: Session, member_id: int) -> Member | None:
    """Return a member as they are now, the row locked until the caller's transaction ends.

    Locked by itself and read after: a lock on a join tells the joined rows as they were before.
    """
    session.execute(select(Member.id).where(Member.id == member_id).with_for_update())
    return session.get(Member, member_id, populate_existing=True)


def member_of(session: Session, account_id: int, today: date) -> Member:
    """Return the subscription of an account. Raises Problem when there is none in force."""
    member = session.scalar(select(Member).where(Member.account_id == account_id))
    if member is None or (member.ended_on is not None and member.ended_on < today):
        raise Problem("forbidden", "this account has no subscription in force")
    if member.suspended_at is not None:
        raise Problem("forbidden", "this subscription is suspended")
    return member


def member(session: Session, member_id: int, today: date) -> Member:
    """Return a subscription in force. Raises Problem("not-found")."""
    found = session.get(Member, member_id)
    if (
        found is None
        or found.suspended_at is not None
        or found.joined_on > today
        or (found.ended_on is not None and found.ended_on < today)
    ):
        raise Problem("not-found")
    return found


FOUND = 20


def find(session: Session, text: str, today: date, also: int | None = None) -> list[Member]:
    """Return subscriptions in force whose name or address has this in it, and one more, by name."""
    query = (
        select(Member)
        .join(Account)
        .where(
            Member.joined_on <= today,
            or_(Member.ended_on.is_(None), Member.ended_on >= today),
            Member.suspended_at.is_(None),
            or_(
                and_(*_with_words(text)),
                Account.name.ilike(f"%{_literally(text)}%", escape="\\"),
                Member.id == also,
            ),
        )
        .order_by(Account.name, Member.id)
        .limit(FOUND)
    )
    return list(session.scalars(query))


def _literally(text: str) -> str:
    """Return a text with what LIKE takes for a sign of its own taken as it is."""
    return text.translate({ord(sign): f"\\{sign}" for sign in "%_\\"})


def _with_words(text: str) -> list[ColumnElement[bool]]:
    """Return conditions: each word is somewhere in the name or the address, accents or not."""
    words = fold(text).split()[:8]
    return [Member.folded.like(f"%{_literally(word)}%", escape="\\") for word in words] or [
        Member.folded == ""
    ]


def listed(
    session: Session, text: str = "", plan_id: int | None = None, after: int | None = None
) -> tuple[list[Member], int | None]:
    """Return a page of members by family name, and the id after which the next one begins.

    Those whose subscription is over are among them. ``text`` is of names, addresses and plans.
    """
    query = select(Member).order_by(Member.folded, Member.id).limit(PAGE + 1)
    words = fold(text)
    if words:
        plans = [
            row.id for row in session.execute(select(Plan.id, Plan.name)) if words in fold(row.name)
        ]
        query = query.where(or_(and_(*_with_words(text)), Member.plan_id.in_(plans)))
    if plan_id is not None:
        query = query.where(Member.plan_id == plan_id)
    start = session.get(Member, after) if after is not None else None
    if start is not None:
        query = query.where(tuple_(Member.folded, Member.id) > (start.folded, start.id))
    found = list(session.scalars(query))
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def counts(session: Session, today: date) -> dict[int, int]:
    """Return how many have each plan now, by plan; whoever is suspended is counted."""
    query = select(Member.plan_id, func.count()).where(
        or_(Member.ended_on.is_(None), Member.ended_on >= today)
    )
    return {row[0]: row[1] for row in session.execute(query.group_by(Member.plan_id))}


def one(session: Session, member_id: int) -> Member:
    """Return a member, whatever the state of the subscription. Raises Problem("not-found")."""
    found = session.get(Member, member_id)
    if found is None:
        raise Problem("not-found")
    return found


def some(session: Session, ids: Collection[int]) -> list[Member]:
    """Return the members who have these ids, by family name."""
    query = select(Member).where(Member.id.in_(ids))
    return list(session.scalars(query.order_by(Member.folded)))


def state(row: Member, today: date) -> str:
    """Return ``suspended``, ``ended``, ``ends``, ``begins``, ``passwordless`` or ``subscribed``."""
    if row.ended_on is not None and row.ended_on < today:
        return "ended"
    if row.suspended_at is not None:
        return "suspended"
    if row.ended_on is not None:
        return "ends"
    if row.joined_on > today:
        return "begins"
    return "passwordless" if row.account.password_hash == NO_PASSWORD else "subscribed"


def everybody(session: Session) -> list[Member]:
    """Return every member there ever was, by family name."""
    return list(session.scalars(select(Member).order_by(Member.folded, Member.id)))


def subscribe(
    session: Session, node: Node, sheet: Sheet, *, invite: bool
) -> tuple[Member, str | None]:
    """Add a member who chooses a password, and invite them, in one transaction.

    Returns the address to give them, once, where it was not sent. Raises Problem.
    """
    with write(session):
        row = insert(session, node.clock.now(), sheet)
        known = row.account.password_hash != NO_PASSWORD
        url = links.invite(session, node, row.account) if invite and not known else None
    return row, url
