"""How the jobs process is: what became of each job, and what was last observed.

The jobs process keeps count in memory and writes it down four times a minute, which is also its
sign of life; the workers read it, for ``/metrics`` and for the page of whoever runs the service.
All times are real time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import BigInteger, String, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.net.http import PeerError, PeerSession
from shared.store.db import write

WRITTEN_EVERY_SECONDS = 15
SILENT_AFTER = timedelta(minutes=3)
# What is observed.
JOBS, CERTIFICATE = "jobs", "certificate"
CERTIFICATE_SECONDS = 5.0
_KEY = "job_tally"


class JobRecordColumns:
    """What became of a job since its first run; ``seconds`` is how long its runs took in all."""

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    every_seconds: Mapped[float]
    since: Mapped[datetime]
    runs: Mapped[int] = mapped_column(BigInteger, default=0)
    failures: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    succeeded_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    fault: Mapped[str | None] = mapped_column(String(80))


class ObservationColumns:
    """What the jobs process last saw ``at`` some moment: a ``value``, or the ``fault`` it met."""

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    at: Mapped[datetime]
    value: Mapped[float | None]
    fault: Mapped[str | None] = mapped_column(String(120))


@dataclass(slots=True)
class Count:
    """What became of a job since it was last written down."""

    every_seconds: float
    runs: int = 0
    failures: int = 0
    seconds: float = 0.0
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    fault: str | None = None

    def add(self, later: Count) -> None:
        self.runs += later.runs
        self.failures += later.failures
        self.seconds += later.seconds
        self.succeeded_at = later.succeeded_at or self.succeeded_at
        self.failed_at, self.fault = (
            (later.failed_at, later.fault) if later.failed_at else (self.failed_at, self.fault)
        )


@dataclass
class Tally:
    """What one application's jobs did in this process, and was not written down yet."""

    counts: dict[str, Count] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, jobs: Iterable[tuple[str, float]]) -> None:
        """Say which jobs there are: one that never ends is seen too."""
        self._add({name: Count(seconds) for name, seconds in jobs})

    def note(
        self, name: str, every_seconds: float, seconds: float, now: datetime, fault: str | None
    ) -> None:
        """Note that a job has ended: one call for each run."""
        count = Count(every_seconds, 1, int(fault is not None), seconds, fault=fault)
        if fault is None:
            count.succeeded_at = now
        else:
            count.failed_at = now
        self._add({name: count})

    def take(self) -> dict[str, Count]:
        """Return what was counted, and begin anew with the same jobs."""
        with self.lock:
            taken = self.counts
            self.counts = {name: Count(count.every_seconds) for name, count in taken.items()}
        return taken

    def put_back(self, taken: dict[str, Count]) -> None:
        """Count what could not be written down with what comes after it."""
        with self.lock:
            later, self.counts = self.counts, taken
        self._add(later)

    def _add(self, counts: dict[str, Count]) -> None:
        with self.lock:
            for name, count in counts.items():
                if name in self.counts:
                    self.counts[name].add(count)
                else:
                    self.counts[name] = count


def tally_of(app: Flask) -> Tally:
    found: Tally = app.extensions.setdefault(_KEY, Tally())
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """What was last observed."""

    at: datetime
    value: float | None
    fault: str | None


class Watch:
    """Bound once to a service's tables."""

    def __init__(self, record: Any, observation: Any) -> None:
        self.record, self.observation = record, observation

    def write_down(self, session: Session, now: datetime, tally: Tally) -> None:
        """Add what the jobs did to what they did before; that is the sign of life, too."""
        taken = tally.take()
        try:
            with write(session):
                known = {row.name: row for row in session.scalars(select(self.record))}
                for name, count in taken.items():
                    self._add(session, now, known.get(name), name, count)
                if taken:  # a job that this version has no more
                    gone = delete(self.record).where(self.record.name.not_in(list(taken)))
                    session.execute(gone)
                self._see(session, JOBS, Seen(now, float(os.getpid()), None))
        except BaseException:
            tally.put_back(taken)
            raise

    def _add(self, session: Session, now: datetime, row: Any, name: str, count: Count) -> None:
        if row is None:
            row = self.record(name=name, since=now, runs=0, failures=0, seconds=0.0)
            session.add(row)
        row.every_seconds = count.every_seconds
        row.runs += count.runs
        row.failures += count.failures
        row.seconds += count.seconds
        row.succeeded_at = count.succeeded_at or row.succeeded_at
        if count.failed_at is not None:
            row.failed_at, row.fault = count.failed_at, (count.fault or "")[:80]

    def _see(self, session: Session, name: str, seen: Seen) -> None:
        row = session.get(self.observation, name)
        if row is None:
            row = self.observation(name=name)
            session.add(row)
        row.at, row.value, row.fault = seen.at, seen.value, seen.fault

    def observe_certificate(
        self, session: Session, now: datetime, peers: PeerSession, url: str
    ) -> None:
        """Look at our own certificate as others see it, in a few seconds.

        One that does not hold is a fault of its own; where nobody answers (a network that does not
        lead back into itself), what was seen before is kept, with the moment at which it was.
        """
        if not url.startswith("https://"):
            return
        try:
            ends = peers.certificate_end(url, timeout=CERTIFICATE_SECONDS)
            seen = Seen(now, ends.timestamp(), None)
        except PeerError as error:
            if not error.detail.startswith("SSL"):
                return
            before = self.seen(session, CERTIFICATE)
            seen = Seen(now, before.value if before else None, error.detail[:120])
        with write(session):
            self._see(session, CERTIFICATE, seen)

    def seen(self, session: Session, name: str) -> Seen | None:
        row = session.get(self.observation, name)
        return Seen(row.at, row.value, row.fault) if row is not None else None

    def records(self, session: Session) -> list[Any]:
        """Return what became of each job."""
        return list(session.scalars(select(self.record).order_by(self.record.name)))

    def alive_at(self, session: Session) -> datetime | None:
        """Return when the jobs process was last at work."""
        seen = self.seen(session, JOBS)
        return seen.at if seen else None


def is_silent(alive_at: datetime | None, now: datetime) -> bool:
    return alive_at is None or now - alive_at > SILENT_AFTER
