"""The home's plans and members."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import Model, db
from node.identity.models import Account
from shared.store.account_tables import LinkColumns


class Plan(Model):
    """The home's own offer, and the charter's class of it. No number of half-days: no limit."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    plan_class: Mapped[str] = mapped_column(String(12))
    half_days_per_month: Mapped[int | None]

    __table_args__ = (
        CheckConstraint("plan_class IN ('resident', 'nomad', 'ticket')", name="plan_class"),
    )


class Member(Model):
    """A person subscribed here. ``reference`` is what the hub knows them by; it says nothing.

    ``ended_on`` is the last day. ``folded`` is family name, given name and address without
    accents and capitals: what a list is sorted by, and searched in.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), unique=True)
    reference: Mapped[str] = mapped_column(String(64), unique=True)
    given_name: Mapped[str] = mapped_column(String(60))
    family_name: Mapped[str] = mapped_column(String(60), default="", server_default=db.text("''"))
    folded: Mapped[str] = mapped_column(String(400), default="", server_default=db.text("''"))
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id"), index=True)
    joined_on: Mapped[date]
    ended_on: Mapped[date | None] = mapped_column(index=True)
    suspended_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    account: Mapped[Account] = relationship(lazy="joined", innerjoin=True)
    plan: Mapped[Plan] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (Index("ix_member_folded", "folded", "id"),)


class Link(LinkColumns, Model):
    pass


class ImportFile(Model):
    """A list of members between its trial and its import: an hour at most, then it is dropped."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(index=True)
