"""Setting up a real hub and node by the commands of the README."""

from __future__ import annotations

import os
import re
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

pytestmark = pytest.mark.processes

PASSWORD = "a long enough password"


def passerelle(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(url: str, *arguments: str, **environ: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None
            try:
                if requests.get(f"{url}/readyz", timeout=2).status_code == 200:
                    break
            except requests.RequestException:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_hub_and_a_node_are_set_up_and_join_by_commands(tmp_path: Path) -> None:
    base = free_port_base(2)
    hub_url, node_url = f"http://127.0.0.1:{base}", f"http://127.0.0.1:{base + 1}"
    made = passerelle(
        "hub",
        "init",
        "--url",
        hub_url,
        "--data-dir",
        str(tmp_path / "hub"),
        "--private",
        "--email",
        "coordination@example.org",
        "--password",
        PASSWORD,
    )
    assert made.returncode == 0, made.stderr
    made = passerelle(
        "node",
        "init",
        "--url",
        node_url,
        "--hub",
        hub_url,
        "--name",
        "La Cordée",
        "--space",
        "La Cordée",
        "--town",
        "Lyon",
        "--data-dir",
        str(tmp_path / "node"),
        "--email",
        "admin@example.org",
        "--password",
        PASSWORD,
        "--private",
    )
    assert made.returncode == 0, made.stderr
    hub = {"HUB_ENV_FILE": str(tmp_path / "hub" / "hub.env"), "HUB_PORT": str(base)}
    node = {"NODE_ENV_FILE": str(tmp_path / "node" / "node.env"), "NODE_PORT": str(base + 1)}
    assert (tmp_path / "hub" / "hub.env").stat().st_mode & 0o077 == 0
    assert (tmp_path / "hub" / "hub-keys.json").stat().st_mode & 0o077 == 0
    with serving(hub_url, "hub", "serve", **hub), serving(node_url, "node", "serve", **node):
        invited = passerelle("hub", "invite", "La Cordée", **hub)
        token = re.search(r"^inv_\S+", invited.stdout, re.MULTILINE)
        assert token, invited.stderr
        joined = passerelle("node", "enrol", "--invitation", token[0], "--sign-charter", **node)
        assert joined.returncode == 0, joined.stderr
        assert "Enrolled as la-cordee" in joined.stdout
        spaces = requests.get(f"{hub_url}/api/v1/spaces", timeout=10).json()["items"]
        assert [space["id"] for space in spaces] == ["la-cordee"]
        again = passerelle("node", "enrol", "--invitation", token[0], **node)
        assert again.returncode != 0
        assert passerelle("node", "sync", **node).returncode == 0


@pytest.mark.thorough
def test_a_hub_is_backed_up_while_it_serves_and_restored_on_another_machine(tmp_path: Path) -> None:
    port = free_port_base(1)
    url, saved = f"http://127.0.0.1:{port}", tmp_path / "saved.zip"
    where = ("--url", url, "--data-dir", str(tmp_path / "hub"), "--private")
    who = ("--email", "coordination@example.org", "--password", PASSWORD)
    assert passerelle("hub", "init", *where, *who).returncode == 0
    hub = {"HUB_ENV_FILE": str(tmp_path / "hub" / "hub.env"), "HUB_PORT": str(port)}
    with serving(url, "hub", "serve", **hub):
        made = passerelle("hub", "backup", str(saved), **hub)
        assert made.returncode == 0, made.stderr
        refused = passerelle("hub", "restore", str(saved), "--replace", **hub)
        assert refused.returncode != 0
        assert "serve is running" in refused.stderr
        charter = requests.get(f"{url}/api/v1/charters/current", timeout=10).json()
        keys = requests.get(f"{url}/.well-known/jwks.json", timeout=10).json()
    assert saved.stat().st_mode & 0o077 == 0
    moved = passerelle("hub", "restore", str(saved), "--data-dir", str(tmp_path / "elsewhere"))
    assert moved.returncode == 0, moved.stderr
    hub["HUB_ENV_FILE"] = str(tmp_path / "elsewhere" / "hub.env")
    with serving(url, "hub", "serve", **hub):
        assert requests.get(f"{url}/api/v1/charters/current", timeout=10).json() == charter
        assert requests.get(f"{url}/.well-known/jwks.json", timeout=10).json() == keys


@pytest.mark.parametrize(("kind", "prefix"), [("hub", "HUB"), ("node", "NODE")])
def test_every_wrong_setting_is_named_at_once_and_nothing_starts(
    kind: str, prefix: str, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.env"
    settings.write_text(
        f"{prefix}_URL=ftp://x\n{prefix}_WORKERS=many\n{prefix}_SECRET_KEY=short\n"
        f"{prefix}_CLOCK=2026-11-24T10:00:00+01:00\n{prefix}_TYPO=1\n"
    )
    ended = passerelle(kind, "serve", **{f"{prefix}_ENV_FILE": str(settings)})
    assert ended.returncode == 2
    for name in ("URL", "WORKERS", "SECRET_KEY", "DATA_DIR", "CLOCK", "TYPO"):
        assert f"{prefix}_{name}" in ended.stderr
