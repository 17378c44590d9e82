"""The home's plans: what they are called, and the charter's class of each."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.context import Node
from node.members.models import Member, Plan
from node.members.passes import passes
from node.spaces.service import queue_publication
from shared.store.db import write
from shared.wire.problems import Problem


def plans(session: Session) -> list[Plan]:
    return list(session.scalars(select(Plan).order_by(Plan.name)))


def find(session: Session, plan_id: int) -> Plan:
    """Return one plan. Raises Problem("not-found")."""
    row = session.get(Plan, plan_id) if plan_id < 1 << 31 else None
    if row is None:
        raise Problem("not-found")
    return row


def save(
    session: Session,
    node: Node,
    plan_id: int | None,
    name: str,
    plan_class: str,
    half_days_per_month: int | None,
) -> None:
    """Add a plan or change one, and queue the publication, in one transaction. Raises Problem.

    Another class ends the phones' passes of everybody who has the plan: they say the old one.
    """
    with write(session):
        taken = session.scalar(select(Plan.id).where(func.lower(Plan.name) == name.lower()))
        if taken is not None and taken != plan_id:
            raise Problem("conflict", "another plan has this name")
        if plan_id is None:
            row = Plan(name=name, plan_class=plan_class)
            session.add(row)
        else:
            row = _locked(session, plan_id)
        renewed = row.plan_class != plan_class
        row.name, row.plan_class, row.half_days_per_month = name, plan_class, half_days_per_month
        queue_publication(session, node)
        session.flush()  # the enrolment before the members, as whoever issues a pass does
        if renewed:
            of_plan = select(Member.id).where(Member.plan_id == row.id).order_by(Member.id)
            for member_id in list(session.scalars(of_plan.with_for_update(of=Member))):
                passes().renew_all(session, node, member_id)


def remove(session: Session, node: Node, plan_id: int) -> None:
    """Remove a plan that nobody has or had, and queue the publication. Raises Problem."""
    with write(session):
        row = _locked(session, plan_id)
        if session.scalar(select(Member.id).where(Member.plan_id == plan_id).limit(1)) is not None:
            raise Problem("conflict", "members have this plan: give them another first")
        session.delete(row)
        queue_publication(session, node)


def _locked(session: Session, plan_id: int) -> Plan:
    row = session.get(Plan, plan_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise Problem("not-found")
    return row
