"""An error is logged with every place in our own code that it came by, and with no value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from structlog.testing import CapturingLogger

from shared.ops import jobs
from shared.ops.jobs import Job
from shared.web.guards import allow
from shared.wire import problems
from tests.architecture.applications import APPLICATIONS
from tests.databases import Databases

SECRET = "ada@la-cordee.example"


@pytest.fixture
def app(tmp_path: Path, databases: Databases) -> Iterator[Flask]:
    made = APPLICATIONS["node"](tmp_path, databases.new())
    yield made
    with made.app_context():
        made.extensions["sqlalchemy"].session.remove()
        made.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> CapturingLogger:
    found = CapturingLogger()
    monkeypatch.setattr(problems, "log", found)
    monkeypatch.setattr(jobs, "log", found)
    return found


def _places(logged: CapturingLogger) -> list[str]:
    (call,) = [call for call in logged.calls if call.method_name == "error"]
    assert SECRET not in str(call)
    where: list[str] = call.kwargs["where"]
    return where


def test_a_page_that_breaks_is_logged_with_our_frames(app: Flask, logged: CapturingLogger) -> None:
    @app.get("/broken")
    @allow("public")
    def broken() -> Any:
        # Of ours is what begins here, and json's own frames say only where it ended.
        return app.json.response(_read_by_library(app))

    answer = app.test_client().get("/broken", headers={"Accept-Language": "en"})
    assert answer.status_code == 500
    assert SECRET not in answer.text
    places = _places(logged)
    assert any(place.startswith("shared/web/") and ":_headers" not in place for place in places)
    assert all(len(place.rsplit(":", 2)) == 3 for place in places)


def _read_by_library(app: Flask) -> Any:
    from shared.web.application import _Json

    return _Json(app).response({SECRET: object()})


def test_a_job_that_breaks_is_logged_with_our_frames(app: Flask, logged: CapturingLogger) -> None:
    def run() -> None:
        problems.frames_of(json.loads(f'{{"a": {SECRET}'))

    jobs.guarded(app, Job("broken", 1, run))()
    places = _places(logged)
    assert places[0].startswith("shared/ops/jobs.py:")
    assert places[0].endswith(":run")
    assert places[-1].startswith("…/json/decoder.py:")


@pytest.mark.both_databases
@pytest.mark.postgres
def test_what_a_database_cannot_hold_is_no_fault_of_ours(
    app: Flask, logged: CapturingLogger
) -> None:
    @app.get("/held")
    @allow("public")
    def held() -> Any:
        session = app.extensions["sqlalchemy"].session()
        return str(session.scalar(text("SELECT :value"), {"value": "a\0b"}))

    answer = app.test_client().get("/held")
    dialect = app.extensions["sqlalchemy"]
    with app.app_context():
        kind = dialect.engine.dialect.name
    assert answer.status_code == (400 if kind == "postgresql" else 200)
