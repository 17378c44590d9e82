"""What the node knows of the network, and what it has to tell it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from node.db import Model
from shared.store.outbox import OutboxColumns


class Enrolment(Model):
    """The one row that says which node of which network this is."""

    id: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[str] = mapped_column(String(64))
    hub_url: Mapped[str] = mapped_column(String(300))
    enrolled_at: Mapped[datetime]
    # the publication: what was last changed here, and what the hub last took
    revision: Mapped[int] = mapped_column(default=0)
    accepted_revision: Mapped[int] = mapped_column(default=0)
    accepted_at: Mapped[datetime | None]
    publication_fault: Mapped[dict[str, Any] | None]
    # the hub: when it last answered, when it last asked for the publication, and what it found
    heard_at: Mapped[datetime | None]
    harvested_at: Mapped[datetime | None]
    harvest_fault: Mapped[str | None] = mapped_column(String(200))
    # of versions before: now the jobs process writes down more (node.watch)
    jobs_at: Mapped[datetime | None]
    # “check my node”: when it was asked for, and what the hub found
    check_asked_at: Mapped[datetime | None]
    check_done_at: Mapped[datetime | None]
    check_report: Mapped[dict[str, Any] | None]
    # up to when the hub's changes to our visits were taken
    visits_seen_at: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


class HubCheckpoint(Model):
    """The one row by which this node and the hub find out that one of them has forgotten something.

    ``mark`` is told next, ``before`` is the one before it: the last that the hub has until this one
    is ``told``. ``behind`` says who had forgotten, and
    ``found`` what was put right: an admin reads it, and dismisses it.
    """

    __tablename__ = "memory"

    id: Mapped[int] = mapped_column(primary_key=True)
    mark: Mapped[str] = mapped_column(String(50))
    before: Mapped[str | None] = mapped_column(String(50))
    renewed_at: Mapped[datetime]
    told: Mapped[bool] = mapped_column(default=False)
    # None while a comparison is due
    compared_at: Mapped[datetime | None]
    behind: Mapped[str | None] = mapped_column(String(4))
    # up to when the one who is behind remembers
    since: Mapped[datetime | None]
    found: Mapped[dict[str, Any] | None]
    copies: Mapped[bool] = mapped_column(default=False)
    # what the hub says against this node's address
    move_fault: Mapped[dict[str, Any] | None]
    # partners that are still to be asked for their bookings
    to_ask: Mapped[list[str]] = mapped_column(default=list)

    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("behind IN ('hub', 'node')", name="behind"),
    )


class Cached(Model):
    """A signed document of the network, kept for when there is no network."""

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64))
    fetched_at: Mapped[datetime]


class Outbox(OutboxColumns, Model):
    pass
