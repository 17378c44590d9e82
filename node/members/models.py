"""The home's plans and members."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import db
from node.identity.models import Account


class Plan(db.Model):
    """The home's own offer, and the charter's class of it. No number of half-days: no limit."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    plan_class: Mapped[str] = mapped_column(String(12))
    half_days_per_month: Mapped[int | None]

    __table_args__ = (
        CheckConstraint("plan_class IN ('resident', 'nomad', 'ticket')", name="plan_class"),
    )


class Member(db.Model):
    """A person subscribed here. ``reference`` is what the hub knows her by; it says nothing."""

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    given_name: Mapped[str] = mapped_column(String(60))
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"))
    joined_on: Mapped[date]
    ended_on: Mapped[date | None]
    created_at: Mapped[datetime]

    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)
    plan: Mapped[Plan] = relationship(lazy="joined", innerjoin=True)
