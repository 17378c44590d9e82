"""How many visits a second a hub authorises and records, as a share of Flask's "hello".

Each request is a distinct member's fresh visit: three signatures are verified, the charter
is decided, half-days are counted, and everything is committed before the answer.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import partial

from deploy.bench import load, network, report
from deploy.bench.load import Measured
from deploy.bench.services import WORKERS, Bench, Hello, Postgres, Service, bench, postgres
from deploy.demo.processes import ProcessError

HOMES = 8
HISTORY = 10_000
WARM_UP = 64


@dataclass(frozen=True)
class Case:
    label: str
    synchronous: str
    connections: int
    floor: float | None = None
    aim: float | None = None


SQLITE = (
    Case("SQLite NORMAL", "NORMAL", 8, 0.10, 0.18),
    Case("SQLite NORMAL", "NORMAL", 32),
    Case("SQLite FULL", "FULL", 8),
)
POSTGRES = (Case("PostgreSQL", "NORMAL", 8, 0.08, 0.13),)


@dataclass(frozen=True)
class Hub:
    """A hub with a past, and the operators whose doors report to it."""

    service: Service
    homes: list[network.Home]
    servers: tuple[int, ...]

    @classmethod
    def start(cls, found: Bench, name: str, case: Case, server: Postgres | None = None) -> Hub:
        service = found.hub(name, server.new("hub") if server else "", case.synchronous)
        homes = network.found(service.app, HOMES)
        network.add_history(service.app, homes, HISTORY)
        return cls(service, homes, (service.pid, server.pid) if server else (service.pid,))

    def requests(self, phones: list[network.Phone]) -> list[bytes]:
        """Return one signed report of each phone, at a host that is not its home."""
        url = self.service.url
        tokens = network.tokens(self.service.app, url, self.homes)
        hosts = {home.id: self.homes[(n + 3) % HOMES] for n, home in enumerate(self.homes)}
        return [
            load.post(
                "/api/v1/visits",
                network.report_of(phone, hosts[phone.home.id], url),
                tokens[hosts[phone.home.id].id],
            )
            for phone in phones
        ]

    def run(self, phones: list[network.Phone], connections: int) -> Measured:
        requests = self.requests(phones)
        return load.run(self.service.port, requests, connections, 201, self.servers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each hello, then visits")
    parser.add_argument("--visits", type=int, default=800, help="visits in a round")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    try:
        with bench() as found:
            _measure(found, options.rounds, options.visits, options.only)
    except (load.LoadError, ProcessError) as error:
        sys.exit(f"failed: {error}")


def _measure(found: Bench, rounds: int, visits: int, only: str | None) -> None:
    hello = found.hello(WORKERS, 1)
    if only != "postgres":
        hubs: dict[str, Hub] = {}
        for case in SQLITE:
            kind = case.synchronous
            hubs[kind] = hubs.get(kind) or Hub.start(found, f"hub-{kind.lower()}", case)
            _case(case, hubs[kind], hello, rounds, visits)
    if only == "sqlite":
        return
    with postgres(found.folder) as server:
        if server is None:
            print("PostgreSQL is left out: install the development requirements.")
            return
        try:
            for case in POSTGRES:
                _case(case, Hub.start(found, "hub-pg", case, server), hello, rounds, visits)
        finally:
            found.stop()


def _case(case: Case, hub: Hub, hello: Hello, rounds: int, visits: int) -> None:
    """Measure hello and visits in turn; the ratio is the median of the rounds' own."""
    print(f"{case.label}, {case.connections} connections")
    add = partial(network.add_phones, hub.service.app, hub.homes)
    hub.run(add(WARM_UP), case.connections)
    rates, costs = [], []
    for _ in range(rounds):
        limit = load.run(
            hello.port, [load.get("/")] * (4 * visits), case.connections, 200, (hello.pid,)
        )
        measured = hub.run(add(visits), case.connections)
        rates.append(measured.rate / limit.rate)
        costs.append(limit.cpu_ms / measured.cpu_ms)
        print(report.line("hello", limit, f"generator {limit.own_share:.0%} of a core"))
        print(report.line("visits", measured, report.ratio(rates[-1])))
    print(f"  median of the rounds: {report.ratio(report.median(rates), case.floor, case.aim)}")
    print(f"  by processor time:    {report.ratio(report.median(costs))}\n")


if __name__ == "__main__":
    main()
