"""Who is told what, what each was told, and what the network was last told of itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import Model
from shared.store.outbox import PENDING


class Webhook(Model):
    """An integrator's address. The secret that signs is sealed with the hub's own.

    ``active``: is told; ``paused`` by a coordinator; ``disabled`` because nobody took anything for
    days, since ``failing_since``. ``former_secret`` signs too until ``former_until``.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    url: Mapped[str] = mapped_column(String(500))
    email: Mapped[str] = mapped_column(String(254), default="")
    kinds: Mapped[list[str]]
    state: Mapped[str] = mapped_column(String(8), default="active")
    secret: Mapped[str] = mapped_column(String(200))
    former_secret: Mapped[str | None] = mapped_column(String(200))
    former_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    failing_since: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("state IN ('active', 'paused', 'disabled')", name="state"),)


class Delivery(Model):
    """One message to one webhook, as it is sent: ``pending`` → ``done``, or ``dead`` in the end.

    ``status``, ``ms`` and ``answer`` are what the last attempt met with; ``fault`` why there was
    no answer.
    """

    __tablename__ = "webhook_delivery"

    id: Mapped[int] = mapped_column(primary_key=True)
    webhook_id: Mapped[int] = mapped_column(ForeignKey("webhook.id", ondelete="CASCADE"))
    message_id: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(30))
    subject: Mapped[str] = mapped_column(String(140))
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10), default=PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    status: Mapped[int | None]
    ms: Mapped[int | None]
    answer: Mapped[str | None] = mapped_column(String(300))
    fault: Mapped[str | None] = mapped_column(String(60))

    webhook: Mapped[Webhook] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        CheckConstraint("state IN ('pending', 'done', 'dead')", name="state"),
        Index("uq_webhook_delivery_message", "webhook_id", "message_id", unique=True),
        Index("ix_webhook_delivery_due", "state", "next_attempt_at"),
    )


class Told(Model):
    """The state in which a node, a charter's version or a month was when it was last told."""

    __tablename__ = "webhook_told"

    thing: Mapped[str] = mapped_column(String(10), primary_key=True)
    subject: Mapped[str] = mapped_column(String(64), primary_key=True)
    state: Mapped[str] = mapped_column(String(12))
