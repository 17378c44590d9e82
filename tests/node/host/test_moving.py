"""An operator moves in with its visits, and out again: none is lost, and none counts twice."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from flask_migrate import stamp

from node.app import create_app
from node.cli import SERVICE
from node.context import node as context
from node.db import db
from node.host import operators
from node.host.dispatch import Dispatcher
from node.host.nodes import Nodes
from node.settings import KEYS, NodeSettings
from shared.base.config import read_settings
from shared.ops import backup
from shared.ops.backup_command import restore_backup
from tests.network import LocalNode, Network, Person
from tests.node.host.hosting import make_host


def save(app: Flask, path: Path) -> Path:
    """Save a node as ``node backup`` does."""
    with app.app_context():
        settings = context().settings
        files = backup.files_of(settings.data_dir, KEYS, "photos")
        given = {
            "NODE_URL": settings.url,
            "NODE_HUB_URL": settings.hub_url,
            "NODE_NAME": settings.name,
            "NODE_SECRET_KEY": settings.secret_key,
            "NODE_DEMO": "yes",
            "NODE_ALLOW_PRIVATE_PEERS": "yes",
        }
        source = backup.Source("node", db.engine, files.copy, given)
        backup.write_backup(source, path, datetime.now(UTC), lambda _words: None)
        db.session.remove()
    return path


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a restore say in the environment what it will."""
    monkeypatch.setattr(os, "environ", {**os.environ})


@pytest.mark.usefixtures("environ")
def test_a_node_moves_in_and_out_with_its_visits(
    make_network: Callable[..., Network], tmp_path: Path
) -> None:
    network = make_network(nodes=("cordee", "troquet"))
    troquet = network.nodes["troquet"]
    people = [network.nodes["cordee"].add_person("resident") for _ in range(5)]
    own = troquet.app

    def on_our_clock(settings: NodeSettings) -> Flask:
        return create_app(replace(settings, clock=network.clock))

    def serve(app: Flask | Dispatcher, held: Flask) -> None:
        troquet.server.stop()
        troquet.server.app = app  # type: ignore[assignment]
        troquet.app = held
        troquet.server.start()

    with own.app_context():
        stamp()  # the tables of tests are made without migrating
    assert troquet.scan(people[0].show()).status_code == 201
    with troquet.without_jobs(), troquet.cut_off():
        assert troquet.scan(people[1].show()).status_code == 201  # the hub does not hear of it
    saved = save(own, tmp_path / "in.zip")

    host = make_host(tmp_path / "host")
    one = operators.operator(host.data_dir, "troquet")
    restore_backup(SERVICE, saved, one.folder, None, replace=False)
    operators.serve(one)
    nodes = Nodes(host, on_our_clock)
    (place,) = nodes.places()
    ready = nodes.enter(place)
    assert ready
    nodes.leave(ready)
    serve(Dispatcher(nodes, 0), ready.app)
    _admit_and_tell(troquet, people[2])
    assert troquet.scan(people[0].show()).status_code == 200  # here already
    assert len(network.hub.statement()["visits"]) == 3

    moved_out = save(ready.app, tmp_path / "out.zip")
    operators.stop_serving(one)
    nodes.look()
    assert operators.wait_until_free(one, 10)
    made = restore_backup(SERVICE, moved_out, tmp_path / "own", None, replace=False)
    settings = read_settings(NodeSettings, "NODE", {"NODE_ENV_FILE": str(made)})
    alone = on_our_clock(settings)
    serve(alone, alone)
    _admit_and_tell(troquet, people[3])
    assert troquet.scan(people[1].show()).status_code == 200
    assert len(network.hub.statement()["visits"]) == 4
    serve(own, own)


def _admit_and_tell(troquet: LocalNode, person: Person) -> None:
    answer = troquet.scan(person.show())
    assert answer.status_code == 201, answer.text
    troquet.deliver()
