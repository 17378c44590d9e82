"""What it costs the hub that many nodes ask for the trust list, and how soon a change is in it."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from sqlalchemy import insert, update

from charter import model_sources
from deploy.bench.services import SECRET
from federation.app import create_new
from federation.charters import service as charters
from federation.context import hub
from federation.db import db
from federation.nodes import trust_changes
from federation.nodes.models import Node, NodeKey
from federation.settings import HubSettings
from federation.spaces.models import Space
from federation.trust import trust_list
from shared.ops.command import migrate
from shared.ops.logs import configure_logging
from shared.store.db import write

PATH = "/api/v1/trust-list"
EVERY_SECONDS = 60
# Answers that are timed, of each kind.
TIMES = 200


def app_with(nodes: int, spaces: int, folder: Path) -> Flask:
    """Return a hub with so many nodes, a key each, and so many spaces in all."""
    app = create_new(
        HubSettings(url="http://127.0.0.1:1", secret_key=SECRET, data_dir=folder, demo=True)
    )
    migrate(app)
    with app.app_context():
        session, now = db.session(), hub().clock.now()
        charters.adopt_first(session, now, model_sources())
        with write(session):
            jwk = hub().ring.public_jwks()[0]
            ids = [f"node-{number:05}" for number in range(nodes)]
            common = {"plans": {}, "enrolled_at": now, "last_seen_at": now}
            session.execute(
                insert(Node),
                [{"id": i, "name": i, "url": f"https://{i}.example.org", **common} for i in ids],
            )
            keys = [{"node_id": i, "kid": jwk["kid"], "jwk": jwk, "added_at": now} for i in ids]
            session.execute(insert(NodeKey), keys)
            rows = [
                {"id": f"space-{n:06}", "node_id": ids[n % nodes], "name": "S", "town": "Lyon"}
                for n in range(spaces)
            ]
            session.execute(
                insert(Space), [{**row, "document": {}, "published_at": now} for row in rows]
            )
    return app


def processor_time(call: Callable[[], object], times: int) -> float:
    """Return the seconds of processor time of one call."""
    call()
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times


def change(app: Flask) -> float:
    """Return the seconds that a change of standing and the next signature take."""
    with app.app_context():
        session = db.session()
        started = time.perf_counter()
        with write(session):
            session.execute(update(Node).where(Node.id == "node-00000").values(state="suspended"))
            trust_changes.note(session)
        trust_list.current(session, hub())
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=2000)
    parser.add_argument("--spaces", type=int, default=8000)
    parser.add_argument("--times", type=int, default=TIMES)
    asked = parser.parse_args()
    configure_logging("WARNING", "bench")
    with tempfile.TemporaryDirectory() as folder:
        app = app_with(asked.nodes, asked.spaces, Path(folder))
        client = app.test_client()
        first = client.get(PATH)
        etag = first.headers["ETag"]
        unchanged = processor_time(
            lambda: client.get(PATH, headers={"If-None-Match": etag}), asked.times
        )
        whole = processor_time(lambda: client.get(PATH), asked.times)
        print(f"the list                 {len(first.data) / 1024:8.0f} KiB")
        print(f"unchanged (304)          {1000 * unchanged:8.2f} ms of processor time")
        print(f"whole                    {1000 * whole:8.2f} ms of processor time")
        share = unchanged * asked.nodes / EVERY_SECONDS
        print(f"all nodes each {EVERY_SECONDS} s      {share:8.3f} of a core (aim: 0.1)")
        cpu = time.process_time()
        print(f"a change, until signed   {1000 * change(app):8.0f} ms (aim: 1000)")
        cpu = time.process_time() - cpu
        print(f"                         {1000 * cpu:8.0f} ms of processor time", flush=True)
        with app.app_context():
            db.engine.dispose()


if __name__ == "__main__":
    main()
