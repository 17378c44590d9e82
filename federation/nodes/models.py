"""The network's nodes, their keys and addresses, and how they come in."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from federation.db import Model, db

STATES = ("connected", "late", "offline", "suspended", "left")


class Node(Model):
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
    # how often in a row, and when it is asked again: at once where there is no time
    harvest_failures: Mapped[int] = mapped_column(default=0, server_default=db.text("0"))
    harvest_due_at: Mapped[datetime | None]
    # when the coordination was told that it is silent; None again once it is heard
    silence_told_at: Mapped[datetime | None]
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


class NodeKey(Model):
    """A node's public key. A withdrawn one stays, so that what it signed can be explained.

    ``withdrawn_at`` is the instant from which nothing it signed is believed; it may lie before
    the moment at which somebody said so, never after it.
    """

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    jwk: Mapped[dict[str, Any]]
    added_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_reason: Mapped[str] = mapped_column(
        String(300), default="", server_default=db.text("''")
    )


class NodeMark(Model):
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
    # what the node said of itself with it: None where it said nothing of the kind
    version: Mapped[str | None] = mapped_column(String(40))
    outbox_pending: Mapped[int | None]
    outbox_dead: Mapped[int | None]
    # its clock against ours when it said so, in seconds: more than 0 is fast
    skew: Mapped[int | None]

    __table_args__ = (CheckConstraint("behind IN ('hub', 'node')", name="behind"),)


class FormerUrl(Model):
    """An address that a node has left; for a while it is nobody else's."""

    url: Mapped[str] = mapped_column(String(300), primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), index=True)
    left_at: Mapped[datetime]


class UrlChange(Model):
    """An address that a node asks for and that its present one has not confirmed."""

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    url: Mapped[str] = mapped_column(String(300))
    asked_at: Mapped[datetime]


class SignedTrustList(Model):
    """The one row with the trust list as it was last signed, and is served.

    ``changed_at`` is when it last changed in more than who is late or offline: then nodes are
    told. Times are real, whatever day it is said to be.
    """

    __tablename__ = "trust_list"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(Text)
    etag: Mapped[str] = mapped_column(String(64))
    # what it was signed with, and as: another of either makes it be signed anew
    kid: Mapped[str] = mapped_column(String(64))
    hub_url: Mapped[str] = mapped_column(String(300))
    signed_at: Mapped[datetime]
    changed_at: Mapped[datetime]

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


class TrustChange(Model):
    """A mark, set in the transaction of a change, that the trust list is to be signed anew.

    Rows are only added and taken away, so that no change waits for another.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    # no more than who is late or offline: nodes need not be told
    minor: Mapped[bool] = mapped_column(default=False)


class Invitation(Model):
    """Lets one operator enrol one node, once; given anew, lets that node register another key."""

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    operator: Mapped[str] = mapped_column(String(120))
    node_id: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    # whom it was sent to, when it was asked for
    email: Mapped[str | None] = mapped_column(String(254))


class JoinRequest(Model):
    """An operator asks to join: ``waiting``, then ``admitted`` (invited) or ``declined``.

    ``checks`` is a list of ``{"name", "state", "code", "params"}``, as of ``checked_at``.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    operator: Mapped[str] = mapped_column(String(120))
    person: Mapped[str] = mapped_column(String(120))
    email: Mapped[str] = mapped_column(String(254))
    url: Mapped[str] = mapped_column(String(300))
    words: Mapped[str] = mapped_column(String(2000))
    state: Mapped[str] = mapped_column(String(10), default="waiting")
    asked_at: Mapped[datetime]
    checks: Mapped[list[Any] | None]
    checked_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("account.id"))
    answer: Mapped[str] = mapped_column(String(1000), default="")
    invitation_id: Mapped[int | None] = mapped_column(ForeignKey("invitation.id"), unique=True)

    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'admitted', 'declined')", name="state"),
        CheckConstraint("(state = 'waiting') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("(state = 'admitted') = (invitation_id IS NOT NULL)", name="invited"),
        # the same operator's second request while the first one waits is the first one
        Index(
            "uq_join_request_waiting",
            "email",
            "operator",
            unique=True,
            sqlite_where=db.text("state = 'waiting'"),
            postgresql_where=db.text("state = 'waiting'"),
        ),
    )
