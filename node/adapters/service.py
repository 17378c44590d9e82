"""Other tools of a space: added, looked at, read every so often, paused, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
import structlog
from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.adapters import apply
from node.adapters.fetching import Fetcher
from node.adapters.interface import Source, Unchanged, Unreadable
from node.adapters.models import SpaceSource
from node.adapters.registry import adapters
from node.adapters.validation import Taken, check, until
from node.context import Node
from node.spaces import hours
from node.spaces import service as spaces
from shared.store.db import release, write
from shared.wire.problems import Problem

EVERY = timedelta(minutes=15)
MOST_SOURCES = 12
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a source: ``taken``, or a ``fault``, or neither: nothing changed."""

    taken: Taken | None = None
    fault: str = ""
    etag: str = ""
    modified: str = ""
    basis: str = ""


def sources(session: Session, space_id: str) -> Sequence[SpaceSource]:
    query = select(SpaceSource).where(SpaceSource.space_id == space_id).order_by(SpaceSource.id)
    return session.scalars(query).all()


def find(session: Session, space_id: str, source_id: int) -> SpaceSource:
    """Return one source of a space. Raises Problem("not-found")."""
    row = session.get(SpaceSource, source_id)
    if row is None or row.space_id != space_id:
        raise Problem("not-found")
    return row


def add(
    session: Session, node: Node, space_id: str, adapter: str, name: str, url: str, open_to: str
) -> int:
    """Add a source; nothing is taken from it yet. Returns its id. Raises Problem."""
    del node
    row = SpaceSource(space_id=space_id, adapter=adapter, name=name, url=url, open_to=open_to)
    try:
        with write(session):
            spaces.space(session, space_id)
            if len(sources(session, space_id)) >= MOST_SOURCES:
                raise Problem("conflict", "a space has at most 12 sources: remove one first")
            session.add(row)
    except IntegrityError:
        raise Problem("conflict", "this address is a source of this space already") from None
    return row.id


def look(session: Session, node: Node, row: SpaceSource, *, anew: bool = True) -> Reading:
    """Read a source; nothing is written. ``anew``: also if nothing changed since the last time.

    No transaction is held while the source is asked.
    """
    space = spaces.space(session, row.space_id)
    now = node.clock.now()
    usual = hours.schedule(space, spaces.today(space, now), imported=False)
    source = Source(row.url, space.name, space.street or "", usual, now, until(now))
    exceptions = {day.isoformat(): spans for day, spans in usual.exceptions.items()}
    basis = hashlib.sha256(
        orjson.dumps(
            [spaces.today(space, now), str(usual.zone), usual.week, exceptions, row.adapter]
        )
    ).hexdigest()
    same = not anew and basis == row.basis and not row.fault
    fetch = Fetcher(
        node.peers,
        row.url,
        etag=row.etag if same else "",
        modified=row.modified if same else "",
        allow_private=node.settings.allow_private_peers,
    )
    source_id, adapter = row.id, adapters().get(row.adapter)
    release(session)
    if adapter is None:
        return Reading(fault="The adapter of this source is not installed any more.")
    try:
        taken = check(adapter.read(source, fetch), source)
    except Unchanged:
        return Reading(etag=fetch.etag, modified=fetch.modified, basis=basis)
    except Unreadable as error:
        return Reading(fault=str(error)[:400])
    except Exception as error:  # noqa: BLE001 - other people's code, and other people's data
        log.warning("source.adapter-failed", source=source_id, error=type(error).__name__)
        return Reading(fault="The adapter failed: what it reads is not as it expects.")
    return Reading(taken, etag=fetch.etag, modified=fetch.modified, basis=basis)


def take(session: Session, node: Node, space_id: str, source_id: int) -> Reading:
    """Read a source and keep what it has; from then on it is read by itself. Raises Problem."""
    reading = look(session, node, find(session, space_id, source_id))
    keep(session, node, source_id, reading, activate=not reading.fault)
    return reading


def keep(
    session: Session, node: Node, source_id: int, reading: Reading, *, activate: bool = False
) -> None:
    """Write what came of a reading; what was taken before stays where nothing could be read.

    Publishes if anything changed. A source that was removed or paused meanwhile is left alone.
    """
    now = node.clock.now()
    with write(session):
        query = select(SpaceSource).where(SpaceSource.id == source_id).with_for_update()
        row = session.scalars(query).one_or_none()
        if row is None or (row.state != "active" and not activate):
            return
        row.tried_at = now
        if reading.fault:
            row.fault_since = row.fault_since if row.fault else now
            row.fault = reading.fault
            return
        row.fault, row.fault_since, row.read_at = "", None, now
        row.etag, row.modified, row.basis = reading.etag, reading.modified, reading.basis
        if activate:
            row.state = "active"
        if reading.taken is not None:
            row.left_out = reading.taken.faults
            changed = apply.store(session, row, reading.taken, now)
            _publish(session, node, row.space_id, changed=changed)


def _publish(session: Session, node: Node, space_id: str, *, changed: bool) -> None:
    session.flush()
    if apply.merge(session, space_id) or changed:
        space = spaces.space(session, space_id)
        space.revision += 1
        space.updated_at = node.clock.now()
        spaces.queue_publication(session, node)


def pause(session: Session, space_id: str, source_id: int, *, paused: bool) -> None:
    """Stop reading a source, or go on; what was taken stays. Raises Problem."""
    with write(session):
        row = find(session, space_id, source_id)
        if row.state != "new":
            row.state, row.tried_at = "paused" if paused else "active", None


def remove(
    session: Session, node: Node, space_id: str, source_id: int, *, keep_imported: bool
) -> None:
    """Remove a source, with what it brought, or leave that to the sheet. Raises Problem."""
    with write(session):
        row = find(session, space_id, source_id)
        if keep_imported:
            apply.adopt(session, row)
        else:
            apply.drop(session, row, node.clock.now())
        _publish(session, node, space_id, changed=True)


def due(session: Session, now: datetime) -> list[int]:
    """Return the sources to be read now, those that wait longest first."""
    query = (
        select(SpaceSource.id)
        .where(
            SpaceSource.state == "active",
            or_(SpaceSource.tried_at.is_(None), SpaceSource.tried_at <= now - EVERY),
        )
        .order_by(SpaceSource.tried_at.nulls_first(), SpaceSource.id)
    )
    return list(session.scalars(query))


def read_due(session: Session, node: Node) -> None:
    """Read every source whose time has come; one that fails holds no other up."""
    for source_id in due(session, node.clock.now()):
        row = session.get(SpaceSource, source_id)
        if row is None:
            continue
        reading = look(session, node, row, anew=False)
        keep(session, node, source_id, reading)
        if reading.fault:
            log.info("source.not-read", source=source_id)
