"""Putting a backup back: checked whole first, then all of it in one transaction, or nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
from flask import current_app
from sqlalchemy import (
    Connection,
    Engine,
    Integer,
    MetaData,
    Table,
    exists,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from shared.ops.backup import (
    FORMAT,
    MANIFEST,
    NOTICE,
    REVISIONS,
    ROWS_AT_ONCE,
    TELL_EVERY,
    BackupFault,
    Tell,
    from_plain,
    parts_of,
    tables_of,
)
from shared.ops.jobs import JOBS_LOCK, Leadership
from shared.ops.server import SERVE_LOCK
from shared.store import migrations
from shared.store.db import private_file, reason_of

_DAMAGED = "this backup is damaged"


@dataclass(frozen=True)
class Backup:
    """A backup whose every part was found as its manifest says."""

    archive: zipfile.ZipFile
    manifest: dict[str, Any]

    @property
    def revision(self) -> str:
        return str(self.manifest["revision"])

    @property
    def settings(self) -> dict[str, str]:
        return dict(self.manifest["settings"])


@contextmanager
def opened(path: Path, kind: str, folders: tuple[str, ...], tell: Tell) -> Iterator[Backup]:
    """Give a backup once all of it was verified. Raises BackupFault.

    ``folders`` are the files and folders of the data folder that a backup may bring.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive, kind)
            _check_names(archive, manifest, folders)
            for name, said in _parts(manifest):
                _verify(archive, name, said)
            tell(
                f"{len(manifest['tables'])} tables and {len(manifest['files'])} file(s) are whole."
            )
            yield Backup(archive, manifest)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise BackupFault(f"{_DAMAGED}, or not a backup: {error}") from None
    except OSError as error:
        raise BackupFault(f"{path} cannot be read: {error.strerror or error}") from None


def _manifest(archive: zipfile.ZipFile, kind: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = orjson.loads(archive.read(MANIFEST))
        told = found["format"], found["kind"]
        shape = all(isinstance(found[name], dict) for name in ("tables", "files", "settings"))
    except (KeyError, TypeError, ValueError):
        raise BackupFault("this is no backup: its manifest is missing or cannot be read") from None
    if told[0] != FORMAT or not shape:
        raise BackupFault(f"this is no backup that this version reads ({told[0]})")
    if told[1] != kind:
        raise BackupFault(f"this is the backup of a {told[1]}, not of a {kind}")
    return found


def _parts(manifest: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, said in manifest["tables"].items():
        yield f"tables/{name}.jsonl", said
    for name, said in manifest["files"].items():
        yield f"files/{name}", said


def _check_names(
    archive: zipfile.ZipFile, manifest: dict[str, Any], folders: tuple[str, ...]
) -> None:
    names = archive.namelist()
    wanted = {MANIFEST, NOTICE, *(name for name, _ in _parts(manifest))}
    if len(names) != len(set(names)) or set(names) != wanted:
        raise BackupFault(f"{_DAMAGED}: it does not hold what its manifest names")
    for name in manifest["files"]:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.parts[0] not in folders:
            raise BackupFault(f"{_DAMAGED}: it would write {name}")


def _verify(archive: zipfile.ZipFile, name: str, said: dict[str, Any]) -> None:
    digest, lines = hashlib.sha256(), 0
    try:
        with archive.open(name) as entry:
            for part in parts_of(entry):
                digest.update(part)
                lines += part.count(b"\n")
    except (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise BackupFault(f"{_DAMAGED} in {name}: {error}") from None
    if digest.hexdigest() != said.get("sha256") or said.get("rows", lines) != lines:
        raise BackupFault(f"{_DAMAGED}: {name} is not what its manifest says")


def restore(backup: Backup, engine: Engine, data_dir: Path, tell: Tell, *, replace: bool) -> None:
    """Put a backup into an empty database, or in place of what is there, at today's revision.

    Called within the application's context, while neither server nor jobs run. Raises BackupFault;
    then database and files are as they were.
    """
    if not migrations.known(backup.revision):
        raise BackupFault(
            f"this backup is of a newer version (tables at {backup.revision}): install that first"
        )
    placed: list[tuple[Path, Path]] = []
    with _alone(engine, data_dir), engine.connect() as connection:
        with migrations.unlinked(connection):
            connection.execution_options(writes=True)
            try:
                with connection.begin():
                    _clear(connection, backup, replace=replace)
                    _fill(connection, backup, tell)
                    placed = _unpack(backup, data_dir)
            except SQLAlchemyError as error:
                _drop(placed)
                raise BackupFault(f"nothing was changed: {reason_of(error)}") from None
            except BaseException:
                _drop(placed)
                raise
        for temporary, path in placed:
            temporary.replace(path)


@contextmanager
def _alone(engine: Engine, data_dir: Path) -> Iterator[None]:
    """Hold what a server and a jobs process hold while they run. Raises BackupFault."""
    jobs = Leadership(engine, data_dir / JOBS_LOCK)
    with private_file(data_dir / SERVE_LOCK) as serving:
        try:
            fcntl.flock(serving, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupFault("serve is running: stop it first") from None
        if not jobs.acquire():
            raise BackupFault("jobs is running: stop it first")
        try:
            yield
        finally:
            jobs.release()


def _clear(connection: Connection, backup: Backup, *, replace: bool) -> None:
    metadata = tables_of(connection)
    ours = {*backup.manifest["tables"], *current_app.extensions["migrate"].db.metadata.tables}
    others = sorted(set(metadata.tables) - ours)
    if others:
        raise BackupFault(f"this database holds tables of something else: {', '.join(others)}")
    held = [
        table.name
        for table in metadata.sorted_tables
        if connection.scalar(select(exists().select_from(table)))
    ]
    if held and not replace:
        raise BackupFault(
            f"the database is not empty ({len(held)} tables hold rows): back it up,"
            " then use --replace"
        )
    metadata.drop_all(connection, checkfirst=False)
    if connection.dialect.has_table(connection, REVISIONS):
        connection.exec_driver_sql(f"DROP TABLE {REVISIONS}")


def _fill(connection: Connection, backup: Backup, tell: Tell) -> None:
    """Make the tables of the backup's revision, fill them, and bring them to today's."""
    migrations.upgrade(connection, backup.revision)
    metadata = tables_of(connection)
    if set(metadata.tables) != set(backup.manifest["tables"]):
        raise BackupFault(f"{_DAMAGED}: its tables are not those of revision {backup.revision}")
    for table in reversed(metadata.sorted_tables):
        connection.execute(table.delete())
    for table in metadata.sorted_tables:
        _fill_table(connection, backup, table, tell)
    migrations.upgrade(connection)
    if connection.dialect.name == "sqlite":
        faults = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if faults:
            raise BackupFault(f"{_DAMAGED}: {len(faults)} rows name rows that are not there")
    else:
        _go_on_counting(connection, tables_of(connection))


def _fill_table(connection: Connection, backup: Backup, table: Table, tell: Tell) -> None:
    statement, rows, done = insert(table), list[dict[str, Any]](), 0
    dialect, columns = connection.dialect.name, {c.name: c for c in table.columns}
    with backup.archive.open(f"tables/{table.name}.jsonl") as lines:
        for line in lines:
            found = orjson.loads(line)
            if found.keys() != columns.keys():
                raise BackupFault(f"{_DAMAGED}: {table.name} has other columns than its revision")
            rows.append({name: from_plain(columns[name], v, dialect) for name, v in found.items()})
            if len(rows) == ROWS_AT_ONCE:
                connection.execute(statement, rows)
                done, rows = done + len(rows), []
                if done % TELL_EVERY == 0:
                    tell(f"{table.name}: {done} of {backup.manifest['tables'][table.name]['rows']}")
    if rows:
        connection.execute(statement, rows)
        tell(f"{table.name}: {done + len(rows)}")


def _go_on_counting(connection: Connection, metadata: MetaData) -> None:
    """Let PostgreSQL give numbers after those that were restored."""
    for table in metadata.sorted_tables:
        for column in table.primary_key.columns:
            if not isinstance(column.type, Integer):
                continue
            names = {"t": f'"{table.name}"', "c": column.name}
            sequence = connection.scalar(text("SELECT pg_get_serial_sequence(:t, :c)"), names)
            last = connection.scalar(select(func.max(column)))
            if sequence and last is not None:
                connection.execute(text("SELECT setval(:s, :n)"), {"s": sequence, "n": last})


def _unpack(backup: Backup, data_dir: Path) -> list[tuple[Path, Path]]:
    """Write each file beside its place; return where they are and where they belong."""
    placed: list[tuple[Path, Path]] = []
    try:
        for name in backup.manifest["files"]:
            path = data_dir / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = path.with_name(f".{path.name}.restored")
            placed.append((temporary, path))
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file, backup.archive.open(f"files/{name}") as entry:
                for part in parts_of(entry):
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        _drop(placed)
        raise
    return placed


def _drop(placed: list[tuple[Path, Path]]) -> None:
    for temporary, _ in placed:
        temporary.unlink(missing_ok=True)
