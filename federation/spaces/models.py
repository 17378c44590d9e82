"""What nodes publish: spaces with hours, events and places; and where listed ones come from."""

from __future__ import annotations

import time
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import Model, db
from federation.nodes.models import Node

# Ids of listed spaces begin with this; no node is given such an id.
LISTED_PREFIX = "listed-"


def stamp() -> int:
    """Return when a row is written, in microseconds of the machine's own clock.

    By it every process finds what others wrote (``watching``), whatever day it is said to be.
    """
    return time.time_ns() // 1000


class ListingSource(Model):
    """Where facts of spaces that run no node come from: a file, or an address on the web.

    ``mapping`` says by field which column or which constant it is. ``revision`` counts imports:
    one that began before another is not carried on.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[str] = mapped_column(String(12))
    url: Mapped[str | None] = mapped_column(String(500))
    file_name: Mapped[str | None] = mapped_column(String(200))
    licence: Mapped[str] = mapped_column(String(120))
    attribution: Mapped[str] = mapped_column(String(300), default="")
    mapping: Mapped[dict[str, Any]]
    revision: Mapped[int] = mapped_column(default=0)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    created_at: Mapped[datetime]
    imported_at: Mapped[datetime | None]
    # by the jobs process, once a day
    refreshed: Mapped[bool] = mapped_column(default=False)
    checked_at: Mapped[datetime | None]
    fault: Mapped[str | None] = mapped_column(String(300))

    __table_args__ = (
        CheckConstraint("kind IN ('csv', 'geojson', 'gogocarto', 'spaceapi')", name="kind"),
    )


class Space(Model):
    """A place, as its node last published it. Who publishes an id first keeps it.

    One that runs no node is listed: it has a source instead, and the row's key there.
    """

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    node_id: Mapped[str | None] = mapped_column(ForeignKey("node.id"), index=True)
    source_id: Mapped[int | None] = mapped_column(ForeignKey("listing_source.id"))
    source_key: Mapped[str | None] = mapped_column(String(200))
    name: Mapped[str] = mapped_column(String(120))
    town: Mapped[str] = mapped_column(String(120))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    document: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    stamp: Mapped[int] = mapped_column(
        BigInteger, default=stamp, onupdate=stamp, server_default=db.text("0"), index=True
    )
    # kept off the map by a moderator: why, and what its operator says to that
    hidden_at: Mapped[datetime | None]
    hidden_reason: Mapped[str] = mapped_column(
        String(500), default="", server_default=db.text("''")
    )
    hidden_reply: Mapped[str] = mapped_column(
        String(1000), default="", server_default=db.text("''")
    )
    hidden_replied_at: Mapped[datetime | None]

    node: Mapped[Node | None] = relationship(lazy="joined")
    source: Mapped[ListingSource | None] = relationship()
    availability: Mapped[Availability | None] = relationship(lazy="joined", viewonly=True)

    __table_args__ = (
        CheckConstraint("(node_id IS NULL) <> (source_id IS NULL)", name="owner"),
        CheckConstraint("(source_id IS NULL) = (source_key IS NULL)", name="source"),
        UniqueConstraint("source_id", "source_key"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        Index("ix_space_place", "latitude", "longitude"),
    )


class SpaceHours(Model):
    """The hours a space published, and between which instants they held; kept for some weeks.

    ``document`` is what ``charter.hours.read_schedule`` reads. A visit that is told late is judged
    by what was published then.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"))
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    document: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("ix_space_hours_since", "space_id", "since"),
        Index(
            "uq_space_hours_now",
            "space_id",
            unique=True,
            sqlite_where=db.text("until IS NULL"),
            postgresql_where=db.text("until IS NULL"),
        ),
    )


class SpaceEvent(Model):
    """One event of a space, as the agenda finds it; ``document`` is the event as published.

    Days are those of the space's own time zone. ``words`` and ``town`` are as
    ``events.as_words`` makes them, with a blank before each word.
    """

    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    first_day: Mapped[date]
    last_day: Mapped[date]
    words: Mapped[str] = mapped_column(Text)
    town: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]]

    space: Mapped[Space] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (Index("ix_space_event_time", "last_day", "starts_at"),)


class Document(Model):
    """One document of a node's publication, as last accepted; and why a later one was not.

    ``refused`` is ``{"sha256", "version", "at", "errors"}``; its time is RFC 3339.
    """

    __tablename__ = "published_document"

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[int] = mapped_column(default=0)
    sha256: Mapped[str | None] = mapped_column(String(64))
    body: Mapped[dict[str, Any] | None]
    accepted_at: Mapped[datetime | None]
    refused: Mapped[dict[str, Any] | None]

    __table_args__ = (CheckConstraint("(sha256 IS NULL) = (accepted_at IS NULL)", name="accepted"),)


class Availability(Model):
    """What a space's node last said of its free places; past ``expires_at`` nothing is known."""

    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"), primary_key=True)
    guest_places: Mapped[int]
    guest_places_free: Mapped[int]
    paused: Mapped[bool]
    as_of: Mapped[datetime]
    expires_at: Mapped[datetime]
    stamp: Mapped[int] = mapped_column(
        BigInteger, default=stamp, onupdate=stamp, server_default=db.text("0"), index=True
    )

    __table_args__ = (
        CheckConstraint("guest_places >= 0 AND guest_places_free >= 0", name="places"),
    )
