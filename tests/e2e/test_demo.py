"""The demonstration as a command: what goes wrong is one clear line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.processes import ROOT, first_process, free_port_base, processes_of, running_demo

pytestmark = pytest.mark.processes


def run(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_founding_visit_is_in_the_statement(demo: dict[str, Any]) -> None:
    hub = demo["hub"]
    answer = requests.get(
        f"{hub['url']}/api/v1/statements/2026-11",
        headers={"Authorization": f"Bearer {hub['coordinator']['token']}"},
        timeout=10,
    )
    lines = [(line["home"], line["host"]) for line in answer.json()["visits"]]
    assert ("la-cordee", "troquet-numerique") in lines


def test_every_node_has_members_of_every_plan_class(demo: dict[str, Any]) -> None:
    for node in demo["nodes"].values():
        classes = [member["plan_class"] for member in node["members"]]
        assert classes.count("resident") >= 2
        assert {"nomad", "ticket"} <= set(classes)


def test_a_port_in_use_is_said_in_one_line() -> None:
    base = free_port_base(8)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", base + 3))
        taken.listen()
        ended = run("demo", "--port-base", str(base))
    assert ended.returncode == 1
    assert len(ended.stderr.strip().splitlines()) == 1
    assert str(base + 3) in ended.stderr


def test_rules_that_cannot_be_used_are_named_and_nothing_is_left(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[half_days]\narticle = 5\nper_host = "six"\n')
    ended = run(
        "demo",
        "--rules",
        str(rules),
        "--port-base",
        str(free_port_base(8)),
        "--data-dir",
        str(tmp_path / "data"),
    )
    assert ended.returncode != 0
    assert "half_days.per_host" in ended.stderr
    assert "half_days.network" in ended.stderr
    assert processes_of(tmp_path) == {}


@pytest.mark.thorough
def test_other_rules_are_what_the_doors_execute_and_a_dead_child_is_named(tmp_path: Path) -> None:
    """The founding visit is refused on a holiday; the demonstration starts, and goes on."""
    rules = tmp_path / "rules.toml"
    model = (ROOT / "charter" / "rules.toml").read_text()
    rules.write_text(model.replace('classes = ["resident", "nomad"]', 'classes = ["ticket"]'))
    with running_demo(tmp_path, "--day", "2026-12-25", "--rules", str(rules)) as info:
        home = info["nodes"]["la-cordee"]
        answer = requests.get(
            f"{home['url']}/api/v1/me/rights?space=troquet-numerique",
            headers={"Authorization": f"Bearer {home['members'][0]['token']}"},
            timeout=10,
        )
        reasons = answer.json()["items"][0]["decision"]["reasons"]
        assert [reason["code"] for reason in reasons] == ["plan_not_eligible", "space_closed"]
        os.kill(first_process(tmp_path, "hub serve"), signal.SIGKILL)
        log, deadline = tmp_path / "demo.log", time.monotonic() + 30
        while "hub stopped by itself" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert requests.get(f"{home['url']}/readyz", timeout=10).status_code == 200
