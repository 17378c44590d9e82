"""Whoever follows a page of ``deploy/install/`` to the letter has a service that runs.

What needs root or the internet is done by stand-ins (``stand_in.py``), all below a folder.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from shared.base.env_file import read_env
from shared.base.version import VERSION
from tests.architecture.sources import ROOT
from tests.databases import PostgresServer
from tests.e2e.processes import free_port_base

PAGES = ROOT / "deploy" / "install"
NEED_ROOT = {
    *("apt-get", "useradd", "install", "certbot", "nginx", "systemctl", "runuser"),
    *("createuser", "createdb"),
}
NEED_INTERNET = {"apt-get", "certbot", "curl", "pip"}
TOLD = {"/opt/passerelle", "/var/lib/passerelle", "/var/backups/passerelle", "/etc/"}
Block = tuple[frozenset[str], str]


def blocks(page: str) -> list[Block]:
    """Return each block of commands, with what it is marked to need."""
    text = (PAGES / page).read_text(encoding="utf-8")
    found = re.findall(r"^```sh([a-z ]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [(frozenset(marks.split()), commands) for marks, commands in found]


def answers(page: str) -> dict[str, str]:
    """Return what the page's table says is asked, with the answer of its example."""
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| .*\|$", (PAGES / page).read_text("utf-8"), re.MULTILINE
    )
    return {asked: "" if answer.startswith("*") else answer for asked, answer in rows[2:]}


@dataclass
class Machine:
    """A folder that is the ``/`` of a machine, and the server that runs on it."""

    root: Path
    kind: str
    port: int
    server: subprocess.Popen[bytes] | None = None
    changes: dict[str, str] = field(default_factory=dict)

    def prepare(self, wheel: Path) -> None:
        (self.root / "bin").mkdir(parents=True)
        (self.root / "release").mkdir()
        (self.root / "etc/nginx/sites-enabled").mkdir(parents=True)
        shutil.copy(wheel, self.root / "release")
        shutil.copy(ROOT / "deploy/requirements/run.txt", self.root / "release/requirements.txt")
        stand_in = Path(__file__).with_name("stand_in.py")
        for name in NEED_ROOT | NEED_INTERNET | {"python3"}:
            path = self.root / "bin" / name
            path.write_text(
                f'#!/bin/sh\nCALLED_AS="$0" exec {sys.executable} {stand_in} {name} "$@"\n'
            )
            path.chmod(0o755)

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.root}/bin:/usr/bin:/bin",
            "HOME": str(self.root),
            "LANG": "C.UTF-8",
            "STAND_IN_ROOT": str(self.root),
            "STAND_IN_URL": f"http://127.0.0.1:{self.port}",
            "PASSERELLE_PASSWORD": "a long enough password",
            **more,
        }

    def follow(self, page: str, **more: str) -> str:
        """Run every block of a page, and return what was said."""
        given = "\n".join([*{**answers(page), **more}.values(), ""])
        said = ""
        for _, commands in blocks(page):
            if "systemctl stop" in commands:
                self.stop()
            if commands.startswith("curl"):
                self.start()
            said += self._run(commands, given)
        return said

    def _run(self, commands: str, given: str) -> str:
        for told in TOLD:
            commands = re.sub(rf"(?<![\w./]){told}", f"{self.root}{told}", commands)
        for old, new in self.changes.items():
            commands = commands.replace(old, new)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.root / "release",
            env=self.environ(),
            input=given,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """Start what the unit of the server says, and wait until it is ready."""
        if self.server is not None:
            return
        text = next((self.root / "etc/systemd/system").glob(f"passerelle-{self.kind}[@.]*service"))
        unit = text.read_text(encoding="utf-8").replace("%i", "la-cordee")
        (command,) = re.findall("^ExecStart=(.*)", unit, re.MULTILINE)
        settings = dict(re.findall("^Environment=([A-Z_]+)=(.*)", unit, re.MULTILINE))
        self.server = subprocess.Popen(command.split(), env=self.environ(**settings))
        deadline = time.monotonic() + 120
        while True:
            assert self.server.poll() is None
            assert time.monotonic() < deadline
            try:
                if requests.get(f"http://127.0.0.1:{self.port}/healthz", timeout=2).ok:
                    return
            except requests.RequestException:
                time.sleep(0.05)

    def stop(self) -> None:
        if self.server is not None:
            self.server.terminate()
            self.server.wait(30)
            self.server = None

    def told(self, name: str) -> list[list[str]]:
        lines = (self.root / "told.jsonl").read_text().splitlines()
        return [line[1:] for line in map(json.loads, lines) if line[0] == name]


@pytest.fixture
def machine(request: pytest.FixtureRequest, wheel: Path, tmp_path: Path) -> Iterator[Machine]:
    kind: str = request.param
    found = Machine(tmp_path / "machine", kind, free_port_base(1))
    found.prepare(wheel)
    name = "la-cordee" if kind == "node" else "hub"
    # The one option that the page has no need of: the usual place is this machine's own.
    setup = f"{kind} setup --data-dir {found.root}/var/lib/passerelle/{name}"
    found.changes = {f"{kind} setup": setup}
    yield found
    found.stop()


@pytest.mark.parametrize("page", ["node-debian", "hub-debian", "upgrade", "containers"])
def test_both_languages_have_the_same_commands_and_answers(page: str) -> None:
    assert blocks(f"{page}.fr.md") == blocks(f"{page}.en.md") != []
    assert answers(f"{page}.fr.md") == answers(f"{page}.en.md")


@pytest.mark.parametrize("page", ["node-debian", "hub-debian", "upgrade"])
def test_what_needs_root_or_the_internet_is_marked(page: str) -> None:
    for marks, commands in blocks(f"{page}.en.md"):
        assert marks <= {"root", "internet"}
        words = {Path(word).name for line in commands.splitlines() for word in line.split()[:4]}
        assert ("root" in marks) >= bool(words & NEED_ROOT), commands
        assert ("internet" in marks) >= bool(words & NEED_INTERNET), commands


def test_the_pages_install_this_version() -> None:
    for page in (*PAGES.glob("*debian*.md"), ROOT / "deploy" / "README.md"):
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"passerelle-(\d+\.\d+\.\d+)", text)) == {VERSION}, page.name
    for page in PAGES.glob("upgrade*.md"):
        assert f"passerelle-{VERSION}-py3-none-any.whl" in page.read_text("utf-8"), page.name


@pytest.mark.processes
@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize("machine", ["node"], indirect=True)
def test_a_node_is_installed_upgraded_and_put_back_by_the_pages(machine: Machine) -> None:
    usual = dict(machine.changes)
    # Installed under the number of the version before, so that there is one to upgrade from.
    machine.changes |= {
        "passerelle-0.2.0 ": "passerelle-0.1.0 ",
        "passerelle-0.2.0/": "passerelle-0.1.0/",
    }
    machine.changes |= {"passerelle-0.2.0\n": "passerelle-0.1.0\n"}
    said = machine.follow("node-debian.en.md", **{"Port on this machine": str(machine.port)})
    assert [asked for asked in answers("node-debian.en.md") if asked not in said] == []
    # What the command tells to do next is what the page says.
    for line in (*blocks("node-debian.en.md")[2][1].splitlines(),):
        assert line in said.replace(str(machine.root), ""), line
    assert '"status":"ok"' in said.replace(" ", "")
    data = machine.root / "var/lib/passerelle/la-cordee"
    assert read_env(data / "node.env")["NODE_TRUSTED_PROXIES"] == "1"
    assert (machine.root / "opt/passerelle").readlink().name == "passerelle-0.1.0"
    keys = (data / "node-keys.json").read_bytes()
    machine.changes = usual
    said = machine.follow("upgrade.en.md")
    assert '"status":"ok"' in said.replace(" ", "")
    assert (machine.root / "var/lib/passerelle/la-cordee-0.2.0/node.env").exists()
    assert (data / "node-keys.json").read_bytes() == keys
    assert (machine.root / "opt/passerelle").readlink().name == "passerelle-0.1.0"
    machine.start()  # what was put back


@pytest.mark.processes
@pytest.mark.thorough
@pytest.mark.postgres
@pytest.mark.parametrize("machine", ["hub"], indirect=True)
def test_a_hub_is_installed_on_postgresql_by_the_page(
    machine: Machine, postgres_server: PostgresServer
) -> None:
    database = postgres_server.new_database()
    mine = {"Port on this machine": str(machine.port), "PostgreSQL": database}
    said = machine.follow("hub-debian.en.md", **mine)
    assert [asked for asked in answers("hub-debian.en.md") if asked not in said] == []
    assert re.search(r"^inv_\S+", said, re.MULTILINE)
    settings = read_env(machine.root / "var/lib/passerelle/hub/hub.env")
    assert settings["HUB_DATABASE_URL"] == database
    made = ["--owner=passerelle", "--encoding=UTF8", "--template=template0", "passerelle"]
    assert ["-u", "postgres", "--", "createdb", *made] in machine.told("runuser")
