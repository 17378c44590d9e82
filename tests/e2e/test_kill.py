"""Whatever is killed, at whatever moment: each visit is in the account exactly once."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc.jwk import OKPKey

from deploy.demo import network
from deploy.demo.day import clock_from
from deploy.demo.join import join
from deploy.demo.processes import Processes
from shared.passes import bind
from tests.e2e.processes import ROOT, free_port_base

pytestmark = pytest.mark.processes

ANSWER_SECONDS = 60
# Any number of visits, with and without the hub: here the account is tried, not the limits.
RULES = (
    (ROOT / "charter" / "rules.toml")
    .read_text()
    .replace("per_host = 6", "per_host = 900")
    .replace("network = 16", "network = 900")
    .replace("visits_per_pass = 2", "visits_per_pass = 900")
)


@dataclass
class Trio:
    """A hub, a home and a host, each server and scheduler a process that can be killed."""

    hub: network.Part
    home: network.Part
    host: network.Part
    processes: Processes

    def start(self, name: str) -> None:
        parts = {"hub": self.hub, "home": self.home, "host": self.host}
        part = parts[name.removesuffix("-jobs")]
        verb = "jobs" if name.endswith("-jobs") else "serve"
        kind = "hub" if part is self.hub else "node"
        self.processes.start(name, [kind, verb], part.environ)

    def kill(self, name: str) -> None:
        """End a process and its workers as a power cut would."""
        process: subprocess.Popen[bytes] = self.processes.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def wait_ready(self, *names: str) -> None:
        urls = {"hub": self.hub.url, "home": self.home.url, "host": self.host.url}
        self.processes.wait_ready({name: urls[name] for name in names})


@pytest.fixture
def trio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Trio]:
    monkeypatch.chdir(ROOT)
    base = free_port_base(3)
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    clock = clock_from(datetime.fromisoformat("2026-11-24T10:00:00+01:00"))
    hub = network.make_hub(tmp_path / "hub", base, clock, "h" * 32, rules)
    sheets = {sheet["id"]: sheet for sheet in network.NODES}
    home, host = (
        network.make_node(sheets[name], tmp_path / name, base + n, clock, "n" * 32, hub.url)
        for n, name in ((1, "la-cordee"), (2, "troquet-numerique"))
    )
    found = Trio(hub, home, host, Processes(tmp_path / "logs"))
    try:
        for name in ("hub", "home", "host"):
            found.start(name)
        found.wait_ready("hub", "home", "host")
        join(hub, [home, host])
        for name in ("hub-jobs", "host-jobs"):
            found.start(name)
        yield found
    finally:
        found.processes.stop()


class Desk:
    """Scans and checks out as a patient volunteer does: again until there is an answer."""

    def __init__(self, trio: Trio, member: dict[str, Any]) -> None:
        self.url = trio.host.url
        self.token = trio.host.info["desk"]["token"]
        self.key = OKPKey.generate_key("Ed25519")
        answer = requests.post(
            f"{trio.home.url}/api/v1/me/passes",
            json={"jwk": self.key.as_dict(private=False)},
            headers={"Authorization": f"Bearer {member['token']}"},
            timeout=10,
        )
        self.credential = answer.json()["credential"]

    def _post(self, path: str, body: Any, key: str) -> requests.Response:
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                answer = requests.post(
                    self.url + path,
                    json=body,
                    headers={"Authorization": f"Bearer {self.token}", "Idempotency-Key": key},
                    timeout=10,
                )
                if answer.status_code < 500:
                    return answer
            except requests.RequestException:
                pass
            assert time.monotonic() < deadline, f"no answer from {path}"
            time.sleep(0.05)

    def visit(self) -> str:
        """Check in, check out, and return the visit's id."""
        body = {
            "space": "troquet-numerique",
            "pass": bind(self.credential, self.key, time.time()),
        }
        answer = self._post("/api/v1/check-ins", body, uuid.uuid4().hex)
        assert answer.status_code in (200, 201), answer.text
        visit_id: str = answer.json()["visit"]["id"]
        out = self._post(f"/api/v1/check-ins/{visit_id}/check-out", {}, uuid.uuid4().hex)
        assert out.status_code == 200, out.text
        return visit_id


def recorded(trio: Trio) -> list[dict[str, Any]]:
    """Return every visit that the hub has, following the cursor."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = requests.get(
            f"{trio.hub.url}/api/v1/visits",
            params={"limit": "100", **({"cursor": cursor} if cursor else {})},
            headers={"Authorization": f"Bearer {trio.hub.info['coordinator']['token']}"},
            timeout=10,
        )
        page = answer.json()
        found += page["items"]
        cursor = page["next_cursor"]
    return found


def settled(trio: Trio, expected: set[str]) -> list[dict[str, Any]]:
    """Wait until the hub has what the desk was told, closed, and return all it has."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while True:
        visits = recorded(trio)
        closed = {visit["id"] for visit in visits if visit["state"] == "closed"}
        if expected <= closed or time.monotonic() > deadline:
            return visits
        time.sleep(0.2)


def test_each_visit_is_accounted_once_whatever_is_killed_meanwhile(trio: Trio) -> None:
    desks = [Desk(trio, member) for member in trio.home.info["members"][:3]]
    dice = random.Random(7)
    told: list[str] = []
    faults: list[BaseException] = []
    done = threading.Event()

    def work() -> None:
        try:
            for _ in range(12):
                told.extend(desk.visit() for desk in desks)
        except BaseException as fault:  # noqa: BLE001 - told below
            faults.append(fault)
        finally:
            done.set()

    threading.Thread(target=work).start()
    # Processes are started from this thread: they end with the one that started them.
    for victim in itertools.cycle(("hub", "host", "hub-jobs", "hub", "host-jobs", "host")):
        if done.wait(dice.uniform(0.2, 0.9)):
            break
        trio.kill(victim)
        done.wait(dice.uniform(0.0, 0.5))
        trio.start(victim)
        if not victim.endswith("-jobs"):
            trio.wait_ready(victim)
    assert faults == []
    trio.wait_ready("hub", "host")
    assert len(set(told)) == len(told)
    visits = settled(trio, set(told))
    assert sorted(visit["id"] for visit in visits) == sorted(told)
    assert {visit["state"] for visit in visits} == {"closed"}
    statement = requests.get(
        f"{trio.hub.url}/api/v1/statements/2026-11",
        headers={"Authorization": f"Bearer {trio.hub.info['coordinator']['token']}"},
        timeout=10,
    ).json()
    # Three people, one morning, one host: three half-days, however many visits.
    assert statement["balances"] == {"la-cordee": -3, "troquet-numerique": 3}


def test_the_hub_gone_the_door_goes_on_and_tells_it_once_it_is_back(trio: Trio) -> None:
    desk = Desk(trio, trio.home.info["members"][0])
    trio.kill("hub")
    visit = desk.visit()
    assert visit
    trio.kill("host")
    trio.kill("host-jobs")
    for name in ("hub", "host", "host-jobs"):
        trio.start(name)
    trio.wait_ready("hub", "host")
    found = settled(trio, {visit})
    assert [v["id"] for v in found] == [visit]
    assert "offline" in found[0]["flags"]
