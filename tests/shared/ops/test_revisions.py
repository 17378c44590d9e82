"""A service knows which tables its database has, and starts and answers on those it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import text

from deploy.cli import main
from shared.store.revisions import known
from tests.architecture.applications import APPLICATIONS
from tests.architecture.test_settings import KINDS
from tests.databases import Databases, create_tables

Make = Callable[[str], Flask]


@pytest.fixture
def make(tmp_path: Path, databases: Databases) -> Iterator[Make]:
    """Make services whose database is today's."""
    made: list[Flask] = []

    def new(kind: str) -> Flask:
        made.append(APPLICATIONS[kind](tmp_path, databases.new()))
        create_tables(made[-1])
        return made[-1]

    yield new
    for app in made:
        with app.app_context():
            app.extensions["sqlalchemy"].session.remove()
            app.extensions["sqlalchemy"].engine.dispose()


def head_of(app: Flask) -> str:
    return known(Path(app.extensions["migrate"].directory)).head


def execute(app: Flask, *statements: str) -> None:
    with app.app_context(), app.extensions["sqlalchemy"].engine.connect() as connection:
        connection.execution_options(writes=True)
        with connection.begin():
            for statement in statements:
                connection.execute(text(statement))


def set_revision(app: Flask, revision: str) -> None:
    execute(app, f"UPDATE alembic_version SET version_num = '{revision}'")  # noqa: S608


def ask(app: Flask) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/readyz")
    return answer.status_code, answer.get_json()


pytestmark = pytest.mark.parametrize("kind", APPLICATIONS)


@pytest.mark.both_databases
def test_a_service_on_todays_tables_is_ready(kind: str, make: Make) -> None:
    assert ask(make(kind)) == (200, {"status": "ok", "faults": [], "notes": []})


@pytest.mark.both_databases
def test_a_service_on_tables_of_an_older_version_says_which_and_what_to_do(
    kind: str, make: Make
) -> None:
    app = make(kind)
    set_revision(app, "0003")
    status, said = ask(app)
    assert (status, said["status"]) == (503, "not ready")
    assert said["faults"] == [
        f"the database is at revision 0003, and this version needs {head_of(app)};"
        f" run: passerelle {kind} migrate"
    ]
    set_revision(app, head_of(app))
    assert ask(app)[0] == 200


@pytest.mark.both_databases
def test_a_service_that_runs_goes_on_when_a_newer_version_migrates_its_database(
    kind: str, make: Make
) -> None:
    app = make(kind)
    execute(app, "CREATE TABLE something_new (id INTEGER PRIMARY KEY)")
    set_revision(app, "9999")
    status, said = ask(app)
    assert (status, said["status"], said["faults"]) == (200, "ok", [])
    assert said["notes"] == [
        "the database is at revision 9999 of a newer version, and this version knows"
        f" {head_of(app)} as the last: start the newer version"
    ]


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TABLE alembic_version", "has no tables of ours"),
        ("DELETE FROM alembic_version", "half migrated (revisions: none)"),
        ("INSERT INTO alembic_version VALUES ('0002')", "half migrated (revisions: 0002, "),
        ("DROP TABLE mail", "tables are missing: mail"),
    ],
)
def test_a_database_in_disorder_is_said_to_be(
    kind: str, make: Make, statement: str, words: str
) -> None:
    app = make(kind)
    execute(app, statement)
    status, said = ask(app)
    assert status == 503
    assert words in said["faults"][0]


def test_a_database_that_is_away_is_said_to_be(kind: str, tmp_path: Path) -> None:
    app = APPLICATIONS[kind](tmp_path, "postgresql+psycopg://nobody@127.0.0.1:9/none")
    assert ask(app) == (
        503,
        {"status": "not ready", "faults": ["the database does not answer"], "notes": []},
    )


# Starting


@pytest.fixture
def environ(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr("shared.ops.logs.configure_logging", lambda *_: None)
    monkeypatch.setattr("shared.ops.command.signal.signal", lambda *_: None)
    prefix = kind.upper()
    for name in KINDS:
        monkeypatch.setenv(f"{name}_ENV_FILE", "")
    for name, value in {
        "URL": "https://a.example",
        "SECRET_KEY": "s" * 32,
        "DATA_DIR": str(tmp_path),
        "HUB_URL": "https://hub.example",
        "NAME": "Le Test",
    }.items():
        monkeypatch.setenv(f"{prefix}_{name}", value)
    if prefix == "HUB":
        for name in ("HUB_HUB_URL", "HUB_NAME"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def started(kind: str, environ: pytest.MonkeyPatch) -> list[str]:
    """Take note of a start in place of starting."""
    found: list[str] = []
    package = {"hub": "federation", "node": "node"}[kind]
    environ.setattr("shared.ops.command.serve", lambda *_: found.append("serve"))
    environ.setattr(f"{package}.jobs.run_jobs", lambda *_: found.append("jobs"))
    return found


def start(app: Flask, environ: pytest.MonkeyPatch, kind: str, *arguments: str) -> Any:
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    environ.setenv(f"{kind.upper()}_DATABASE_URL", url)
    return CliRunner().invoke(main, [kind, *arguments])


@pytest.mark.both_databases
@pytest.mark.parametrize("verb", ["serve", "jobs"])
def test_nothing_starts_on_a_database_that_is_not_migrated(
    kind: str, verb: str, make: Make, environ: pytest.MonkeyPatch, started: list[str]
) -> None:
    app = make(kind)
    assert start(app, environ, kind, verb).exit_code == 0
    assert started == [verb]
    set_revision(app, "0003")
    ended = start(app, environ, kind, verb)
    assert ended.exit_code == 1
    (line,) = ended.stderr.splitlines()
    assert "at revision 0003, and this version needs" in line
    assert line.endswith(f"run: passerelle {kind} migrate")
    execute(app, "DROP TABLE alembic_version")
    ended = start(app, environ, kind, verb)
    assert (ended.exit_code, "has no tables of ours" in ended.stderr) == (1, True)
    assert started == [verb]


@pytest.mark.parametrize("verb", ["serve", "jobs"])
def test_an_older_version_starts_on_a_newer_database_only_when_that_is_said(
    kind: str, verb: str, make: Make, environ: pytest.MonkeyPatch, started: list[str]
) -> None:
    app = make(kind)
    set_revision(app, "9999")
    ended = start(app, environ, kind, verb)
    assert ended.exit_code == 1
    assert "start the newer version" in ended.stderr
    assert started == []
    assert start(app, environ, kind, verb, "--database-ahead").exit_code == 0
    assert started == [verb]


@pytest.mark.parametrize("verb", ["serve", "jobs"])
def test_a_database_that_was_never_made_is_not_made_by_a_start(
    kind: str, verb: str, tmp_path: Path, environ: pytest.MonkeyPatch, started: list[str]
) -> None:
    APPLICATIONS[kind](tmp_path)  # for the keys
    environ.setenv(f"{kind.upper()}_DATABASE_URL", f"sqlite:///{tmp_path / 'none.sqlite'}")
    ended = CliRunner().invoke(main, [kind, verb])
    assert ended.exit_code == 1
    assert f"run: passerelle {kind} migrate" in ended.stderr
    assert not (tmp_path / "none.sqlite").exists()
    assert started == []


def test_a_server_starts_while_the_database_is_away_and_the_jobs_wait_for_it(
    kind: str, make: Make, environ: pytest.MonkeyPatch, started: list[str]
) -> None:
    app = make(kind)
    away = "postgresql+psycopg://a@127.0.0.1:9/none"
    app.config["SQLALCHEMY_DATABASE_URI"] = away
    served = start(app, environ, kind, "serve")
    assert (served.exit_code, started) == (0, ["serve"])
    assert "the database does not answer" in served.stderr

    def comes_back(_seconds: float) -> None:
        from shared.ops import command

        environ.setattr(command, "migrated_or_exit", lambda *_, **__: True)

    environ.setattr("shared.ops.command.time.sleep", comes_back)
    waited = start(app, environ, kind, "jobs")
    assert "the database does not answer" in waited.stderr
    assert (waited.exit_code, started) == (0, ["serve", "jobs"])
