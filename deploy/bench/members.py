"""A node with 5,000 members: opening its console, its list of members, and importing the list."""

from __future__ import annotations

import argparse
import io
import re
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from deploy.bench.services import SECRET, postgres
from node.app import create_new
from node.context import node
from node.db import db
from node.identity.service import accounts
from node.members import service as members
from node.settings import NodeSettings
from node.spaces import service as spaces
from shared.ops.command import migrate
from shared.ops.logs import configure_logging
from shared.store.db import write

AIM_MS = 300.0
EMAIL, PASSWORD = "admin@bench.example", "a benchmark's password"
PAGES = (
    "/console",
    "/console/members",
    "/console/members?q=nom49",
    "/console/members?plan=1&after=2500",
    "/console/members/2500",
)


def app_for(url: str, folder: Path) -> Flask:
    """Return a node with a space, an admin and a plan, and nobody else."""
    app = create_new(
        NodeSettings(
            url="http://127.0.0.1:1",
            hub_url="http://127.0.0.1:2",
            name="bench",
            secret_key=SECRET,
            data_dir=folder,
            database_url=url,
            demo=True,
            allow_private_peers=True,
        )
    )
    migrate(app)
    with app.app_context():
        session, now = db.session(), node().clock.now()
        with write(session):
            spaces.add(session, now, "Bench", "Lyon")
            accounts.create(session, now, email=EMAIL, name="A", password=PASSWORD, roles=["admin"])
        members.add_plan(session, "Nomade", "nomad", None)
        members.add_plan(session, "Résident", "resident", None)
    return app


def _token(page: str) -> str:
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    return found[1] if found else ""


def log_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    form = {"email": EMAIL, "password": PASSWORD, "csrf_token": _token(client.get("/login").text)}
    if client.post("/login", data=form).status_code != 302:
        sys.exit("the admin cannot log in")
    return client


def bring_in(client: FlaskClient, count: int) -> tuple[float, float]:
    """Import that many members as an admin does; return the trial's seconds and the import's."""
    lines = "".join(
        f"Prénom{n};Nom{n};m{n}@bench.example;{'Nomade' if n % 3 else 'Résident'};2026-01-05\n"
        for n in range(count)
    )
    content = f"Prénom;Nom;Courriel;Formule;Début\n{lines}".encode()
    token = _token(client.get("/console/members/import").text)
    form = {"csrf_token": token, "file": (io.BytesIO(content), "members.csv")}
    path = client.post("/console/members/import", data=form).headers["Location"]
    started = time.perf_counter()
    page = client.get(path).text
    tried = time.perf_counter()
    chosen = dict(re.findall(r'type="hidden" name="(column_\w+)" value="(\d+)"', page))
    form = {"csrf_token": _token(page), "chosen": "1", **chosen}
    if 'id="outcome"' not in client.post(path, data=form).text:
        sys.exit("nothing was imported")
    return tried - started, time.perf_counter() - tried


def open_page(client: FlaskClient, path: str, times: int) -> tuple[float, float]:
    """Return the median and the worst of the milliseconds that the service itself took."""
    took = []
    for _ in range(times):
        answer = client.get(path)
        if answer.status_code != 200:
            sys.exit(f"{path}: {answer.status}")
        took.append(float(answer.headers["Server-Timing"].rpartition("=")[2]))
    return statistics.median(took), max(took)


def measure(name: str, url: str, folder: Path, count: int, times: int) -> float:
    """Print one database's figures; return the worst milliseconds of any page."""
    app = app_for(url, folder)
    client = log_in(app)
    tried, imported = bring_in(client, count)
    print(f"{name}: {count:,} lines tried in {tried:.1f} s, imported in {imported:.1f} s")
    worst = 0.0
    for path in PAGES:
        median, most = open_page(client, path, times)
        worst = max(worst, most)
        print(f"  {path:40} median {median:6.1f} ms   worst {most:6.1f} ms", flush=True)
    with app.app_context():
        db.engine.dispose()
    return worst


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--members", type=int, default=5000)
    options.add_argument("--times", type=int, default=20)
    chosen = options.parse_args()
    warnings.simplefilter("ignore")
    configure_logging("CRITICAL", "bench")
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as place:
        folder = Path(place)
        (folder / "sqlite").mkdir()
        sqlite = f"sqlite:///{folder / 'sqlite' / 'node.sqlite'}"
        worst = measure("SQLite", sqlite, folder / "sqlite", chosen.members, chosen.times)
        with postgres(folder) as server:
            if server is None:
                print("PostgreSQL comes with the development requirements")
            else:
                url, data = server.new("members"), folder / "node"
                data.mkdir()
                worst = max(worst, measure("PostgreSQL", url, data, chosen.members, chosen.times))
    print(f"aim: any of them opens within {AIM_MS:.0f} ms: {'yes' if worst <= AIM_MS else 'NO'}")


if __name__ == "__main__":
    main()
