"""``init`` makes a whole service in an empty place, or nothing, and says which."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, inspect

from deploy.cli import main
from shared.base.config import read_settings
from shared.base.env_file import read_env
from shared.ops.jobs import JOBS_LOCK, Leadership
from shared.ops.server import note_serving
from tests.architecture.test_settings import KINDS
from tests.databases import Databases, PostgresServer, create_tables

PASSWORD = "a long enough password"
KINDS_OF_SERVICE = [prefix.lower() for prefix in KINDS]


@pytest.fixture(autouse=True)
def environ(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    # Loggers are kept once they are configured, and later tests look at theirs.
    monkeypatch.setattr("shared.ops.logs.configure_logging", lambda *_: None)
    # Migrations lead to the same tables in seconds, as other tests see to.
    monkeypatch.setattr("shared.ops.command.migrate", create_tables)
    for prefix in KINDS:
        monkeypatch.setenv(f"{prefix}_ENV_FILE", "")  # put back after the test
        for name in ("DATABASE_URL", "TRUSTED_PROXIES"):
            monkeypatch.delenv(f"{prefix}_{name}", raising=False)
    return monkeypatch


@pytest.fixture
def postgres(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Databases]:
    found = Databases(tmp_path, postgres_server)
    yield found
    found.drop()


def init(
    kind: str,
    folder: Path,
    *more: str,
    password: str | None = PASSWORD,
    url: str = "https://a.example",
    said: str | None = None,
) -> Result:
    where = ["--url", url, "--data-dir", str(folder), "--email", "a@b.example"]
    own = ["--hub", "https://hub.example", "--name", "La Cordée", "--space", "Là", "--town", "Lyon"]
    given = ["--password", password] if password is not None else []
    command = [kind, "init", *where, *(own if kind == "node" else []), *given, *more]
    return CliRunner().invoke(main, command, input=said)


def settings_of(kind: str, folder: Path) -> dict[str, str]:
    prefix = f"{kind.upper()}_"
    return {
        name.removeprefix(prefix): value for name, value in read_env(folder / f"{kind}.env").items()
    }


@pytest.mark.both_databases
@pytest.mark.postgres
@pytest.mark.parametrize("kind", KINDS_OF_SERVICE)
def test_a_service_is_made_on_postgresql_and_its_settings_say_so(
    kind: str, postgres: Databases, tmp_path: Path, environ: pytest.MonkeyPatch
) -> None:
    url, other = postgres.new(), postgres.new()
    environ.setenv(f"{kind.upper()}_DATABASE_URL", other)
    made = init(kind, tmp_path / "new", "--database-url", url)
    assert made.exit_code == 0, made.output
    assert settings_of(kind, tmp_path / "new")["DATABASE_URL"] == url
    assert not list((tmp_path / "new").glob("*.sqlite"))
    engine = create_engine(url)
    assert {"account", "alembic_version"} <= set(inspect(engine).get_table_names())
    engine.dispose()
    again = init(kind, tmp_path / "again", "--database-url", url)
    assert again.exit_code == 1
    assert "the database is not empty" in again.stderr
    assert not (tmp_path / "again").exists()


@pytest.mark.both_databases
@pytest.mark.postgres
def test_an_init_that_fails_leaves_postgresql_as_empty_as_it_was(
    postgres: Databases, tmp_path: Path
) -> None:
    url = postgres.new()
    (tmp_path / "rules.toml").write_text("x = ")
    rules = ["--rules", str(tmp_path / "rules.toml")]
    assert init("hub", tmp_path / "new", "--database-url", url, *rules).exit_code == 2
    engine = create_engine(url)
    assert inspect(engine).get_table_names() == []
    engine.dispose()
    assert init("hub", tmp_path / "new", "--database-url", url).exit_code == 0


@pytest.mark.parametrize("kind", KINDS_OF_SERVICE)
@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql+psycopg://nobody@127.0.0.1:9/none", "the database: connection failed"),
        ("mysql://a.example/none", "DATABASE_URL is wrong"),
        ("postgresql+psycopg://u:a/b@h:x/none", "DATABASE_URL is wrong"),
    ],
)
def test_a_database_that_cannot_be_had_is_one_line_and_nothing_is_made(
    kind: str, url: str, words: str, tmp_path: Path
) -> None:
    made = init(kind, tmp_path / "new", "--database-url", url)
    assert made.exit_code in (1, 2)
    assert words in made.stderr
    assert "Traceback" not in made.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", KINDS_OF_SERVICE)
def test_migrating_a_database_that_is_away_is_one_line(
    kind: str, tmp_path: Path, environ: pytest.MonkeyPatch
) -> None:
    assert init(kind, tmp_path / "new").exit_code == 0
    environ.setenv(f"{kind.upper()}_DATABASE_URL", "postgresql+psycopg://a@127.0.0.1:9/none")
    ended = CliRunner().invoke(main, [kind, "migrate"])
    assert ended.exit_code == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: the database: connection failed")


# Proxies


@pytest.mark.parametrize("kind", KINDS_OF_SERVICE)
def test_how_many_proxies_stand_in_front_is_written(
    kind: str, tmp_path: Path, environ: pytest.MonkeyPatch
) -> None:
    assert init(kind, tmp_path / "told", "--proxies", "2").exit_code == 0
    assert settings_of(kind, tmp_path / "told")["TRUSTED_PROXIES"] == "2"
    assumed = init(kind, tmp_path / "assumed")
    assert settings_of(kind, tmp_path / "assumed")["TRUSTED_PROXIES"] == "1"
    assert "One proxy in front is assumed" in assumed.stderr
    trial = init(kind, tmp_path / "trial", "--private", url="http://127.0.0.1:9")
    assert trial.exit_code == 0, trial.output
    assert settings_of(kind, tmp_path / "trial")["TRUSTED_PROXIES"] == "0"
    environ.setenv(f"{kind.upper()}_TRUSTED_PROXIES", "3")
    assert init(kind, tmp_path / "environ").exit_code == 0
    assert settings_of(kind, tmp_path / "environ")["TRUSTED_PROXIES"] == "3"


def test_who_sits_at_a_terminal_is_asked(tmp_path: Path, environ: pytest.MonkeyPatch) -> None:
    environ.setattr("shared.ops.founding.is_terminal", lambda: True)
    said = f"{PASSWORD}\n{PASSWORD}\n9\n2\n"
    made = init("hub", tmp_path / "new", password=None, said=said)
    assert made.exit_code == 0, made.output
    assert made.output.count("How many proxies stand in front of it") == 2, "9 is too many"
    assert PASSWORD not in made.output
    assert settings_of("hub", tmp_path / "new")["TRUSTED_PROXIES"] == "2"


# The first person


@pytest.mark.parametrize("said", [f"{PASSWORD}\n", f"{PASSWORD}\r\n{PASSWORD}\r\n", PASSWORD])
def test_a_password_may_come_on_standard_input_without_a_word(said: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = init("hub", tmp_path / "new", "--proxies", "1", password=None, said=said)
    assert made.exit_code == 0, made.output
    assert made.stderr == ""


@pytest.mark.parametrize("password", ["", "too short", "x" * 201])
def test_a_password_that_pages_refuse_is_refused_here_too(password: str, tmp_path: Path) -> None:
    for made in (
        init("hub", tmp_path / "new", password=password),
        init("hub", tmp_path / "new", password=None, said=f"{password}\n"),
    ):
        assert made.exit_code == 2
        assert "between 10 and 200 characters are expected" in made.stderr
    assert not (tmp_path / "new").exists()


def test_an_address_without_a_domain_is_refused(tmp_path: Path) -> None:
    made = init("hub", tmp_path / "new", "--email", "somebody")
    assert made.exit_code == 2
    assert "an address like name@example.org is expected" in made.stderr


# The folder


@pytest.mark.parametrize("kind", KINDS_OF_SERVICE)
def test_all_that_is_made_is_its_owners_alone(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "made by hand"
    folder.mkdir(mode=0o755)
    assert init(kind, folder).exit_code == 0
    settings = read_settings(KINDS[kind.upper()], kind.upper(), os.environ)
    engine = create_engine(settings.database)
    leader, serving = Leadership(engine, folder / JOBS_LOCK), note_serving(settings)
    assert leader.acquire()
    assert serving is not None
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA user_version = 1")  # a write, so that there is a -wal
        names = {path.name for path in folder.iterdir()}
        assert {"passerelle.sqlite", "passerelle.sqlite-wal", "serve.lock", "jobs.lock"} <= names
        for path in (folder, *folder.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path
    leader.release()
    serving.close()
    engine.dispose()


def test_a_folder_that_is_named_from_here_is_found_from_everywhere(
    tmp_path: Path, environ: pytest.MonkeyPatch
) -> None:
    environ.chdir(tmp_path)
    assert init("hub", Path("var")).exit_code == 0
    assert settings_of("hub", tmp_path / "var")["DATA_DIR"] == str(tmp_path / "var")
