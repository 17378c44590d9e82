"""How many visits a second a hub authorises and records, as a share of Flask's "hello".

Each request is a distinct member's fresh visit: three signatures are verified, the charter
is decided, half-days are counted, and everything is committed before the answer.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass

from deploy.bench import load, network, report
from deploy.bench.services import WORKERS, Bench, Service, bench, postgres
from deploy.demo.processes import ProcessError

HOMES = 8


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
    service: Service
    homes: list[network.Home]

    @classmethod
    def start(cls, found: Bench, name: str, database: str, synchronous: str = "NORMAL") -> Hub:
        service = found.hub(name, database, synchronous)
        return cls(service, network.found(service.app, HOMES))

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="each hello, then visits")
    parser.add_argument("--visits", type=int, default=1200, help="visits in a round")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    try:
        with bench() as found:
            _measure(found, options.rounds, options.visits, options.only)
    except (load.LoadError, ProcessError) as error:
        sys.exit(f"failed: {error}")


def _measure(found: Bench, rounds: int, visits: int, only: str | None) -> None:
    hello = found.hello("hello", WORKERS, 1)
    if only != "postgres":
        hubs = {
            kind: Hub.start(found, f"hub-{kind.lower()}", "", kind) for kind in ("NORMAL", "FULL")
        }
        for case in SQLITE:
            _case(case, hubs[case.synchronous], hello, rounds, visits)
    if only == "sqlite":
        return
    with postgres(found.folder) as new_database:
        if new_database is None:
            print("PostgreSQL is left out: install the development requirements.")
            return
        try:
            for case in POSTGRES:
                _case(case, Hub.start(found, "hub-pg", new_database("hub")), hello, rounds, visits)
        finally:
            found.stop()


def _case(case: Case, hub: Hub, hello: int, rounds: int, visits: int) -> None:
    """Measure hello and visits in turn; the ratio is the median of the rounds' own."""
    print(f"{case.label}, {case.connections} connections")
    ratios = []
    warm_up = hub.requests(network.add_phones(hub.service.app, hub.homes, 60))
    load.run(hub.service.port, warm_up, case.connections, 201)
    phones = network.add_phones(hub.service.app, hub.homes, rounds * visits)
    for n in range(rounds):
        limit = load.run(hello, [load.get("/")] * (4 * visits), case.connections, 200)
        requests = hub.requests(phones[n * visits : (n + 1) * visits])
        measured = load.run(hub.service.port, requests, case.connections, 201)
        ratios.append(measured.rate / limit.rate)
        print(report.line("hello", limit, f"generator {limit.own_share:.0%} of a core"))
        print(report.line("visits", measured, report.ratio(ratios[-1], None, None)))
    print(f"  median: {report.ratio(report.median(ratios), case.floor, case.aim)}\n")


if __name__ == "__main__":
    main()
