"""What it costs the hub's jobs process to bring the open feeds up to date with many spaces."""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import insert, update

from charter import model_sources
from deploy.bench.services import SECRET
from federation import jobs
from federation.app import create_new
from federation.charters import service as charters
from federation.context import hub
from federation.db import db
from federation.nodes.models import Node
from federation.settings import HubSettings
from federation.spaces.models import Availability, Space
from shared.ops.command import migrate
from shared.ops.logs import configure_logging
from shared.store.db import write

WEEK = {day: [["09:00", "19:00"]] for day in ("mo", "tu", "we", "th", "fr")}


def app_with(spaces: int, folder: Path) -> Flask:
    """Return a hub with one node that has so many spaces, each with one event and known places."""
    app = create_new(
        HubSettings(url="http://127.0.0.1:1", secret_key=SECRET, data_dir=folder, demo=True)
    )
    migrate(app)
    with app.app_context():
        session, now = db.session(), hub().clock.now()
        charters.adopt_first(session, now, model_sources())
        with write(session):
            node = {"id": "n", "name": "N", "url": "http://127.0.0.1:2", "plans": {}}
            session.execute(insert(Node).values(enrolled_at=now, last_seen_at=now, **node))
            rows, places = [], []
            for number in range(spaces):
                document = _document(f"space-{number:06}")
                row = {"id": document["id"], "node_id": "n", "name": "S", "town": "Lyon"}
                rows.append({**row, "document": document, "published_at": now})
                told = {"guest_places": 5, "guest_places_free": 5, "paused": False, "as_of": now}
                expires_at = now + timedelta(hours=1)
                places.append({"space_id": document["id"], "expires_at": expires_at, **told})
            session.execute(insert(Space), rows)
            session.execute(insert(Availability), places)
    return app


def _document(space_id: str) -> dict[str, object]:
    event = {
        "id": "e",
        "title": "Brunch",
        "starts_at": "2099-12-01T10:00:00+01:00",
        "ends_at": "2099-12-01T12:00:00+01:00",
    }
    address = {"town": "Lyon", "country": "FR"}
    common = {"id": space_id, "name": "S", "address": address, "timezone": "Europe/Paris"}
    return {**common, "week": WEEK, "guest_cap": 5, "events": [event]}


def measure(what: str) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    jobs.refresh_feeds()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{what:32} {cpu:8.3f} s of processor time, {wall:8.3f} s in all", flush=True)
    db.session.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", type=int, default=40_000)
    spaces = parser.parse_args().spaces
    configure_logging("WARNING", "bench")
    with tempfile.TemporaryDirectory() as folder, app_with(spaces, Path(folder)).app_context():
        measure("the first time")
        measure("nothing has changed")
        with write(db.session()):
            session = db.session()
            some = Availability.space_id.like("%77")
            session.execute(update(Availability).where(some).values(guest_places_free=1))
        measure("one in a hundred has changed")
        measure("nothing has changed")
        db.engine.dispose()


if __name__ == "__main__":
    main()
