"""Whatever is killed, at whatever moment: each visit is in the account exactly once."""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from charter import model_sources
from tests.databases import Databases
from tests.e2e.processes import ROOT
from tests.e2e.visitors import Told, Visitor, ask, settled
from tests.faults.killing import World, rules, running_world

pytestmark = pytest.mark.processes

# 500 by hand, in a quarter of an hour.
VISITS = int(os.environ.get("PASSERELLE_TEST_KILL_VISITS", "40"))
HOME, TROQUET, SCEAUX = "la-cordee", "troquet-numerique", "sceaux-smart"
# A morning whose visitors may stay; a morning's end and an afternoon; the next month, when what
# was done the day before can be undone yet.
FRIDAY, MONDAY, TUESDAY = (
    "2026-11-27T10:00:00+01:00",
    "2026-11-30T12:58:30+01:00",
    "2026-12-01T09:30:00+01:00",
)
VISITS_A_KILL = 3
MONTHS = ("2026-11", "2026-12")
# Resident and nomad members; the first of each home has a phone with P-256.
MEMBERS = ((HOME, 0), (HOME, 1), (HOME, 2), (HOME, 4), (TROQUET, 0), (TROQUET, 1))


@pytest.fixture
def world(tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.chdir(ROOT)
    with running_world(tmp_path, databases, FRIDAY, (HOME, TROQUET, SCEAUX), rules()) as found:
        yield found


class Phase:
    """Some visits by all members at once, and what an office does meanwhile, under fire."""

    def __init__(self, world: World, visitors: list[Visitor], told: Told) -> None:
        self.world, self.visitors, self.told = world, visitors, told
        self.tickets = queue.SimpleQueue[bool]()
        self.faults: list[BaseException] = []

    def _visits(self, visitor: Visitor, may_stay: bool) -> None:
        while self.tickets.get():
            while not visitor.visit(self.told, may_stay=may_stay):
                continue

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as fault:  # noqa: BLE001 - told below
            self.faults.append(fault)

    def run(
        self, number: int, office: Callable[[], None], dice: random.Random, *, may_stay: bool
    ) -> int:
        """Return how many processes were killed: one for every few visits, in their midst."""
        works = [office, *(partial(self._visits, each, may_stay) for each in self.visitors)]
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        kills = 0
        for ticket in range(number):
            self.tickets.put(True)
            if ticket % VISITS_A_KILL == 0 and not self.faults:
                time.sleep(dice.uniform(0.0, 0.5))
                kills += self.world.kill_one(dice)
        for _ in self.visitors:
            self.tickets.put(False)
        while not self.faults and any(thread.is_alive() for thread in threads):
            kills += self.world.kill_one(dice)
            self.world.wait_ready()
        assert self.faults == []
        return kills


class Office:
    """What operators and the coordination do of the charter and the account."""

    def __init__(self, world: World, told: Told) -> None:
        self.world, self.told = world, told
        self.url = f"{world.hub.url}/api/v1"
        self.coordinator = world.hub.info["coordinator"]["token"]

    def _as_node(self, name: str, method: str, path: str, body: Any = None) -> Any:
        return ask(method, self.url + path, self.world.node_token(name), body)

    def vote(self) -> None:
        """Propose another charter, and vote on it."""
        sources = {
            **model_sources(),
            "rules.toml": rules().replace("rate_cents = 900", "rate_cents = 800"),
        }
        body = {"sources": sources, "argument": "Less is enough"}
        answer = self._as_node(HOME, "POST", "/charters", body)
        assert answer.status_code in (201, 409), answer.text  # proposed before it was killed
        for name in (HOME, TROQUET, SCEAUX):
            choice = {"choice": "yes"} if name != SCEAUX else {"choice": "no", "reason": "no need"}
            answer = self._as_node(name, "POST", "/charters/2/votes", choice)
            assert answer.status_code == 201, answer.text

    def nothing(self) -> None:
        """Do nothing."""

    def account(self) -> None:
        """Issue November, contest three of its visits, settle two, and undo two others."""
        path = f"{self.url}/statements/2026-11"
        answer = ask("PUT", path, self.coordinator, {"state": "issued"})
        assert answer.status_code == 200, answer.text
        document = ask("GET", path, self.coordinator).json()
        undone = {line["id"] for line in document["corrections"]}
        lines = [line for line in document["visits"] if line["id"] not in undone]
        mine = [line["id"] for line in lines if line["home"] == HOME]
        for visit, outcome in zip(mine, (None, "upheld", "rejected"), strict=False):
            body = {"month": "2026-11", "visit": visit, "reason": "not ours"}
            answer = self._as_node(HOME, "POST", "/disputes", body)
            assert answer.status_code in (200, 201), answer.text
            if outcome is not None:
                decision = f"{self.url}/disputes/{answer.json()['id']}/decision"
                body = {"outcome": outcome, "reason": "looked at"}
                answer = ask("POST", decision, self.coordinator, body)
                assert answer.status_code == 200, answer.text
            if outcome == "upheld":
                self.told.states[visit] = "void"
        monday = [line["id"] for line in lines if line["day"] == "2026-11-30"]
        for visit in [each for each in monday if each not in mine[:3]][-2:]:
            host = self.world.nodes[self.told.hosts[visit]]
            undo = f"{host.url}/api/v1/check-ins/{visit}/void"
            answer = ask("POST", undo, host.info["desk"]["token"], {"reason": "a mistake"})
            assert answer.status_code == 200, answer.text
            self.told.states[visit] = "void"


def _recomputed(world: World) -> dict[str, Any]:
    """Return what the second account says of ours."""
    asked = {
        "hub": world.hub.url,
        "token": world.hub.info["coordinator"]["token"],
        "homes": {home: world.node_token(home) for home in world.nodes},
        "months": MONTHS,
    }
    done = subprocess.run(
        [sys.executable, "-I", str(ROOT / "tests" / "e2e" / "recompute.py")],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.thorough
@pytest.mark.timeout(300 + 20 * VISITS)
def test_each_visit_is_accounted_once_whatever_is_killed_meanwhile(world: World) -> None:
    began = time.monotonic()
    told, dice = Told(), random.Random(7)
    office = Office(world, told)
    visitors = [
        Visitor(world, home, number, tuple({TROQUET, SCEAUX} - {home})) for home, number in MEMBERS
    ]
    kills = 0
    for clock, number, duty in (
        (FRIDAY, VISITS // 4, office.vote),
        (MONDAY, VISITS // 4, office.nothing),
        (TUESDAY, VISITS - VISITS // 4 * 2, office.account),
    ):
        if clock != FRIDAY:
            world.kill_all()
            world.set_clock(clock)
            world.start_all()
        kills += Phase(world, visitors, told).run(number, duty, dice, may_stay=clock == FRIDAY)
        if clock == MONDAY:  # who stayed on Friday was there until the house closed
            open_ones = [visit for visit, state in told.states.items() if state == "open"]
            told.states |= dict.fromkeys(open_ones, "closed")
        visits = settled(world, told.states)
    states = {visit["id"]: visit["state"] for visit in visits}
    report = {
        "acknowledged": len(told.states),
        "kills": kills,
        "seconds": round(time.monotonic() - began),
        "lost": [visit for visit, state in told.states.items() if states.get(visit) != state],
        "unknown": sorted(set(states) - set(told.states)),
        "doubled": len(visits) - len(states),
        "held": [visit["id"] for visit in visits if visit["held"]],
        "offline": sum("offline" in visit["flags"] for visit in visits),
        "messages": world.waiting(),
        **_recomputed(world),
    }
    print(json.dumps(report, indent=1))  # noqa: T201 - shown with -s, and where the test fails
    assert report["lost"] == report["unknown"] == report["held"] == report["faults"] == []
    assert (report["doubled"], report["messages"]) == (0, {"pending": 0, "stuck": 0, "dead": 0})
    assert len(told.states) == VISITS
    ballots = ask("GET", f"{world.hub.url}/api/v1/charters/2", office.coordinator).json()
    assert (ballots["state"], ballots["votes_total"]) == ("adopted", 3)
    assert set(ballots["outcome"].items()) >= {("yes", 2), ("no", 1)}


def test_the_hub_gone_the_door_goes_on_and_tells_it_once_it_is_back(world: World) -> None:
    visitor = Visitor(world, HOME, 0, (TROQUET,))
    world.kill("hub")
    visit = visitor.check_in(TROQUET)
    visitor.check_out(TROQUET, visit)
    for name in (TROQUET, f"{TROQUET}-jobs"):
        world.kill(name)
    for name in ("hub", TROQUET, f"{TROQUET}-jobs"):
        world.start(name)
    world.wait_ready("hub", TROQUET)
    found = settled(world, {visit: "closed"})
    assert [v["id"] for v in found] == [visit]
    assert "offline" in found[0]["flags"]
