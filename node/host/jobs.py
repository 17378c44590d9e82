"""One scheduler for all operators' nodes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from flask import Flask
from sqlalchemy import Engine

from node.host.nodes import MakeApp, make
from node.host.operators import Operator, Place, placed, stat_of
from node.host.rounds import Rounds
from node.host.settings import HostSettings
from shared.base import deadline
from shared.ops.jobs import JOBS_LOCK, Job, Leadership, guarded
from shared.ops.watch import tally_of
from shared.wire.problems import frames_of

log = structlog.get_logger()

TICK_SECONDS = 0.5
LOOK_SECONDS = 1.0
# What one run of a job may wait for others, in all.
RUN_SECONDS = 60.0
TRY_AGAIN_SECONDS = 10.0
_LEAD = "lead"
_LEAD_SECONDS = 5.0


@dataclass(eq=False)
class Led:
    place: Place
    app: Flask
    engine: Engine
    leadership: Leadership


class HostJobs:
    """Whose jobs this process runs: of each who is served and whose jobs nobody else runs."""

    def __init__(self, host: HostSettings, make_app: MakeApp, jobs: Sequence[Job]) -> None:
        self._host = host
        self._make_app = make_app
        # Who leads on PostgreSQL may lose that; a file's lock is kept.
        self._jobs = jobs
        self._rounds = Rounds([*jobs, Job(_LEAD, _LEAD_SECONDS, lambda: None)], host.job_threads)
        self._places: dict[str, Place] = {}
        self._led: dict[str, Led] = {}
        self._coming: dict[str, float] = {}
        self._going: set[str] = set()
        self._faults: dict[str, list[str]] = {}
        self._look_at = 0.0
        self._lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Run the jobs until ``stop``."""
        while not stop.is_set():
            self.step()
            self._rounds.news.wait(TICK_SECONDS)
            self._rounds.news.clear()
        self._rounds.close()
        for led in list(self._led.values()):
            _let_go(led)

    def step(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._look(now)
        self._rounds.tick()

    def _look(self, now: float) -> None:
        """See who came, went or changed."""
        places, faults = placed(self._host.data_dir, self._host, self._places)
        for operator_id in faults.keys() - self._faults.keys():
            log.error("host.left-aside", operator=operator_id, faults=faults[operator_id])
        self._places, self._faults = places, faults
        with self._lock:
            gone = [one for one, led in self._led.items() if places.get(one) != led.place]
            new = [
                place
                for one, place in places.items()
                if one not in self._led and self._coming.get(one, 0) <= now
            ]
            for place in new:
                self._coming[place.operator.id] = now + TRY_AGAIN_SECONDS
        for operator_id in gone:
            self._end(operator_id)
        for place in new:
            self._rounds.in_background(lambda place=place: self._begin(place))  # type: ignore[misc]

    def _begin(self, place: Place) -> None:
        """Make an operator's node and lead its jobs; one that cannot be is left aside a while."""
        operator_id = place.operator.id
        structlog.contextvars.clear_contextvars()
        try:
            app = make(self._make_app, place)
            with app.app_context():
                engine: Engine = app.extensions["sqlalchemy"].engine
            leadership = Leadership(engine, place.operator.folder / JOBS_LOCK)
            if not _acquire(leadership):
                engine.dispose()
                return
        except Exception as error:  # noqa: BLE001 - one operator's fault is no other's
            name, where = type(error).__name__, frames_of(error)
            log.error("host.not-made", operator=operator_id, error=name, where=where)
            return
        tally_of(app).begin((job.name, job.every_seconds) for job in self._jobs)
        led = Led(place, app, engine, leadership)
        with self._lock:
            self._led[operator_id] = led
            self._coming.pop(operator_id, None)
        self._rounds.add(operator_id, lambda job: self._run(led, job), _stamp_of(place.operator))
        log.info("jobs.leading", operator=operator_id)

    def _run(self, led: Led, job: Job) -> None:
        operator_id = led.place.operator.id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(operator=operator_id)
        if not led.leadership.sure and not led.leadership.held():
            log.error("jobs.leadership-lost")
            self._end(operator_id)
        elif job.name != _LEAD:
            with deadline.within(RUN_SECONDS):
                guarded(led.app, job)()

    def _end(self, operator_id: str) -> None:
        with self._lock:
            led = self._led.get(operator_id)
            if led is None or operator_id in self._going:
                return
            self._going.add(operator_id)

        def ended() -> None:
            try:
                _let_go(led)
            finally:
                with self._lock:
                    self._led.pop(operator_id, None)
                    self._going.discard(operator_id)
            log.info("jobs.ended", operator=operator_id)

        self._rounds.remove(operator_id, ended)


def _stamp_of(one: Operator) -> Callable[[], object]:
    return lambda: stat_of(one.written)


def _acquire(leadership: Leadership) -> bool:
    """Lead, unless another does, or may not know yet that it does no more."""
    if not leadership.acquire():
        return False
    time.sleep(leadership.pause)
    if leadership.held():
        return True
    leadership.release()
    return False


def _let_go(led: Led) -> None:
    led.leadership.release()
    led.engine.dispose()


def run(host: HostSettings, make_app: MakeApp, jobs: Sequence[Job]) -> None:
    """Run all operators' jobs until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log.info("host.jobs", pid=os.getpid())
    HostJobs(host, make_app, jobs).run(stop)
