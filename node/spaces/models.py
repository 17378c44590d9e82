"""The operator's spaces, as the admin describes them."""

from __future__ import annotations

import secrets
from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from node.db import Model, db
from shared.base.schemas import DEFAULT_ZONE


class Space(Model):
    """What is unknown is null or empty, and is published as such."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    description: Mapped[str] = mapped_column(String(4000), default="")
    street: Mapped[str | None] = mapped_column(String(200))
    postcode: Mapped[str | None] = mapped_column(String(12))
    town: Mapped[str] = mapped_column(String(120))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    timezone: Mapped[str] = mapped_column(String(40), default=DEFAULT_ZONE)
    week: Mapped[dict[str, Any]]
    # Dates that differ from the week, as the admin writes them (node.spaces.hours).
    special_days: Mapped[list[Any]] = mapped_column(default=list)
    # What its sources have brought (node.adapters): ``days`` that differ, and ``prices``.
    imported: Mapped[dict[str, Any] | None]
    closed_on_holidays: Mapped[bool] = mapped_column(default=True)
    # A part of France that has public holidays of its own; empty: those of all.
    holidays_region: Mapped[str] = mapped_column(
        String(8), default="", server_default=db.text("''")
    )
    until: Mapped[date | None]  # the last day of a temporary site
    capacity: Mapped[int | None]
    area_m2: Mapped[int | None]
    legal_form: Mapped[str] = mapped_column(String(200), default="")
    # Further facts of the identity sheet, and for whom the place is accessible; as published.
    about: Mapped[dict[str, Any]] = mapped_column(default=dict)
    access: Mapped[dict[str, Any]] = mapped_column(default=dict)
    transport: Mapped[str] = mapped_column(String(500), default="")
    website: Mapped[str] = mapped_column(String(300), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    project: Mapped[bool] = mapped_column(default=False)
    guest_cap: Mapped[int] = mapped_column(default=1)
    # The house conditions, as published beside guest_cap.
    conditions: Mapped[dict[str, Any]] = mapped_column(default=dict)
    paused: Mapped[bool] = mapped_column(default=False)
    paused_on: Mapped[date | None]  # a pause of this day alone
    # What the poster in force carries: who shows it stood before it.
    poster: Mapped[str] = mapped_column(String(32), default=lambda: secrets.token_urlsafe(9))
    # What a visitor is told after a yes, at the desk alone: Wi-Fi, door, house rules, who to ask.
    welcome_fr: Mapped[str] = mapped_column(String(2000), default="", server_default=db.text("''"))
    welcome_en: Mapped[str] = mapped_column(String(2000), default="", server_default=db.text("''"))
    services: Mapped[list[str]]
    values: Mapped[list[str]]
    # By value: the anecdote that proves it.
    stories: Mapped[dict[str, Any]] = mapped_column(default=dict)
    revision: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime]

    rooms: Mapped[list[Room]] = relationship(
        order_by="Room.place", cascade="all, delete-orphan", lazy="selectin"
    )
    prices: Mapped[list[Price]] = relationship(
        order_by="Price.place", cascade="all, delete-orphan", lazy="selectin"
    )
    assessments: Mapped[list[Assessment]] = relationship(
        order_by="Assessment.year", cascade="all, delete-orphan", lazy="selectin"
    )

    __table_args__ = (
        CheckConstraint("guest_cap >= 0", name="guest_cap"),
        CheckConstraint("capacity IS NULL OR capacity >= 0", name="capacity"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
    )


class Room(Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id", ondelete="CASCADE"), index=True)
    place: Mapped[int]
    name: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(20))
    seats: Mapped[int | None]
    area_m2: Mapped[int | None]
    # When visitors may use it, like "mo-am"; none: never, null: whenever it is open.
    half_days: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))


class Price(Model):
    """An amount for a number of units: 9000 cents for a pack of 10 half-days."""

    id: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id", ondelete="CASCADE"), index=True)
    place: Mapped[int]
    label: Mapped[str] = mapped_column(String(120))
    cents: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3), default="EUR")
    unit: Mapped[str] = mapped_column(String(10))
    quantity: Mapped[int] = mapped_column(default=1)
    audience: Mapped[str] = mapped_column(String(20), default="", server_default=db.text("''"))

    __table_args__ = (CheckConstraint("cents >= 0", name="cents"),)


class Assessment(Model):
    """Where the space says it stands on a shared value, once a year, and what shows it."""

    space_id: Mapped[str] = mapped_column(
        ForeignKey("space.id", ondelete="CASCADE"), primary_key=True
    )
    year: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(String(80), primary_key=True)
    level: Mapped[int]
    evidence: Mapped[str] = mapped_column(String(1000))

    __table_args__ = (
        CheckConstraint("level BETWEEN 1 AND 4", name="level"),
        CheckConstraint("evidence <> ''", name="evidence"),
    )


class Document(Model):
    """One document of the publication: what was last changed here, and what the hub has of it.

    ``refused`` is the hub's word on one that it did not take: ``{"sha256", "version", "at",
    "errors"}``.
    """

    __tablename__ = "published_document"

    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    version: Mapped[int]
    changed_at: Mapped[datetime]
    accepted_sha256: Mapped[str | None] = mapped_column(String(64))
    accepted_version: Mapped[int | None]
    accepted_at: Mapped[datetime | None]
    refused: Mapped[dict[str, Any] | None]

    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    @property
    def state(self) -> str:
        """Return ``accepted``, ``refused`` or ``waiting``: what the hub says of it as it is now."""
        if self.refused and self.refused["sha256"] == self.sha256:
            return "refused"
        return "accepted" if self.accepted_sha256 == self.sha256 else "waiting"
