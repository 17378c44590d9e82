"""A year of a million visits in pictures: summed the first time, kept, and drawn.

Half-days alone are written, without the visits and people that they refer to: pictures read no
other table of them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import func, insert, literal, select, text

from deploy.bench import network
from deploy.bench.report import at_most
from deploy.bench.services import postgres
from deploy.bench.statement import app_for
from federation.db import db
from federation.nodes.models import Node
from federation.spaces.models import Space
from federation.statements.models import Statement, StatementLine
from federation.statistics import pdf, service, yearly_report
from federation.statistics.pages import PICTURES
from federation.visits.models import HalfDayLine
from shared.base.memory import forget_all
from shared.ops.command import migrate

NOW = datetime(2027, 1, 12, 9, tzinfo=UTC)
AIM_FIRST, AIM_KEPT, AIM_AGAIN = 60.0, 2.0, 1.0
WEEK = {day: [["09:00", "18:00"]] for day in ("mo", "tu", "we", "th", "fr")}
# A visit in three touches both half-days; a person goes to ten hosts in a year.
_FILL = """INSERT INTO half_day_line (visit_id, member_id, home_id, host_id, space_id, month, day,
 half, quantity, occurrence, recorded_at)
 WITH RECURSIVE counted(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counted WHERE i < :visits - 1),
 visit AS (SELECT i, i % :people AS person, i / :people AS k FROM counted),
 halves(h) AS (SELECT 'am' UNION ALL SELECT 'pm')
 SELECT 'v' || i, person, 'home-' || (person % :nodes),
 'home-' || ((person + 1 + k * 7 + person % 3) % :nodes),
 'home-' || ((person + 1 + k * 7 + person % 3) % :nodes), bench_day.month, bench_day.day, h, 1, 0,
 bench_day.at FROM visit JOIN bench_day ON bench_day.n = (k * 26 + person % 23) % :days
 CROSS JOIN halves WHERE h = 'am' OR i % 3 = 0"""


def fill(app: Flask, nodes: int, visits: int) -> None:
    """Write a year's half-days, on its working days."""
    migrate(app)
    network.found(app, nodes)
    first = date(2026, 1, 1)
    days = [first + timedelta(n) for n in range(365)]
    working = [day for day in days if day.weekday() < 5]
    with app.app_context():
        told = {"timezone": "Europe/Paris", "week": WEEK, "guest_cap": 40}
        for space in db.session.scalars(select(Space)):
            space.document = {**space.document, **told}
            db.session.get_one(Node, space.node_id).enrolled_at = datetime(2025, 12, 1, tzinfo=UTC)
        db.session.commit()
        connection = db.session().connection(execution_options={"writes": True})
        lite = connection.dialect.name == "sqlite"
        off = "PRAGMA foreign_keys = OFF" if lite else "SET session_replication_role = replica"
        if lite:
            connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(off)
        kind = "text" if lite else "timestamptz"
        day_kind = "text" if lite else "date"
        connection.execute(
            text(f"CREATE TEMP TABLE bench_day (n int, day {day_kind}, month text, at {kind})")
        )
        connection.execute(
            text("INSERT INTO bench_day VALUES (:n, :day, :month, :at)"),
            [
                {"n": n, "day": str(day) if lite else day, "month": f"{day:%Y-%m}", "at": NOW}
                for n, day in enumerate(working)
            ],
        )
        people = max(1, visits // 10)
        values = {"visits": visits, "people": people, "nodes": nodes, "days": len(working)}
        connection.execute(text(_FILL), values)
        db.session.commit()
        last = db.session.scalar(select(func.max(HalfDayLine.id)))
        issued = {"state": "final", "revision": 2, "floor": (last or 0) + 1, "charter": "1"}
        for month in sorted({f"{day:%Y-%m}" for day in working}):
            stamps = {"issued_at": NOW, "final_at": NOW, "nodes": [], "carried": {}}
            db.session.add(Statement(month=month, **issued, **stamps))
        db.session.flush()
        taken = select(HalfDayLine.id, HalfDayLine.month, literal("counted"))
        columns = ("line_id", "month", "state")
        db.session.execute(insert(StatementLine).from_select(columns, taken))
        db.session.commit()
        db.session.execute(text("ANALYZE"))
        db.session.commit()


def measure(label: str, work: Callable[[], Any], aim: float | None = None) -> Any:
    """Do it once; print the seconds that it took, and those of this process's processor."""
    service_cpu, started = time.process_time(), time.perf_counter()
    found = work()
    took, cpu = time.perf_counter() - started, time.process_time() - service_cpu
    said = f"{took:.2f} s" if aim is None else at_most(took, aim, "s")
    print(f"  {label:38} {said:32} CPU {cpu:5.2f} s", flush=True)
    return found


def run(app: Flask) -> None:
    today = service.today(NOW)
    period = service.Period("2026-01", "2026-12", today)
    with app.test_request_context("/"):
        session = db.session()
        forget_all(app)  # as in a new process
        found = measure(
            "the year summed, nothing kept", lambda: service.read(session, period), AIM_FIRST
        )
        lines = sum(cell.value for month in found.values() for cell in month.flows.values())
        print(f"  {'':38} of {lines:,} half-days", flush=True)
        measure("what the jobs process keeps", lambda: service.prepare(session, NOW))
        for name, draw in PICTURES.items():
            forget_all(app)
            measure(f"{name}, in a new process", partial(draw, session, period), AIM_KEPT)
            measure(f"{name}, again", partial(draw, session, period), AIM_AGAIN)
        made = measure("the year's report", lambda: yearly_report.report(session, today, 2026))
        measure("… as PDF", lambda: pdf.as_pdf(made, "Bench", "fr", NOW))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--nodes", type=int, default=200)
    options.add_argument("--visits", type=int, default=1_000_000)
    options.add_argument("--only", choices=("sqlite", "postgres"))
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as place:
        folder = Path(place)
        if chosen.only != "postgres":
            one("SQLite", f"sqlite:///{folder / 'hub.sqlite'}", folder / "lite", chosen)
        if chosen.only != "sqlite":
            with postgres(folder) as server:
                if server is None:
                    print("PostgreSQL left out: it comes with the development requirements")
                else:
                    one("PostgreSQL", server.new("pictures"), folder / "pg", chosen)


def one(name: str, url: str, folder: Path, chosen: argparse.Namespace) -> None:
    folder.mkdir()
    app = app_for(url, folder)
    started = time.perf_counter()
    fill(app, chosen.nodes, chosen.visits)
    took = time.perf_counter() - started
    print(f"{name}: {chosen.visits:,} visits of {chosen.nodes} operators written in {took:.0f} s")
    run(app)


if __name__ == "__main__":
    main()
