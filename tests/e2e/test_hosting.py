"""``passerelle host``: operators come and go while the others are served."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.processes import ROOT, free_port_base

pytestmark = [pytest.mark.processes, pytest.mark.thorough]
PASSWORD = "correct horse battery"
WAIT = 60.0


class Host:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "host"
        self.base = free_port_base(1)
        self.environ = {**os.environ, "HOST_ENV_FILE": str(self.folder / "host.env")}

    def run(self, *arguments: str, **environ: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "deploy.cli", *arguments],
            cwd=ROOT,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def add(self, name: str, *more: str) -> str:
        about = {
            "--url": f"http://{name}.example:{self.base}",
            "--hub": "http://127.0.0.1:9",
            "--name": name,
            "--space": f"Espace {name}",
            "--town": "Lyon",
            "--email": f"admin@{name}.example",
            "--password": PASSWORD,
        }
        options = [part for pair in about.items() for part in pair]
        return self.run("host", "add", name, *options, "--private", *more)

    @contextmanager
    def running(self, *verbs: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        with (self.folder / "log").open("wb") as log:
            started = [
                subprocess.Popen(
                    [sys.executable, "-m", "deploy.cli", "host", verb],
                    cwd=ROOT,
                    env=self.environ,
                    stdout=log,
                    stderr=log,
                )
                for verb in verbs
            ]
        try:
            yield started
        finally:
            for process in started:
                process.terminate()
            for process in started:
                assert process.wait(30) == 0, (self.folder / "log").read_text()

    def status(self, name: str) -> int:
        """Return how a host name is answered; 0 while nobody listens."""
        headers = {"Host": f"{name}.example:{self.base}"}
        try:
            url = f"http://127.0.0.1:{self.base}/readyz"
            return requests.get(url, headers=headers, timeout=20).status_code
        except requests.RequestException:
            return 0

    def wait_for(self, name: str, status: int) -> None:
        deadline = time.monotonic() + WAIT
        while self.status(name) != status:
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    found = Host(tmp_path)
    listen = f"127.0.0.1:{found.base}"
    said = found.run(
        "host", "init", "--data-dir", str(found.folder), "--listen", listen, "--proxies", "0"
    )
    assert "passerelle host serve" in said
    return found


def test_operators_come_and_go_while_the_others_are_served(host: Host, tmp_path: Path) -> None:
    host.add("aaa")
    with host.running("serve", "jobs") as (server, jobs):
        host.wait_for("aaa", 200)
        assert host.status("bbb") == 404
        host.add("bbb", "--set", "NODE_TILES_ATTRIBUTION=nobody")
        host.wait_for("bbb", 200)
        env_file = host.folder / "operators" / "bbb" / "node.env"
        assert 'NODE_TILES_ATTRIBUTION="nobody"' in env_file.read_text()
        worker = next(iter(_children(server.pid)))
        os.kill(worker, signal.SIGKILL)
        for name in ("aaa", "bbb"):
            host.wait_for(name, 200)
        saved = tmp_path / "bbb.zip"
        host.run("node", "backup", str(saved), NODE_ENV_FILE=str(env_file))
        said = host.run("host", "remove", "bbb")
        assert str(env_file.parent) in said
        assert env_file.exists()
        host.wait_for("bbb", 404)
        assert host.status("aaa") == 200
        host.run("node", "restore", str(saved), "--replace", NODE_ENV_FILE=str(env_file))
        host.run("host", "add", "bbb", "--again")
        host.wait_for("bbb", 200)
        host.run("host", "remove", "bbb", "--delete", "--yes")
        assert not env_file.parent.exists()
        host.run("host", "add", "bbb", "--from", str(saved))
        host.wait_for("bbb", 200)
        listed = host.run("host", "list")
        assert [line.split()[0] for line in listed.splitlines()] == ["aaa", "bbb"]
        assert jobs.poll() is None
    host.run("host", "migrate")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "../x"), "lower-case"),
        (("add", "aaa"), "missing: --url"),
        (("add", "aaa", "--again"), "is not here"),
        (("remove", "aaa"), "is not here"),
        (("add", "aaa", "--from", "pyproject.toml", "--name", "x"), "as it was"),
        (("add", "aaa", "--from", "pyproject.toml"), "not a backup"),
    ],
)
def test_what_cannot_be_is_said_in_words_and_leaves_nothing(
    host: Host, arguments: tuple[str, ...], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", "host", *arguments],
        cwd=ROOT,
        env=host.environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list((host.folder / "operators").iterdir()) == []


def _children(number: int) -> list[int]:
    said = Path(f"/proc/{number}/task/{number}/children").read_text()
    return [int(child) for child in said.split()]
