"""A service goes on while its database is migrated ahead of it and its workers are replaced."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask
from sqlalchemy import inspect

from shared.store import migrations
from shared.store.revisions import known
from tests.architecture.applications import APPLICATIONS, NOWHERE
from tests.databases import Databases, create_tables
from tests.e2e.processes import ROOT, free_port_base

pytestmark = [pytest.mark.processes, pytest.mark.thorough]
SECONDS = 60

# What the next version might bring: it only adds.
NEXT = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None

def upgrade():
    op.create_table("of_tomorrow", sa.Column("id", sa.Integer(), primary_key=True))
    with op.batch_alter_table("account") as batch:
        batch.add_column(sa.Column("of_tomorrow", sa.String(20), nullable=True))
"""


@pytest.fixture(params=APPLICATIONS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def app(kind: str, tmp_path: Path, databases: Databases) -> Iterator[Flask]:
    made = APPLICATIONS[kind](tmp_path, databases.new())
    create_tables(made)
    yield made
    with made.app_context():
        made.extensions["sqlalchemy"].session.remove()
        made.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def environ(kind: str, app: Flask, tmp_path: Path) -> dict[str, str]:
    values = {
        "URL": "http://127.0.0.1:8000",
        "SECRET_KEY": "s" * 32,
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": app.config["SQLALCHEMY_DATABASE_URI"],
        "DEMO": "yes",
        "ALLOW_PRIVATE_PEERS": "yes",
        "PORT": str(free_port_base(1)),
        "WORKERS": "2",
        **({"HUB_URL": NOWHERE, "NAME": "Le Test"} if kind == "node" else {}),
    }
    return {f"{kind.upper()}_{name}": value for name, value in values.items()}


def migrate_ahead(app: Flask, folder: Path) -> None:
    """Do what ``migrate`` of the next version does."""
    script: Any = app.extensions["migrate"]
    directory = Path(script.directory)
    shutil.copytree(directory, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "9999_next.py").write_text(NEXT.format(head=known(directory).head))
    script.migrate.directory = str(folder)
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        with engine.connect() as connection, migrations.unlinked(connection):
            connection.execution_options(writes=True)
            with connection.begin():
                migrations.upgrade(connection)
        assert "of_tomorrow" in inspect(engine).get_table_names()


def passerelle(environ: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@contextmanager
def serving(kind: str, environ: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    url = f"http://127.0.0.1:{environ[f'{kind.upper()}_PORT']}"
    process = passerelle({**environ, f"{kind.upper()}_LOG_LEVEL": "ERROR"}, kind, "serve")
    try:
        deadline = time.monotonic() + SECONDS
        while not _ready(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield process, url
    finally:
        process.terminate()
        process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


class Visitors:
    """Ask for pages one after the other, each time over a new connection."""

    def __init__(self, urls: list[str]) -> None:
        self.answers: Counter[str] = Counter()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url,)) for url in urls]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        while not self._over.wait(0.02):
            try:
                self.answers[str(requests.get(url, timeout=30).status_code)] += 1
            except requests.RequestException as error:
                self.answers[repr(error)] += 1

    def wait_for(self, number: int) -> None:
        wanted, deadline = sum(self.answers.values()) + number, time.monotonic() + SECONDS
        while sum(self.answers.values()) < wanted:
            assert time.monotonic() < deadline, self.answers
            time.sleep(0.02)

    def leave(self) -> Counter[str]:
        self._over.set()
        for thread in self._threads:
            thread.join()
        return self.answers


def workers_of(process: subprocess.Popen[bytes]) -> set[str]:
    return set(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())


def test_no_request_is_lost_while_the_database_is_migrated_and_the_workers_are_replaced(
    kind: str, app: Flask, environ: dict[str, str], tmp_path: Path
) -> None:
    with serving(kind, environ) as (process, url):
        visitors = Visitors([f"{url}/readyz", f"{url}/login"])
        try:
            visitors.wait_for(20)
            migrate_ahead(app, tmp_path / "next")
            visitors.wait_for(20)
            before = workers_of(process)
            process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + SECONDS
            while workers_of(process) & before or len(workers_of(process)) < 2:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            visitors.wait_for(20)
        finally:
            answers = visitors.leave()
        assert set(answers) == {"200"}, answers
        said = requests.get(f"{url}/readyz", timeout=30).json()
        assert (said["status"], said["faults"]) == ("ok", [])
        assert "at revision 9999 of a newer version" in said["notes"][0]
    refused = passerelle(environ, kind, "serve")
    _, words = refused.communicate(timeout=SECONDS)
    assert refused.returncode == 1
    assert b"start the newer version" in words
