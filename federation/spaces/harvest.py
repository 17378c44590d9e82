"""Asking nodes for what they publish, in case a push was lost.

Those that answered last time are asked each minute, many at once. One that did not is asked by
others, ever more rarely, so that no number of dead or slow nodes delays the living; once it is
heard of again, it is asked soon.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import SimpleQueue
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import ColumnElement, bindparam, case, nulls_first, or_, select, update
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from federation.spaces.publications import MOST_BYTES, take_pulled
from shared.net.http import Answer, PeerError, PeerSession
from shared.store.db import release, write
from shared.wire.problems import Problem

# The living answer at once: who takes longer holds nobody up for long, and is asked by the patient.
THREADS, SECONDS = 64, 3.0
PATIENT_THREADS, PATIENT_SECONDS = 16, 5.0
MEDIA_TYPES = ("application/jwt", "application/jose")
# A round of those that did not answer ends within a minute or so, whatever their number.
AT_MOST = 200
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
# So many answers may wait to be taken, and so many nodes are noted in one transaction.
WAITING, TOGETHER = 128, 500


@dataclass(frozen=True, slots=True)
class Asked:
    """A node as it is known when it is asked."""

    id: str
    url: str
    held: str | None
    revision: int
    failures: int
    last_seen_at: datetime


@dataclass(slots=True)
class _Notes:
    """What is to be noted, in few transactions: who was heard, and who failed for what reason."""

    heard: list[str] = field(default_factory=list)
    failed: list[tuple[Asked, str]] = field(default_factory=list)


def harvest(session: Session, now: datetime, peers: PeerSession) -> dict[str, str]:
    """Ask every node that answered last time; return what went wrong, by node."""
    tried = case((Node.harvested_at.is_(None), 1), else_=0)
    order = [case((Node.state == "connected", 0), else_=1), tried, Node.id]
    wanted = _select(session, [Node.harvest_failures == 0], order)
    return _ask_all(session, now, peers, wanted, THREADS, SECONDS)


def ask_again(session: Session, now: datetime, peers: PeerSession) -> dict[str, str]:
    """Ask those that did not answer and are due, who was heard meanwhile first."""
    due = or_(Node.harvest_due_at.is_(None), Node.harvest_due_at <= now)
    order = [nulls_first(Node.harvest_due_at), Node.id]
    wanted = _select(session, [Node.harvest_failures > 0, due], order)[:AT_MOST]
    return _ask_all(session, now, peers, wanted, PATIENT_THREADS, PATIENT_SECONDS)


def pause(failures: int, lot: float) -> timedelta:
    """Return for how long a node is left alone after so many failures; ``lot`` is in [0, 1).

    By lot a quarter longer or shorter: what failed together is not asked together for ever.
    """
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 10)) * (0.75 + lot / 2)


def _select(session: Session, which: Sequence[Any], order: Sequence[Any]) -> list[Asked]:
    query = select(
        Node.id,
        Node.url,
        Node.publication_sha256,
        Node.publication_revision,
        Node.harvest_failures,
        Node.last_seen_at,
    ).where(Node.state.notin_(("suspended", "left")), *which)
    found = [Asked(*row) for row in session.execute(query.order_by(*order))]
    release(session)  # nothing is held while nodes are asked
    return found


def _ask_all(
    session: Session,
    now: datetime,
    peers: PeerSession,
    wanted: Sequence[Asked],
    threads: int,
    seconds: float,
) -> dict[str, str]:
    wrong: dict[str, str] = {}
    notes = _Notes()
    for node, found in _answers(peers, wanted, min(threads, len(wanted)), seconds):
        if isinstance(found, Exception):
            fault: str | None = _words(found)
        else:
            fault = _take(session, now, node, found)
        if fault is None:
            notes.heard.append(node.id)
        else:
            wrong[node.id] = fault
            notes.failed.append((node, fault))
        if len(notes.heard) + len(notes.failed) >= TOGETHER:
            _note(session, now, notes)
            notes = _Notes()
    _note(session, now, notes)
    return wrong


def _answers(
    peers: PeerSession, wanted: Sequence[Asked], threads: int, seconds: float
) -> Iterator[tuple[Asked, Answer | Exception]]:
    """Ask in so many threads; yield what is found as it comes, and let little of it pile up."""
    left, found = deque(wanted), SimpleQueue[tuple[Asked, Answer | Exception]]()
    room = threading.Semaphore(WAITING)

    def ask() -> None:
        while True:
            room.acquire()
            try:
                node = left.popleft()
            except IndexError:
                return
            try:
                found.put((node, _fetch(peers, node, seconds)))
            except Exception as error:  # noqa: BLE001 - each that is asked is answered for
                found.put((node, error))

    if not wanted:
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="harvest") as pool:
        for _ in range(threads):
            pool.submit(ask)
        try:
            for _ in wanted:
                yield found.get()
                room.release()
        finally:
            left.clear()
            room.release(threads)


def _fetch(peers: PeerSession, node: Asked, seconds: float) -> Answer:
    return peers.request(
        "GET",
        f"{node.url}/.well-known/passerelle",
        headers={"If-None-Match": f'"{node.held}"'} if node.held else {},
        timeout=seconds,
        max_bytes=MOST_BYTES,
    )


def _take(session: Session, now: datetime, node: Asked, found: Answer) -> str | None:
    """Take what a node answered; return what is wrong with it, if anything is."""
    if found.status == 304:
        return None
    if found.status != 200:
        return f"status {found.status}"
    media_type = found.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        return f"content-type {media_type or 'missing'}"
    try:
        take_pulled(session, now, node.id, found.body, node.revision)
    except Exception as error:  # noqa: BLE001 - whatever one node says, others have a turn
        release(session)
        return _words(error)
    return None


def _words(error: Exception) -> str:
    known = isinstance(error, PeerError | Problem | ValidationError)
    return str(error) if known else type(error).__name__


def _note(session: Session, now: datetime, notes: _Notes) -> None:
    """Note who was heard, and when those that were not are asked again."""
    if notes.heard or notes.failed:
        with write(session) as connection:
            if notes.heard:
                connection.execute(_HEARD, {"ids": notes.heard, "now": now})
            if notes.failed:
                connection.execute(_FAILED, [_failure(now, *each) for each in notes.failed])


def _failure(now: datetime, node: Asked, fault: str) -> dict[str, Any]:
    failures = node.failures + 1
    return {
        "node": node.id,
        "fault": fault.replace("\x00", "")[:200],
        "failures": failures,
        "due": now + pause(failures, random.random()),  # noqa: S311 - spreads load, hides nothing
        "seen": node.last_seen_at,
    }


def _later(column: Any, value: Any) -> ColumnElement[Any]:
    return case((column < value, value), else_=column)


_now = bindparam("now", type_=Node.last_seen_at.type)
_HEARD = (
    update(Node)
    .where(Node.id.in_(bindparam("ids", expanding=True)))
    .values(
        harvest_fault=None,
        harvest_failures=0,
        harvest_due_at=None,
        harvested_at=_now,
        last_seen_at=_later(Node.last_seen_at, _now),
        state=case((Node.state.in_(("late", "offline")), "connected"), else_=Node.state),
    )
)
_seen = bindparam("seen", type_=Node.last_seen_at.type)
_due = bindparam("due", type_=Node.last_seen_at.type)
_FAILED = (
    update(Node)
    .where(Node.id == bindparam("node"))
    .values(
        harvest_fault=bindparam("fault"),
        harvest_failures=bindparam("failures"),
        # one that was heard while it was asked is asked once more at once
        harvest_due_at=case((Node.last_seen_at > _seen, None), else_=_due),
    )
)
