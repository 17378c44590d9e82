"""The scheduler: one process of its own, and one leader among several.

On PostgreSQL the leader holds a session advisory lock and looks at every tick whether it still
has it; with SQLite it holds a lock on a file beside the database.

A link to PostgreSQL may break, and the lock is then another's from that moment on. So no job is
begun by who has not seen the lock of late; whoever finds it lost drops everything at once and
begins anew, as if it had been started again; and whoever takes the lead waits first for as long as
the one before may take to notice.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from shared.ops.watch import tally_of
from shared.store.db import private_file
from shared.wire.problems import frames_of

log = structlog.get_logger()

JOBS_LOCK = "jobs.lock"  # in the data folder
_LOCK_NUMBER = 5_271_009  # any number, the same for every jobs process of one database
_TICK_SECONDS = 1.0
_SURE_SECONDS = 2.0  # how long after a look at the lock a job may begin
_TAKE_OVER_SECONDS = 3.0  # more than that


@dataclass(frozen=True, slots=True)
class Job:
    """A function to call every so many seconds; it must be safe to call again at any time."""

    name: str
    every_seconds: float
    run: Callable[[], Any]


class Leadership:
    """Held by one process at a time; lost when the process, or its database link, dies."""

    def __init__(self, engine: Engine, lock_file: Path) -> None:
        self._engine = engine
        self._path = lock_file
        self._connection: Any = None
        self._file: IO[str] | None = None
        self._seen = 0.0

    def acquire(self) -> bool:
        """Try to lead. Raises SQLAlchemyError where the database does not answer."""
        if self._engine.dialect.name == "postgresql":
            # No transaction stays open behind a lock that is held for weeks.
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            try:
                query = text("SELECT pg_try_advisory_lock(:n)")
                if connection.scalar(query, {"n": _LOCK_NUMBER}):
                    self._connection, self._seen = connection, time.monotonic()
                    return True
            finally:
                if self._connection is None:
                    connection.close()
            return False
        self._file = private_file(self._path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            return False
        return True

    def held(self) -> bool:
        if self._connection is None:
            return self._file is not None
        asked = time.monotonic()
        try:
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        self._seen = asked
        return True

    @property
    def sure(self) -> bool:
        """Tell whether a job may begin: nobody else can lead yet, even if the lock is lost."""
        return self._connection is None or time.monotonic() - self._seen < _SURE_SECONDS

    @property
    def pause(self) -> float:
        """Seconds that whoever has just acquired it waits: another may not know yet that it lost.

        A lock on a file is lost with its process alone.
        """
        return 0.0 if self._connection is None else _TAKE_OVER_SECONDS

    def release(self) -> None:
        """Let another lead, from this moment on.

        The lock is given back in so many words: PostgreSQL notices the end of a connection only
        some time after it. The connection is ended too: back in the pool, a link that broke
        before it gave the lock back would keep it.
        """
        if self._connection is not None:
            with suppress(SQLAlchemyError):  # a link that broke has no lock any more
                self._connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _LOCK_NUMBER})
            self._connection.detach()
            self._connection.close()
            self._connection = None
        if self._file is not None:
            self._file.close()
            self._file = None


def run_jobs(app: Flask, engine: Engine, lock_file: Path, jobs: Sequence[Job]) -> None:
    """Run the jobs until SIGTERM or SIGINT; wait in turn while another process leads.

    It survives a restart of the database, and a SIGHUP, which changes nothing.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: log.warning("jobs.no-reload", what="start it again"))
    leadership = Leadership(engine, lock_file)
    if not _lead(leadership, stop):
        return
    scheduler = BackgroundScheduler(
        timezone="UTC",
        executors={"default": ThreadPoolExecutor(max(4, len(jobs)))},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    tally_of(app).begin((job.name, job.every_seconds) for job in jobs)
    for job in jobs:
        scheduler.add_job(
            _led(leadership, guarded(app, job)),
            "interval",
            seconds=job.every_seconds,
            id=job.name,
            next_run_time=_now(),
        )
    scheduler.start()
    log.info("jobs.leading", pid=os.getpid(), jobs=[job.name for job in jobs])
    while not stop.wait(_TICK_SECONDS):
        if not leadership.held():
            log.error("jobs.leadership-lost")
            _begin_anew()
    scheduler.shutdown(wait=True)


def _lead(leadership: Leadership, stop: threading.Event) -> bool:
    """Wait until this process leads, and nobody else does; False when it is to stop."""
    away = False
    while not stop.is_set():
        try:
            if leadership.acquire():
                if not stop.wait(leadership.pause) and leadership.held():
                    return True
                leadership.release()
            away = False
        except SQLAlchemyError as error:
            if not away:
                log.warning("jobs.database-away", error=type(error).__name__)
            away = True
        stop.wait(_TICK_SECONDS)
    return False


def _led(leadership: Leadership, run: Callable[[], None]) -> Callable[[], None]:
    def run_if_sure() -> None:
        if leadership.sure:
            run()

    return run_if_sure


def _begin_anew() -> None:
    """Take this program's own place: whatever runs here ends at once, as it does by SIGKILL."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves
    except OSError:
        os._exit(1)  # the service manager starts it again


def guarded(app: Flask, job: Job) -> Callable[[], None]:
    """Return a job as it is run: in its application's context, and without raising."""

    def run() -> None:
        started = time.perf_counter()
        structlog.contextvars.bind_contextvars(job=job.name)
        fault = None
        with app.app_context():
            try:
                job.run()
            except Exception as error:  # noqa: BLE001 - one failing run must not end the others
                # Its message may hold values, which may be personal.
                fault = type(error).__name__
                log.error("job.failed", error=fault, where=frames_of(error))
        seconds = time.perf_counter() - started
        tally_of(app).note(job.name, job.every_seconds, seconds, _now(), fault)
        log.debug("job.done", ms=round(seconds * 1000))

    return run


def _now() -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.now(UTC)
