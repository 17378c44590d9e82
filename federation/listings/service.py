"""Sources of listed spaces, and what was brought and waits to be imported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.listings import mapping as mappings
from federation.listings.models import Listing, ListingChoice, ListingDraft
from federation.listings.reading import Table
from federation.spaces.models import ListingSource, Space
from shared.store.account_tables import new_token
from shared.store.db import write
from shared.wire.problems import Problem

KEPT = timedelta(days=1)


def sources(session: Session) -> list[tuple[ListingSource, int]]:
    """Return the sources by name, each with how many of its spaces are on the map."""
    counts = (
        select(Space.source_id, func.count().label("spaces"))
        .where(Space.withdrawn_at.is_(None), Space.source_id.is_not(None))
        .group_by(Space.source_id)
        .subquery()
    )
    query = (
        select(ListingSource, func.coalesce(counts.c.spaces, 0))
        .outerjoin(counts, counts.c.source_id == ListingSource.id)
        .order_by(ListingSource.name)
    )
    return [(source, number) for source, number in session.execute(query)]


def source(session: Session, source_id: int) -> ListingSource:
    """Raises Problem("not-found")."""
    found = session.get(ListingSource, source_id)
    if found is None:
        raise Problem("not-found")
    return found


def spaces_of(session: Session, source_id: int, after: str, limit: int) -> list[Row[Any]]:
    """Return a source's spaces by id, those behind ``after``: id, name, town, withdrawn_at, …"""
    query = (
        select(
            *(Space.id, Space.name, Space.town, Space.withdrawn_at),
            *(Listing.edits, Listing.became_id),
        )
        .join(Listing, Listing.space_id == Space.id)
        .where(Space.source_id == source_id, Space.id > after)
        .order_by(Space.id)
        .limit(limit)
    )
    return list(session.execute(query))


def change_source(
    session: Session, now: datetime, actor: str, source_id: int, values: Mapping[str, Any]
) -> None:
    """Change name, licence, attribution, url or refreshed. Raises Problem."""
    try:
        with write(session):
            row = session.get(
                ListingSource, source_id, with_for_update=True, populate_existing=True
            )
            if row is None:
                raise Problem("not-found")
            before = {name: getattr(row, name) for name in values}
            if before == values:
                return
            for name, value in values.items():
                setattr(row, name, value)
            told = {"before": before, "after": dict(values)}
            audit(session, now, actor, "listing-source", f"source:{source_id}", **told)
    except IntegrityError:
        raise Problem("conflict", "another source has this name") from None


# What was brought, and waits


def store(
    session: Session,
    now: datetime,
    account_id: int,
    text: str,
    table: Table,
    *,
    told: Mapping[str, Any],
    of: ListingSource | None = None,
) -> str:
    """Keep a file for its trial, in place of the one this account tried before; return its id.

    ``told`` is what was said of a new source. The columns are taken as they were the last time,
    else as their names suggest.
    """
    mapping = mappings.guess(table.columns)
    if of is not None and of.mapping:
        mapping = {
            name: where
            for name, where in of.mapping.items()
            if "text" in where or where["column"] in table.columns
        }
    source_id = of.id if of is not None else None
    with write(session):
        session.execute(delete(ListingDraft).where(ListingDraft.account_id == account_id))
        row = ListingDraft(
            id=new_token(),
            account_id=account_id,
            source_id=source_id,
            source={**told, "kind": table.kind},
            text=text,
            mapping=mapping,
            created_at=now,
        )
        session.add(row)
    return row.id


def kept(session: Session, now: datetime, account_id: int, draft_id: str) -> ListingDraft | None:
    """Return a draft to whoever brought it; None once it is imported or dropped."""
    row = session.get(ListingDraft, draft_id)
    if row is None or row.account_id != account_id or row.created_at < now - KEPT:
        return None
    return row


def map_columns(session: Session, draft_id: str, mapping: mappings.Mapped) -> None:
    """Note which column is what."""
    with write(session):
        row = session.get(ListingDraft, draft_id, with_for_update=True)
        if row is not None:
            row.mapping = {name: dict(where) for name, where in mapping.items()}


def reconsider(session: Session, now: datetime, actor: str, source_id: int, keys: set[str]) -> None:
    """Forget what was decided of rows: the next trial asks again."""
    with write(session):
        query = select(ListingChoice).where(ListingChoice.source_id == source_id)
        for row in session.scalars(query):
            if row.source_key in keys:
                before = {"key": row.source_key, "choice": row.choice, "space": row.space_id}
                subject = f"source:{source_id}"
                audit(session, now, actor, "listing-reconsider", subject, before=before, after=None)
                session.delete(row)


def purge_expired(session: Session, now: datetime) -> None:
    """Drop what nobody imported."""
    with write(session):
        session.execute(delete(ListingDraft).where(ListingDraft.created_at < now - KEPT))
