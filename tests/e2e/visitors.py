"""People at doors whose processes are killed: they ask again until there is an answer."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from joserfc.jwk import ECKey, OKPKey

from shared.crypto.passes import bind
from tests.faults.killing import World, until

SETTLED_SECONDS = 180
SERVER_FAULT = 500


def ask(
    method: str, url: str, token: str, body: Any = None, key: str | None = None
) -> requests.Response:
    """Ask again until there is an answer that is no server's fault."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})

    def once() -> requests.Response:
        answer = requests.request(method, url, json=body, headers=headers, timeout=15)
        if answer.status_code >= SERVER_FAULT:
            raise requests.HTTPError(answer.text)
        return answer

    return until(once, requests.RequestException)


@dataclass
class Told:
    """What the doors answered: visits, and what is to become of each; by any thread."""

    states: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)


class Visitor:
    """A member with a phone, and the volunteers at the doors, patient until there is an answer."""

    def __init__(self, world: World, home: str, number: int, hosts: tuple[str, ...]) -> None:
        self.world, self.home, self.hosts = world, home, hosts
        self.dice = random.Random(f"{home} {number}")
        self.key = ECKey.generate_key("P-256") if number == 0 else OKPKey.generate_key("Ed25519")
        part = world.nodes[home]
        answer = ask(
            "POST",
            f"{part.url}/api/v1/me/passes",
            part.info["members"][number]["token"],
            {"jwk": self.key.as_dict(private=False)},
        )
        self.credential = answer.json()["credential"]

    def _at_desk(self, host: str, path: str, body: Any, key: str | None = None) -> Any:
        part = self.world.nodes[host]
        return ask("POST", part.url + path, part.info["desk"]["token"], body, key)

    def check_in(self, host: str) -> str:
        """Show a code, a fresh one if the door did not answer in time; return the visit's id."""
        while True:
            code = bind(self.credential, self.key, time.time())
            body = {"space": host, "pass": code}
            answer = self._at_desk(host, "/api/v1/check-ins", body, uuid.uuid4().hex)
            if answer.status_code in (200, 201):
                visit: str = answer.json()["visit"]["id"]
                return visit
            assert "pass_stale" in answer.text, answer.text

    def check_out(self, host: str, visit: str) -> None:
        answer = self._at_desk(host, f"/api/v1/check-ins/{visit}/check-out", {})
        assert answer.status_code == 200, answer.text

    def void(self, host: str, visit: str) -> None:
        path = f"/api/v1/check-ins/{visit}/void"
        answer = self._at_desk(host, path, {"reason": "a mistake"})
        assert answer.status_code == 200, answer.text

    def visit(self, told: Told, *, may_stay: bool = False) -> bool:
        """Visit a host; one in five is undone, and some stay until the house closes.

        Return whether this is another visit than those before: who stayed may be there still.
        """
        host = self.dice.choice(self.hosts)
        visit = self.check_in(host)
        new = visit not in told.states
        told.hosts[visit] = host
        told.states.setdefault(visit, "open")
        fate = self.dice.random()
        if may_stay and fate > 0.9:
            return new
        if fate > 0.1:
            self.check_out(host, visit)
            told.states[visit] = "closed"
        if fate < 0.2:
            self.void(host, visit)
            told.states[visit] = "void"
        return new


def recorded(world: World) -> list[dict[str, Any]]:
    """Return every visit that the hub has, following the cursor."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = requests.get(
            f"{world.hub.url}/api/v1/visits",
            params={"limit": "100", **({"cursor": cursor} if cursor else {})},
            headers={"Authorization": f"Bearer {world.hub.info['coordinator']['token']}"},
            timeout=30,
        )
        page = answer.json()
        found += page["items"]
        cursor = page["next_cursor"]
    return found


def settled(world: World, wanted: Mapping[str, str]) -> list[dict[str, Any]]:
    """Wait until all outboxes are empty and the hub has what is wanted; return all it has.

    A visit that is ``open`` for the desk may be closed: its person's next one ends it.
    """
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        visits = recorded(world)
        states = {visit["id"]: visit["state"] for visit in visits}
        done = all(
            states.get(visit) == state or (state == "open" and states.get(visit) == "closed")
            for visit, state in wanted.items()
        )
        if (done and world.waiting()["pending"] == 0) or time.monotonic() > deadline:
            return visits
        time.sleep(0.3)
