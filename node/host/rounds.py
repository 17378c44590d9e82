"""Whose job is next: fairly among operators, in the threads that there are.

Each operator's jobs wait in that operator's own row. One that is slow holds its own threads and
nobody else's: few at once, and a single one when threads are scarce. While nothing is written at
an operator's, what would be looked at every second is looked at every few seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import structlog

from shared.ops.jobs import Job

log = structlog.get_logger()

LANES = 3  # of one operator at once
AWAKE_SECONDS = 10.0  # after something was written
QUIET_SECONDS = 15.0
STUCK_SECONDS = 300.0

Clock = Callable[[], float]


@dataclass(eq=False)
class Row:
    """An operator's jobs. ``stamp`` is another once somebody else wrote something."""

    operator_id: str
    run: Callable[[Job], None]
    stamp: Callable[[], object]
    due: dict[str, float]
    running: dict[str, float] = field(default_factory=dict)
    seen: object = None
    awake_until: float = 0.0
    ended: Callable[[], None] | None = None
    told: set[str] = field(default_factory=set)


class Rounds:
    def __init__(
        self,
        jobs: Sequence[Job],
        threads: int,
        submit: Callable[[Callable[[], None]], object] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "jobs")
        self._submit = submit or self._pool.submit
        self._clock = clock
        self._rows: dict[str, Row] = {}
        self._lock = threading.RLock()
        self.news = threading.Event()

    def add(
        self,
        operator_id: str,
        run: Callable[[Job], None],
        stamp: Callable[[], object] = lambda: None,
    ) -> None:
        """Have an operator's jobs run from now on, each at once for the first time."""
        with self._lock:
            now = self._clock()
            row = Row(operator_id, run, stamp, dict.fromkeys(self._jobs, now))
            row.seen, row.awake_until = stamp(), now + AWAKE_SECONDS
            self._rows[operator_id] = row

    def remove(self, operator_id: str, ended: Callable[[], None]) -> None:
        """Start none of an operator's jobs any more; ``ended`` is called when the last is done."""
        with self._lock:
            row = self._rows.pop(operator_id, None)
            if row is not None and row.running:
                row.ended = ended
                return
        ended()

    def tick(self) -> None:
        """Start what is due, for one operator after another; another is first each time."""
        with self._lock:
            now = self._clock()
            rows = list(self._rows.values())
            busy = sum(len(row.running) for row in rows)
            for row in rows:
                self._look(row, now)
                busy += self._start(row, now, busy)
            if rows:
                first = self._rows.pop(rows[0].operator_id)
                self._rows[first.operator_id] = first

    def _look(self, row: Row, now: float) -> None:
        stamp = row.stamp()
        if stamp != row.seen:
            if now >= row.awake_until:
                for name, job in self._jobs.items():
                    row.due[name] = min(row.due[name], now + job.every_seconds)
            row.seen, row.awake_until = stamp, now + AWAKE_SECONDS
        for name, since in row.running.items():
            if now - since > STUCK_SECONDS and name not in row.told:
                row.told.add(name)
                log.error("job.stuck", operator=row.operator_id, job=name, seconds=now - since)

    def _start(self, row: Row, now: float, busy: int) -> int:
        lanes = LANES if busy < self._threads // 2 else 1
        waiting = [name for name, due in row.due.items() if due <= now and name not in row.running]
        waiting.sort(key=row.due.__getitem__)
        started = waiting[: max(0, lanes - len(row.running))]
        for name in started:
            row.running[name] = now
            self._submit(lambda name=name: self._do(row, self._jobs[name]))  # type: ignore[misc]
        return len(started)

    def _do(self, row: Row, job: Job) -> None:
        started = self._clock()
        try:
            row.run(job)
        finally:
            with self._lock:
                now = self._clock()
                quiet = now >= row.awake_until
                seconds = max(job.every_seconds, QUIET_SECONDS) if quiet else job.every_seconds
                row.due[job.name] = max(now, started + seconds)
                del row.running[job.name]
                row.told.discard(job.name)
                ended = row.ended if not row.running else None
            if ended is not None:
                ended()
            self.news.set()

    def in_background(self, work: Callable[[], None]) -> None:
        self._submit(work)

    def close(self) -> None:
        """Start nothing any more, and wait for what runs."""
        with self._lock:
            self._rows.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)
