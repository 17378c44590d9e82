"""The network's nodes and spaces, and how nodes come in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import db

STATES = ("connected", "late", "offline", "suspended", "left")


class Node(db.Model):
    """One operator's service. The hub gives the id; it is never given again."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(120))
    url: Mapped[str] = mapped_column(String(300), unique=True)
    state: Mapped[str] = mapped_column(String(12), default="connected")
    plans: Mapped[dict[str, Any]]
    publication_sha256: Mapped[str | None] = mapped_column(String(64))
    publication_revision: Mapped[int] = mapped_column(default=0)
    published_at: Mapped[datetime | None]
    # when the hub last asked for the publication, and what went wrong, if anything did
    harvested_at: Mapped[datetime | None]
    harvest_fault: Mapped[str | None] = mapped_column(String(200))
    enrolled_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    # the last day in the network, once it was announced
    leaving_on: Mapped[date | None]
    leaving_reason: Mapped[str] = mapped_column(
        String(500), default="", server_default=db.text("''")
    )
    leaving_announced_at: Mapped[datetime | None]

    keys: Mapped[list[NodeKey]] = relationship(order_by="NodeKey.added_at", lazy="selectin")

    __table_args__ = (
        CheckConstraint(
            "state IN ('connected', 'late', 'offline', 'suspended', 'left')", name="state"
        ),
    )


class NodeKey(db.Model):
    """A node's public key. A withdrawn one stays, so that what it signed can be explained."""

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    jwk: Mapped[dict[str, Any]]
    added_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class NodeMark(db.Model):
    """The last mark that a node told, and how often the one before was not what we had heard.

    ``behind`` says which of the two had forgotten something: ``hub`` or ``node``.
    """

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    mark: Mapped[str] = mapped_column(String(50))
    heard_at: Mapped[datetime]
    behind: Mapped[str | None] = mapped_column(String(4))
    jumped_at: Mapped[datetime | None]
    jumps: Mapped[int] = mapped_column(default=0)
    jumps_since: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("behind IN ('hub', 'node')", name="behind"),)


class FormerUrl(db.Model):
    """An address that a node has left; for a while it is nobody else's."""

    url: Mapped[str] = mapped_column(String(300), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), index=True)
    left_at: Mapped[datetime]


class Invitation(db.Model):
    """Lets one operator enrol one node, once."""

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    operator: Mapped[str] = mapped_column(String(120))
    node_id: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Space(db.Model):
    """A place, as its node last published it. Who publishes an id first keeps it."""

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), index=True)
    name: Mapped[str] = mapped_column(String(120))
    town: Mapped[str] = mapped_column(String(120))
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    document: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    # kept off the map by a moderator: why, and what its operator says to that
    hidden_at: Mapped[datetime | None]
    hidden_reason: Mapped[str] = mapped_column(
        String(500), default="", server_default=db.text("''")
    )
    hidden_reply: Mapped[str] = mapped_column(
        String(1000), default="", server_default=db.text("''")
    )
    hidden_replied_at: Mapped[datetime | None]

    node: Mapped[Node] = relationship(lazy="joined", innerjoin=True)
    availability: Mapped[Availability | None] = relationship(lazy="joined", viewonly=True)

    __table_args__ = (
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        Index("ix_space_place", "latitude", "longitude"),
    )


class SpaceEvent(db.Model):
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


class Document(db.Model):
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


class Availability(db.Model):
    """What a space's node last said of its free places; past ``expires_at`` nothing is known."""

    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"), primary_key=True)
    guest_places: Mapped[int]
    guest_places_free: Mapped[int]
    paused: Mapped[bool]
    as_of: Mapped[datetime]
    expires_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("guest_places >= 0 AND guest_places_free >= 0", name="places"),
    )


class AuditEntry(db.Model):
    """Who did what to the network; only ever added to."""

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(160))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(160))
    detail: Mapped[dict[str, Any]]
