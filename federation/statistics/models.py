"""What the pictures are made of, where it is not in the account already."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import Model


class Sum(Model):
    """The sums of one month, kept so that a year need not be counted at each look.

    ``state`` is what they were made of: the number of lines, or the statement's revision. Where it
    is another now, they are made anew.
    """

    __tablename__ = "picture_sum"

    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    state: Mapped[int]
    body: Mapped[dict[str, Any]]

    __table_args__ = (CheckConstraint("kind IN ('visits', 'account')", name="kind"),)


class PageView(Model):
    """How often a page was seen on a day; nothing about by whom.

    ``subject`` is a space for its page, the host name of the page around an embedded map (empty
    where it did not say), and empty for the map.
    """

    day: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(5), primary_key=True)
    subject: Mapped[str] = mapped_column(String(120), primary_key=True)
    times: Mapped[int]

    __table_args__ = (
        CheckConstraint("kind IN ('map', 'space', 'embed')", name="kind"),
        CheckConstraint("times > 0", name="times"),
    )


class Reply(Model):
    """What a node's operator says beside its figures of a month; the last word counts."""

    __tablename__ = "picture_reply"

    node_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    text: Mapped[str] = mapped_column(String(1000))
    said_at: Mapped[datetime]


class Asked(Model):
    """What a home says became of what its members asked of a host, for dates in a month."""

    __tablename__ = "picture_asked"

    home_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("node.id"), primary_key=True)
    month: Mapped[str] = mapped_column(String(7), primary_key=True)
    kept: Mapped[int]
    refused: Mapped[int]
    unanswered: Mapped[int]

    __table_args__ = (
        CheckConstraint("kept >= 0 AND refused >= 0 AND unanswered >= 0", name="counts"),
    )
