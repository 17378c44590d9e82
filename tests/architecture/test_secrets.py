"""No line of the log tells who somebody is, or holds what opens a door."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
from flask import Flask
from sqlalchemy import insert

from shared.ops.jobs import Job, guarded
from shared.ops.logs import configure_logging
from shared.web import allow
from tests.architecture.applications import APPLICATIONS
from tests.databases import Databases, create_tables
from tests.network import PASSWORD, Network, Person


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Log as a service does, at the level that says most; return what was written."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    before = structlog.get_config()
    handler = logging.StreamHandler(written)
    handler.setLevel(logging.WARNING)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: logging.getLogger().addHandler(handler))
    configure_logging("DEBUG", "test")
    structlog.configure(cache_logger_on_first_use=False)  # or later tests would log here
    yield written.getvalue
    logging.getLogger().removeHandler(handler)
    structlog.configure(**before)


def _secrets_of(person: Person) -> dict[str, str]:
    number = person.email.removeprefix("p").partition("@")[0]
    return {
        "e-mail": person.email,
        "given name": f"Ada{number}",
        "family name": "Test",
        "token": person.token,
        "credential": person.credential,
        "signature of the credential": person.credential.rpartition(".")[2][:40],
        "password": PASSWORD,
    }


def _named(text: str, key: str) -> set[str]:
    """Return what the lines of a log say under this key."""
    return {json.loads(line).get(key) for line in text.splitlines()} - {None}


def _told(text: str, secrets: dict[str, str]) -> list[str]:
    return [what for what, secret in secrets.items() if secret and secret in text]


def _visit(network: Network) -> dict[str, str]:
    """Let somebody come and go in every way that the door knows; return what must stay secret."""
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    person = cordee.add_person().get_pass()
    shown = person.show()
    assert troquet.scan(shown, key="one-key").status_code == 201
    assert troquet.scan(shown, key="one-key").status_code == 200
    assert troquet.scan(shown[:-9] + "AAAAAAAAA").status_code == 403
    assert cordee.scan(shown, space="nowhere").status_code == 422
    assert troquet.get("/api/v1/presence?space=troquet", troquet.desk).status_code == 200
    assert cordee.get("/api/v1/me/rights", person.token).status_code == 200
    assert troquet.get("/api/v1/me/rights", person.token).status_code == 401
    login = {"email": person.email, "password": PASSWORD}
    assert cordee.post("/login", login).status_code == 415  # a page takes forms
    network.hub.server.stop()
    visitor = cordee.add_person("nomad").get_pass()
    assert troquet.scan(visitor.show()).status_code == 201
    network.hub.server.start()
    network.refresh()
    assert network.hub.get("/api/v1/statements/2026-11", network.hub.token).status_code == 200
    return {
        **{f"visitor's {what}": secret for what, secret in _secrets_of(visitor).items()},
        **_secrets_of(person),
        "desk's token": troquet.desk,
        "coordinator's token": network.hub.token,
    }


def test_the_log_of_a_visit_names_nobody(network: Network, log: Callable[[], str]) -> None:
    secrets = _visit(network)
    assert {"desk.check_in", "visits.record"} <= _named(log(), "endpoint")
    assert _told(log(), secrets) == []


def _failing(app: Flask) -> Callable[[], None]:
    """Return a job that fails in the database, with somebody's data in its hands."""
    database = app.extensions["sqlalchemy"]
    somebody = {
        "email": "ada@a.example",
        "name": "Ada",
        "password_hash": "",
        "roles": [],
        "created_at": datetime.now(UTC),
    }

    def run() -> None:
        table = database.metadata.tables["account"]
        database.session.execute(insert(table).values([somebody, somebody]))

    return run


@pytest.fixture(params=APPLICATIONS)
def app(request: pytest.FixtureRequest, tmp_path: Path, databases: Databases) -> Iterator[Flask]:
    made = APPLICATIONS[request.param](tmp_path, databases.new())
    create_tables(made)
    yield made
    with made.app_context():
        made.extensions["sqlalchemy"].engine.dispose()


def test_a_failing_job_is_logged_without_its_values(app: Flask, log: Callable[[], str]) -> None:
    guarded(app, Job("failing", 1, _failing(app)))()
    assert _named(log(), "error") == {"IntegrityError"}
    assert "ada@a.example" not in log()


def test_an_unexpected_error_is_logged_without_its_values(
    app: Flask, log: Callable[[], str]
) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    app.view_functions["healthz"] = allow("public")(_failing(app))
    assert app.test_client().get("/healthz").status_code == 500
    assert _named(log(), "error") == {"IntegrityError"}
    assert "ada@a.example" not in log()
