"""A backup is everything, of one moment; it is restored whole, into either database, or not."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import MetaData, select, text

from shared.ops import backup
from shared.ops.backup import BackupFault, Source, files_of, write_backup
from shared.ops.command import migrate
from shared.ops.jobs import JOBS_LOCK, Leadership
from shared.ops.restore import opened, restore
from shared.ops.server import note_serving
from tests.architecture.applications import APPLICATIONS
from tests.databases import Databases
from tests.shared.ops import filling
from tests.shared.ops.filling import NOW, ROWS

EITHER = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]

Make = Callable[..., Flask]


def quiet(_words: str) -> None:
    pass


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Make]:
    """Make services with a data folder of their own, on an empty database of either kind."""
    made: list[Flask] = []
    databases: dict[str, Databases] = {}

    def new(kind: str, database: str, revision: str | None = "head") -> Flask:
        if database not in databases:
            postgres = database == "postgres"
            server = request.getfixturevalue("postgres_server") if postgres else None
            databases[database] = Databases(tmp_path, server)
        folder = tmp_path / f"{kind}{len(made)}"
        folder.mkdir()
        # Today's tables are copied: those that migrations lead to are the same.
        tables = kind if revision == "head" else None
        made.append(APPLICATIONS[kind](folder, databases[database].new(tables)))
        return made[-1]

    yield new
    for app in made:
        engine_of(app).dispose()
    for found in databases.values():
        found.drop()


def engine_of(app: Flask) -> Any:
    with app.app_context():
        return app.extensions["sqlalchemy"].engine


def folder_of(app: Flask) -> Path:
    settings = next(
        app.extensions[kind].settings for kind in APPLICATIONS if kind in app.extensions
    )
    return Path(settings.data_dir)


def kind_of(app: Flask) -> str:
    return next(kind for kind in APPLICATIONS if kind in app.extensions)


def fill(app: Flask) -> set[str]:
    """Put rows into every table, whatever it is for; return the tables' names."""
    with app.app_context(), engine_of(app).connect() as connection:
        connection.execution_options(writes=True)
        with connection.begin():
            return set(filling.fill(connection, backup.tables_of(connection)))


# Comparing


def contents(app: Flask) -> dict[str, list[Any]]:
    """Return every row of the models' tables, as the models read them."""
    with app.app_context(), engine_of(app).connect() as connection:
        metadata: MetaData = app.extensions["sqlalchemy"].metadata
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


def save(app: Flask, path: Path) -> dict[str, Any]:
    folder = folder_of(app)
    keys = f"{kind_of(app)}-keys.json"
    source = Source(kind_of(app), engine_of(app), lambda: files_of(folder, keys), {"X": "kept"})
    return write_backup(source, path, NOW, quiet)


@contextmanager
def reading(path: Path, kind: str) -> Iterator[Any]:
    with opened(path, kind, (f"{kind}-keys.json", "photos"), quiet) as found:
        yield found


def put_back(app: Flask, path: Path, *, replace: bool = False) -> None:
    with reading(path, kind_of(app)) as found, app.app_context():
        restore(found, engine_of(app), folder_of(app), quiet, replace=replace)


@pytest.mark.parametrize("kind", APPLICATIONS)
@pytest.mark.parametrize("target", EITHER)
@pytest.mark.parametrize("origin", EITHER)
def test_what_is_saved_from_either_database_is_the_same_in_either_after_a_restore(
    kind: str, origin: str, target: str, make: Make, tmp_path: Path
) -> None:
    before = make(kind, origin, None)
    migrate(before)  # columns in the order in which a restore makes them
    filled = fill(before)
    (folder_of(before) / "photos" / "troquet").mkdir(parents=True)
    (folder_of(before) / "photos" / "troquet" / "1.jpg").write_bytes(b"\xff\xd8 a photo")
    manifest = save(before, tmp_path / "saved.zip")
    assert set(manifest["tables"]) == filled
    assert all(table["rows"] for table in manifest["tables"].values())

    after = make(kind, target, None)
    put_back(after, tmp_path / "saved.zip")
    assert contents(after) == contents(before)
    for name in (f"{kind}-keys.json", "photos/troquet/1.jpg"):
        ours, theirs = folder_of(after) / name, folder_of(before) / name
        assert ours.read_bytes() == theirs.read_bytes()
        assert ours.stat().st_mode & 0o077 == 0
    again = save(after, tmp_path / "again.zip")
    assert again["tables"] == manifest["tables"]
    assert again["revision"] == manifest["revision"]


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_every_table_of_the_models_is_in_a_backup(kind: str, make: Make, tmp_path: Path) -> None:
    app = make(kind, "sqlite")
    manifest = save(app, tmp_path / "saved.zip")
    assert set(manifest["tables"]) == set(app.extensions["sqlalchemy"].metadata.tables)
    with zipfile.ZipFile(tmp_path / "saved.zip") as archive:
        assert {f"tables/{name}.jsonl" for name in manifest["tables"]} <= set(archive.namelist())
        assert "SECRETS" in archive.read("README.txt").decode()
    assert (tmp_path / "saved.zip").stat().st_mode & 0o077 == 0


def _spoil(path: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)


def _flip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("tables/member.jsonl")
    content = bytearray(path.read_bytes())
    # In what is packed: behind the entry's own header, and its name.
    content[info.header_offset + 30 + len(info.filename) + info.compress_size // 2] ^= 0x40
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a bit is flipped": _flip,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "a row is missing": lambda path: _spoil(
        path, "tables/member.jsonl", lambda old: old[old.index(b"\n") + 1 :]
    ),
    "a value is changed": lambda path: _spoil(
        path, "tables/plan.jsonl", lambda old: old.replace(b"resident", b"nomad")
    ),
    "a file outside": lambda path: _spoil(
        path,
        "manifest.json",
        lambda old: old.replace(b'"node-keys.json"', b'"../node-keys.json"'),
    ),
    "no manifest": lambda path: _spoil(path, "manifest.json", lambda _: b"{}"),
    "another format": lambda path: _spoil(
        path, "manifest.json", lambda old: old.replace(b"passerelle-backup/1", b"other/9")
    ),
    "of a hub": lambda path: _spoil(
        path, "manifest.json", lambda old: old.replace(b'"node",', b'"hub",')
    ),
    "no zip": lambda path: path.write_bytes(b"hello"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_and_nothing_is_changed(
    damage: str, make: Make, tmp_path: Path
) -> None:
    app = make("node", "sqlite")
    fill(app)
    save(app, tmp_path / "saved.zip")
    DAMAGES[damage](tmp_path / "saved.zip")
    before, keys = contents(app), (folder_of(app) / "node-keys.json").read_bytes()
    with pytest.raises(BackupFault):
        put_back(app, tmp_path / "saved.zip", replace=True)
    assert contents(app) == before
    assert (folder_of(app) / "node-keys.json").read_bytes() == keys


@pytest.mark.parametrize("database", EITHER)
def test_a_database_that_holds_something_is_replaced_only_when_that_is_said(
    database: str, make: Make, tmp_path: Path
) -> None:
    saved, other = make("node", "sqlite"), make("node", database)
    fill(saved)
    save(saved, tmp_path / "saved.zip")
    fill(other)
    with engine_of(other).connect() as connection:
        connection.execution_options(writes=True)
        connection.execute(text("UPDATE member SET given_name = 'Somebody'"))
        connection.commit()
    before = contents(other)
    with pytest.raises(BackupFault, match="not empty"):
        put_back(other, tmp_path / "saved.zip")
    assert contents(other) == before
    put_back(other, tmp_path / "saved.zip", replace=True)
    assert contents(other) == contents(saved)


@pytest.mark.parametrize("database", EITHER)
def test_a_restore_that_fails_half_way_leaves_everything_as_it_was(
    database: str, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved, other = make("node", "sqlite"), make("node", database)
    fill(saved)
    save(saved, tmp_path / "saved.zip")
    fill(other)
    before, keys = contents(other), (folder_of(other) / "node-keys.json").read_bytes()

    def full(*_args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shared.ops.restore._unpack", full)
    with pytest.raises(BackupFault, match="No space left"):
        put_back(other, tmp_path / "saved.zip", replace=True)
    assert contents(other) == before
    assert (folder_of(other) / "node-keys.json").read_bytes() == keys
    assert not list(folder_of(other).rglob("*.restored"))


def test_a_backup_of_a_newer_version_is_refused_in_words(make: Make, tmp_path: Path) -> None:
    app = make("node", "sqlite")
    revision = save(app, tmp_path / "saved.zip")["revision"]
    _spoil(
        tmp_path / "saved.zip",
        "manifest.json",
        lambda old: old.replace(f'"{revision}"'.encode(), b'"9999"'),
    )
    with pytest.raises(BackupFault, match="newer version"):
        put_back(app, tmp_path / "saved.zip", replace=True)


@pytest.mark.parametrize("database", EITHER)
def test_nothing_is_restored_under_a_running_server_or_jobs_process(
    database: str, make: Make, tmp_path: Path
) -> None:
    app = make("node", database)
    save(app, tmp_path / "saved.zip")
    settings = app.extensions["node"].settings
    serving = note_serving(settings)
    assert serving is not None
    with pytest.raises(BackupFault, match="serve is running"):
        put_back(app, tmp_path / "saved.zip")
    serving.close()
    jobs = Leadership(engine_of(app), settings.data_dir / JOBS_LOCK)
    assert jobs.acquire()
    with pytest.raises(BackupFault, match="jobs is running"):
        put_back(app, tmp_path / "saved.zip")
    jobs.release()
    put_back(app, tmp_path / "saved.zip")
    assert jobs.acquire(), "the restore let go of the jobs' lock"
    jobs.release()


@pytest.mark.parametrize("database", EITHER)
def test_whoever_lets_go_of_the_lead_has_let_go_when_the_call_returns(
    database: str, make: Make, tmp_path: Path
) -> None:
    engine = engine_of(make("node", database))
    one, other = (Leadership(engine, tmp_path / JOBS_LOCK) for _ in range(2))
    for _ in range(200):
        assert one.acquire()
        assert not other.acquire()
        one.release()
        assert other.acquire()
        other.release()


@pytest.mark.parametrize("database", EITHER)
def test_a_backup_is_of_one_moment_while_others_write(
    database: str, make: Make, tmp_path: Path
) -> None:
    app = make("node", database)
    fill(app)
    engine, seen = engine_of(app), set[str]()

    def meanwhile(words: str) -> None:
        """Write between two tables, as a server does."""
        if not seen:
            with engine.connect() as connection:
                connection.execution_options(writes=True)
                connection.execute(text("DELETE FROM refusal"))
                connection.commit()
        seen.add(words)

    source = Source("node", engine, dict, {})
    manifest = write_backup(source, tmp_path / "saved.zip", NOW, meanwhile)
    assert contents(app)["refusal"] == []
    assert manifest["tables"]["refusal"]["rows"] == ROWS


def test_a_backup_never_takes_the_place_of_another_file(make: Make, tmp_path: Path) -> None:
    (tmp_path / "saved.zip").write_text("something dear")
    with pytest.raises(BackupFault, match="there already"):
        save(make("node", "sqlite"), tmp_path / "saved.zip")
    assert (tmp_path / "saved.zip").read_text() == "something dear"
    assert not list(tmp_path.glob(".backup-*"))


@pytest.mark.both_databases
@pytest.mark.postgres
def test_numbers_go_on_after_those_that_were_restored(make: Make, tmp_path: Path) -> None:
    before, after = make("node", "sqlite"), make("node", "postgres", None)
    fill(before)
    save(before, tmp_path / "saved.zip")
    put_back(after, tmp_path / "saved.zip")
    with engine_of(after).connect() as connection:
        query = "INSERT INTO plan (name, plan_class) VALUES ('new', 'nomad') RETURNING id"
        assert connection.scalar(text(query)) == ROWS + 1


@pytest.mark.parametrize("refusal", [PermissionError(1, "not permitted"), OSError(95, "no links")])
def test_a_disk_without_second_names_takes_a_backup_too(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: OSError
) -> None:
    """FAT and most network shares: the stick or the storage that a backup goes to."""
    app = make("node", "sqlite")

    def refuse(*_: object) -> None:
        raise refusal

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    (tmp_path / "usb").mkdir()
    path = tmp_path / "usb" / "saved.zip"
    save(app, path)
    assert [each.name for each in path.parent.iterdir()] == ["saved.zip"]
    assert path.stat().st_mode & 0o077 == 0
    before = path.read_bytes()
    with pytest.raises(BackupFault, match="is there already"):
        save(app, path)
    assert path.read_bytes() == before


def test_a_photo_that_is_deleted_meanwhile_is_left_out(make: Make, tmp_path: Path) -> None:
    app = make("node", "sqlite")
    photos = folder_of(app) / "photos"
    photos.mkdir(exist_ok=True)
    for name in ("stays", "goes"):
        (photos / name).write_bytes(b"x")
    keys = folder_of(app) / "node-keys.json"
    keys.write_text(keys.read_text() if keys.exists() else "{}")

    def files() -> dict[str, Path]:
        found = files_of(folder_of(app), "node-keys.json")
        (photos / "goes").unlink()
        return found

    source = Source("node", engine_of(app), files, {})
    manifest = write_backup(source, tmp_path / "saved.zip", NOW, quiet)
    assert "photos/stays" in manifest["files"]
    assert "photos/goes" not in manifest["files"]
    with reading(tmp_path / "saved.zip", "node") as found:
        assert found.manifest == manifest
