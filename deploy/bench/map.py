"""The map of 40,000 spaces: searches, boxes beside the database's own time, kept answers beside
Flask's "hello".

Searches run in this process, so that what is measured is finding alone; what is kept is asked of
a real server of two workers, by many at once.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import requests
from sqlalchemy import text
from sqlalchemy.orm import Session

from deploy.bench import atlas, load, report
from deploy.bench.services import WORKERS, Bench, Service, bench, postgres
from deploy.demo.processes import ProcessError
from federation.db import db
from federation.search import clusters, index_refresh
from federation.search import service as search
from federation.search.service import Filters
from shared.ops.logs import configure_logging

CONNECTIONS = 8
TIMES = 60
SEARCH_MS, CACHED, UNCHANGED, BOX = 50.0, 0.6, 0.7, 2.0
VIEWPORT = (4.78, 45.74, 4.9, 45.79)
FRANCE = (-5.0, 41.0, 10.0, 51.5)
BOX_SQL = text(
    "SELECT id, name, town, latitude, longitude FROM space WHERE withdrawn_at IS NULL"
    " AND latitude BETWEEN :south AND :north AND longitude BETWEEN :west AND :east"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3, help="each hello, then kept answers")
    parser.add_argument("--requests", type=int, default=4000, help="requests in a round")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    configure_logging("CRITICAL", "bench")
    try:
        with bench() as found:
            if options.only != "postgres":
                _measure(found, "SQLite", "", options)
            if options.only != "sqlite":
                with postgres(found.folder) as server:
                    if server is None:
                        print("PostgreSQL is left out: install the development requirements.")
                        return
                    _measure(found, "PostgreSQL", server.new("map"), options)
                    found.stop()
    except (load.LoadError, ProcessError) as error:
        sys.exit(f"failed: {error}")


def _measure(found: Bench, label: str, database: str, options: argparse.Namespace) -> None:
    hub = found.hub(f"hub-{label.lower()}", database)
    configure_logging("CRITICAL", "bench")
    atlas.found(hub.app, options.spaces)
    print(f"{label}, {options.spaces} spaces")
    with hub.app.app_context():
        session = db.session()
        _load(session)
        _boxes(session)
        _searches(session)
        _look(session)
        db.engine.dispose()
    _kept(found, hub, options.rounds, options.requests)
    found.kill(f"hub-{label.lower()}")


def _asking(session: Session, question: Callable[[], Filters], now: datetime) -> Callable[[], Any]:
    return lambda: search.matches(session, question(), now)


def _load(session: Session) -> None:
    before, started = _resident_mb(), time.process_time()
    index = index_refresh.of(session).look(session)
    session.rollback()
    seconds = time.process_time() - started
    print(
        f"  read whole, once in each process: {seconds:.1f} s of processor time, "
        f"{_resident_mb() - before:.0f} MB for {len(index.entries)} spaces"
    )


def _resident_mb() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123 - it is no file
        return int(file.read().split()[1]) * 4096 / 1e6


def _times(
    call: Callable[[], Any], times: int = TIMES, clock: Callable[[], float] = time.thread_time
) -> float:
    """Return the median time of a call, in milliseconds: of processor time, if nothing is said.

    That is what finding in memory takes; other work on the machine disturbs it less.
    """
    found = []
    for _ in range(times):
        started = clock()
        call()
        found.append((clock() - started) * 1000)
    return statistics.median(found)


def _boxes(session: Session) -> None:
    """Compare finding a box with the database's own time for it, in turn over many boxes."""
    chance, ours, theirs = random.Random(2), [], []  # noqa: S311 - the same boxes each time
    now = datetime.now(UTC)
    connection = session.connection()
    # PostgreSQL's own processor time is another process's.
    clock = time.thread_time if connection.dialect.name == "sqlite" else time.perf_counter
    for _ in range(100):
        west, south = chance.uniform(-4, 7), chance.uniform(43, 50)
        box = (west, south, west + 0.25, south + 0.15)
        names = dict(zip(("west", "south", "east", "north"), box, strict=True))
        ask = partial(connection.execute, BOX_SQL, names)
        theirs.append(_times(lambda: ask().all(), 3, clock))  # noqa: B023 - called at once
        ours.append(_times(partial(search.anyhow, session, Filters(box=box), now), 3, clock))
    own, other = statistics.median(ours), statistics.median(theirs)
    reached = "yes" if own <= BOX * other else "NO"
    print(
        f"  a town's box: {own:.3f} ms, the database's own query {other:.3f} ms: "
        f"ratio {own / other:.2f} (aim ≤ {BOX:g}: {reached})"
    )
    france = _times(
        lambda: clusters.cluster(search.anyhow(session, Filters(box=FRANCE), now), 6), 10
    )
    print(f"  the whole country in clusters: {france:.1f} ms")


def _searches(session: Session) -> None:
    now = datetime.now(UTC).replace(hour=9)
    chance = random.Random(4)  # noqa: S311 - the same questions each time
    entries = list(index_refresh.of(session).index.entries.values())

    def typed() -> str:
        """Return a town with a letter missing."""
        name = chance.choice(entries).town
        cut = chance.randrange(1, len(name))
        return name[:cut] + name[cut + 1 :]

    def near() -> tuple[float, float]:
        entry = chance.choice(entries)
        return entry.latitude or 0.0, entry.longitude or 0.0

    later = (now + timedelta(days=n % 60, hours=n % 7) for n in range(10_000))
    questions: dict[str, Callable[[], Filters]] = {
        "a town": lambda: Filters(words=chance.choice(entries).town),
        "a town, mistyped": lambda: Filters(words=typed()),
        "beginning with s": lambda: Filters(words="s"),
        "nonsense": lambda: Filters(words="xyzzyx qwertyui"),
        "open now": lambda: Filters(open_now=True),
        "open at a time": lambda: Filters(open_at=next(later)),
        "two places free": lambda: Filters(seats=2),
        "for a resident": lambda: Filters(plan="resident"),
        "service, value, access": lambda: Filters(
            services=("fibre",), values=("cooperation",), facets=("accessible",)
        ),
        "near, 20 km": lambda: Filters(near=near(), radius_km=20),
        "near, 1,000 km": lambda: Filters(near=near(), radius_km=1000),
        "all of these, 50 km": lambda: Filters(
            words="cowo", services=("fibre",), open_now=True, seats=1, near=near(), radius_km=50
        ),
    }
    print("  searches, processor time:")
    medians = {}
    for name, question in questions.items():
        medians[name] = _times(_asking(session, question, now))
        print(f"  {name:24} {report.at_most(medians[name], SEARCH_MS)}")
    print(f"  median of the searches: {statistics.median(medians.values()):.2f} ms")


def _look(session: Session) -> None:
    """Time noticing that nothing was written, as each process does four times a second."""
    watch = index_refresh.of(session)
    time.sleep((index_refresh.SHORT_BACK / 1e6) + 0.5)  # what was just written is looked at again

    def look() -> None:
        watch.look(session)
        session.rollback()

    index_refresh.LOOK_SECONDS, kept = 0, index_refresh.LOOK_SECONDS
    look()
    print(f"  looking for changes: {_times(look):.2f} ms of processor time")
    index_refresh.LOOK_SECONDS = kept


def _kept(found: Bench, hub: Service, rounds: int, count: int) -> None:
    """Ask hello, the kept viewport and the unchanged one in turn; ratios are of one round."""
    hello = found.hello(WORKERS, 1)
    path = f"/api/v1/spaces/points?bbox={','.join(map(str, VIEWPORT))}"
    first = requests.get(f"{hub.url}{path}", timeout=60)
    unchanged = load.get(path, f"If-None-Match: {first.headers['ETag']}\r\n")
    for _ in range(20):  # until both workers have read all, which takes them a while
        requests.get(f"{hub.url}{path}", timeout=120)
    print(f"  a viewport of {first.json()['total']} spaces, {len(first.content)} bytes")
    ratios: dict[str, list[float]] = {"kept": [], "304": []}
    costs: dict[str, list[float]] = {"kept": [], "304": []}
    for _ in range(rounds):
        limit = load.run(hello.port, [load.get("/")] * count, CONNECTIONS, 200, (hello.pid,))
        print(report.line("hello", limit))
        for name, asked, status in (("kept", load.get(path), 200), ("304", unchanged, 304)):
            measured = load.run(hub.port, [asked] * count, CONNECTIONS, status, (hub.pid,))
            ratios[name].append(measured.rate / limit.rate)
            costs[name].append(limit.cpu_ms / measured.cpu_ms)
            print(report.line(name, measured, report.ratio(ratios[name][-1])))
    for name, aim in (("kept", CACHED), ("304", UNCHANGED)):
        by_cpu = report.ratio(report.median(costs[name]))
        print(f"  {name}, median: {report.ratio(report.median(ratios[name]), aim, aim)}")
        print(f"  {name}, by processor time: {by_cpu}")
    found.kill("hello")


if __name__ == "__main__":
    main()
