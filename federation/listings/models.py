"""What is kept of a listed space besides its row: what its source said, and what people decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import Model


class Listing(Model):
    """``facts`` as they were last imported, and ``edits`` by hand, which stand over them.

    ``became_id`` is the space with a node that it is now: its old address leads there.
    """

    space_id: Mapped[str] = mapped_column(ForeignKey("space.id"), primary_key=True)
    facts: Mapped[dict[str, Any]]
    edits: Mapped[dict[str, Any]]
    became_id: Mapped[str | None] = mapped_column(ForeignKey("space.id"))


class ListingChoice(Model):
    """What was decided of a row of a source, for this import and those to come.

    ``skip``: it is not listed; ``same``: it is the space ``space_id``, so it is not listed beside
    it; ``apart``: it is another one than ``space_id``, however alike.
    """

    source_id: Mapped[int] = mapped_column(ForeignKey("listing_source.id"), primary_key=True)
    source_key: Mapped[str] = mapped_column(String(200), primary_key=True)
    choice: Mapped[str] = mapped_column(String(8))
    space_id: Mapped[str | None] = mapped_column(ForeignKey("space.id"))
    chosen_by: Mapped[int | None] = mapped_column(ForeignKey("account.id", ondelete="SET NULL"))
    chosen_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("choice IN ('skip', 'same', 'apart')", name="choice"),
        CheckConstraint("choice <> 'same' OR space_id IS NOT NULL", name="same"),
    )


class ListingDraft(Model):
    """A file between being brought and being imported: a day at most, then it is dropped.

    ``source`` is what was said of a new source: name, kind, url, file_name, licence, attribution.
    """

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    source_id: Mapped[int | None] = mapped_column(ForeignKey("listing_source.id"))
    source: Mapped[dict[str, Any]]
    text: Mapped[str] = mapped_column(Text)
    mapping: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
