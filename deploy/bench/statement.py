"""A month of a large network: issuing, signing and recomputing it, and simulating a proposal.

Each measured step runs in a process of its own, whose peak of memory is its own too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import text

from charter import statement as document
from deploy.bench import network
from deploy.bench.services import SECRET, postgres
from federation.app import create_new
from federation.charters import service as charters
from federation.context import hub
from federation.db import db
from federation.settings import HubSettings
from federation.simulation import service as simulation
from federation.statements import documents
from federation.statements import service as statements
from federation.statements.composing import TYP
from shared.crypto import jose
from shared.ops.command import migrate

MONTH = "2026-10"
AIM_SECONDS, AIM_MIB, AIM_SIMULATION = 60.0, 1024.0, 10.0
_FACTS = """json_build_object('plan', 'resident', 'member_since', '2025-01-01', 'home', m.node_id,
 'home_state', 'connected', 'home_signed', '1', 'host', h.id, 'host_signed', '1', 'space', h.id,
 'opening', json_build_array(to_char(t, 'YYYY-MM-DD') || 'T07:00:00+00:00',
 to_char(t, 'YYYY-MM-DD') || 'T17:00:00+00:00'), 'guest_cap', 50, 'capacity', 60,
 'services', json_build_array('fibre', 'café'), 'used_host', 0, 'used_network', k)"""
_FILL = (
    """INSERT INTO member (node_id, reference, member_since)
 SELECT 'home-' || (i % :nodes), 'm' || i, DATE '2025-01-01'
 FROM generate_series(0, :people - 1) i""",
    """INSERT INTO visit (id, member_id, home_id, host_id, space_id, pass_id, plan, proof, state,
 online, timezone, started_at, shown_at, left_at, ended_at, day, closes_at, charter, facts,
 decision, flags, evidence, recorded_at, changed_at)
 SELECT substr(md5(i::text), 1, 26), m.id, m.node_id, h.id, h.id, 'p' || m.id, 'resident',
 md5('p' || i), 'closed', true, 'Europe/Paris', t, t, ends, ends, t::date, ends, '1', FACTS,
 '{}', '[]', '{}', t, t FROM generate_series(0, :visits - 1) i
 CROSS JOIN LATERAL (SELECT i / :people AS k) a
 CROSS JOIN LATERAL (SELECT TIMESTAMPTZ '2026-10-01 07:30+00' + make_interval(days => k * 2,
 secs => i % 14000) AS t) b
 CROSS JOIN LATERAL (SELECT t + interval '3 hours' AS ends) c
 JOIN member m ON m.id = (SELECT min(id) FROM member) + i % :people
 JOIN node h ON h.id = 'home-' || ((substr(m.node_id, 6)::int + 1 + k * 7) % :nodes)""",
    """INSERT INTO half_day_line (visit_id, member_id, home_id, host_id, space_id, month, day, half,
 quantity, occurrence, recorded_at)
 SELECT id, member_id, home_id, host_id, space_id, '2026-10', started_at::date, half, 1, 0,
 started_at FROM visit CROSS JOIN (VALUES ('am'), ('pm')) halves (half)
 WHERE half = 'am' OR extract(minute FROM started_at)::int % 3 = 0""",
)


def app_for(url: str, folder: Path) -> Flask:
    return create_new(
        HubSettings(
            url="http://127.0.0.1:1",
            secret_key=SECRET,
            data_dir=folder,
            database_url=url,
            demo=True,
            allow_private_peers=True,
        )
    )


def fill(app: Flask, nodes: int, visits: int) -> None:
    """Make a month of visits, ten for each person, in October."""
    migrate(app)
    network.found(app, nodes)
    with app.app_context():
        values = {"nodes": nodes, "visits": visits, "people": max(1, visits // 10)}
        for statement in _FILL:
            db.session.execute(text(statement.replace("FACTS", _FACTS)), values)
        db.session.commit()
        db.session.execute(text("ANALYZE"))
        db.session.commit()


def _issue(url: str, folder: Path) -> str:
    """Issue the month, signed, in many short transactions; and read it as it is published."""
    with app_for(url, folder).app_context():
        now = datetime(2026, 11, 2, 9, tzinfo=UTC)
        statements.issue(db.session(), now, MONTH, "benchmark")
        token = documents.as_jws(db.session(), MONTH)
        size = len(token) * 3 / 4
        (folder / "statement.jws").write_bytes(token)
    return f"{size / 1e6:,.0f} MB of canonical JSON, signed"


def _verify(url: str, folder: Path) -> str:
    """Recompute it from the published file alone; the hub's key and charter are published too."""
    app = app_for(url, folder)
    with app.app_context():
        rule = charters.in_force(db.session()).rules.balance
        find = hub().ring.find
    payload = jose.read_bytes((folder / "statement.jws").read_bytes(), find, TYP)
    if document.recompute(payload, rule) != payload:
        raise SystemExit("the statement does not hold")
    head = document.read(payload)
    if sum(head["balances"].values()) or sum(head["compensation"].values()):
        raise SystemExit("the statement does not sum to zero")
    return f"byte for byte; {len(head['transfers'])} transfers, sums zero"


def _simulate_same(url: str, folder: Path) -> str:
    """Decide a month of visits again under the charter in force."""
    with app_for(url, folder).app_context():
        found = simulation.run(db.session(), "1", *_OCTOBER).totals.network
    if found.changed:
        raise SystemExit("replaying the charter in force changed something")
    return f"changes none of {found.visits_before:,}"


def _simulate_other(url: str, folder: Path) -> str:
    """The same under a smaller limit, which corrects what later visits are decided on."""
    with app_for(url, folder).app_context():
        session = db.session()
        rules = charters.in_force(session).sources["rules.toml"]
        tried = rules.replace("network = 16", "network = 5")
        found = simulation.run(session, "1", *_OCTOBER, tried).totals.network
    return f"changes {found.changed:,} of {found.visits_before:,}"


_OCTOBER = date(2026, 10, 1), date(2026, 10, 31)


def _in_child(work: Callable[..., str], url: str, folder: Path, results: Any) -> None:
    started = time.perf_counter()
    said = work(url, folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((said, time.perf_counter() - started, peak))


def measure(label: str, work: Callable[..., str], url: str, folder: Path) -> tuple[float, float]:
    """Run a step in a process of its own; print and return its seconds and MiB at the most."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_in_child, args=(work, url, folder, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{label}: failed")
    said, seconds, peak = results.get()
    print(f"{label:32} {seconds:7.1f} s {peak:7,.0f} MiB   {said}", flush=True)
    return float(seconds), float(peak)


@contextmanager
def _place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as folder:
        yield Path(folder)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--nodes", type=int, default=200)
    options.add_argument("--visits", type=int, default=1_000_000)
    options.add_argument("--simulated", type=int, default=100_000)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    with _place() as folder, postgres(folder) as server:
        if server is None:
            sys.exit("PostgreSQL comes with the development requirements")
        for name, visits in (("statement", chosen.visits), ("simulation", chosen.simulated)):
            data = folder / name
            data.mkdir()
            url = server.new(name)
            started = time.perf_counter()
            fill(app_for(url, data), chosen.nodes, visits)
            print(
                f"{visits:,} visits of {chosen.nodes} operators written in "
                f"{time.perf_counter() - started:.0f} s",
                flush=True,
            )
            if name == "statement":
                issue = measure("issue, write and sign", _issue, url, data)
                measure("recompute from the file", _verify, url, data)
            else:
                simulated = max(
                    measure("simulate the charter in force", _simulate_same, url, data)[0],
                    measure("simulate a limit of 5", _simulate_other, url, data)[0],
                )
        good = issue[0] <= AIM_SECONDS and issue[1] <= AIM_MIB
        print(
            f"aim: issued ≤ {AIM_SECONDS:.0f} s and ≤ {AIM_MIB:.0f} MiB: {'yes' if good else 'NO'}"
        )
        fast = simulated <= AIM_SIMULATION
        print(f"aim: one simulation ≤ {AIM_SIMULATION:.0f} s: {'yes' if fast else 'NO'}")


if __name__ == "__main__":
    main()
