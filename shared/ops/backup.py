"""A backup: every table, the keys, the settings and the photos of a service in one zip file.

Tables are lines of JSON, one a row, so that a backup of SQLite is restored into PostgreSQL and
back. They are read as the database itself describes them, in one snapshot, at whatever revision
it is: ``manifest.json`` names that revision, and counts and checksums of all that is in the file.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

import orjson
from sqlalchemy import JSON, Column, Connection, Engine, MetaData, Table, Text, cast, func, select
from sqlalchemy.types import TypeDecorator, UserDefinedType

FORMAT = "passerelle-backup/1"
MANIFEST, NOTICE = "manifest.json", "README.txt"
REVISIONS = "alembic_version"
ROWS_AT_ONCE = 1000
TELL_EVERY = 50_000

Tell = Callable[[str], None]

_NOTICE = """Passerelle: a backup of a {kind}. Sauvegarde d’un service Passerelle.

THIS FILE HOLDS SECRETS: private keys, password hashes, and what is known of people. Keep it as
you keep the keys of the house: encrypted wherever it leaves the machine.
CE FICHIER CONTIENT DES SECRETS : clés privées, empreintes de mots de passe, données personnelles.
Gardez-le comme les clés de la maison, chiffré dès qu’il quitte la machine.

    passerelle {kind} restore FILE

manifest.json   what is in the file: revision of the tables, counts, SHA-256 of each part
tables/         one line of JSON for each row
files/          keys, settings, photos
"""


class BackupFault(Exception):
    """Why nothing could be saved or restored, in words for the operator."""


class RawJson(UserDefinedType[str]):
    """A JSON column as the very text that is stored: NULL is not ``null``, no number is rounded."""

    cache_ok = True

    def get_col_spec(self, **_kwargs: Any) -> str:
        return "JSON"

    def column_expression(self, colexpr: Any) -> Any:
        return cast(colexpr, Text)


@dataclass(frozen=True, slots=True)
class Source:
    """What is saved: ``files`` gives those that are there, by their names in the backup.

    ``settings`` are those that were given, by name.
    """

    kind: str
    engine: Engine
    files: Callable[[], Mapping[str, Path]]
    settings: Mapping[str, str]


def tables_of(connection: Connection) -> MetaData:
    """Return the tables that are there, without the one that holds the revision."""
    metadata = MetaData()
    metadata.reflect(connection)
    if REVISIONS in metadata.tables:
        metadata.remove(metadata.tables[REVISIONS])
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, JSON):
                column.type = RawJson()
    return metadata


def files_of(data_dir: Path, keys: str, photos: str = "photos") -> dict[str, Path]:
    """Return the files of a data folder that belong into a backup, by their paths in it."""
    found = [data_dir / keys, *sorted((data_dir / photos).rglob("*"))]
    return {
        path.relative_to(data_dir).as_posix(): path
        for path in found
        if path.is_file() and not path.is_symlink()
    }


def write_backup(source: Source, path: Path, now: datetime, tell: Tell) -> dict[str, Any]:
    """Write the backup, readable by its owner alone, and return its manifest.

    The services may go on: all tables are of one moment. Raises BackupFault.
    """
    if path.exists():
        raise BackupFault(f"{path} is there already; nothing was changed")
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".backup-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                manifest = _write(source, archive, now, tell)
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(Path(temporary), path)
    except FileExistsError:
        raise BackupFault(f"{path} is there already; nothing was changed") from None
    finally:
        Path(temporary).unlink(missing_ok=True)
    return manifest


def _put_in_place(temporary: Path, path: Path) -> None:
    """Give a finished file its name. Raises FileExistsError where another made one meanwhile."""
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        raise
    except OSError:  # FAT and most network shares know no second name: claim this one, then move
        path.touch(mode=0o600, exist_ok=False)
        temporary.replace(path)


def _write(source: Source, archive: zipfile.ZipFile, now: datetime, tell: Tell) -> dict[str, Any]:
    archive.writestr(NOTICE, _NOTICE.format(kind=source.kind))
    with _snapshot(source.engine) as connection:
        metadata = tables_of(connection)
        revision = _revision(connection)
        tables = {
            str(table.name): _add_lines(archive, table, connection, tell)
            for table in metadata.sorted_tables
        }
    files = {
        name: told
        for name, path in source.files().items()  # asked for after the tables that name them
        if (told := _add_file(archive, name, path)) is not None
    }
    manifest = {
        "format": FORMAT,
        "kind": source.kind,
        "made_at": now.isoformat(),
        "revision": revision,
        "tables": tables,
        "files": files,
        "settings": dict(source.settings),
    }
    archive.writestr(MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return manifest


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one moment: PostgreSQL has to be asked for it."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


def _revision(connection: Connection) -> str:
    if not connection.dialect.has_table(connection, REVISIONS):
        raise BackupFault("the database has no tables of ours: run migrate first")
    found = connection.exec_driver_sql(f"SELECT version_num FROM {REVISIONS}").scalars().all()  # noqa: S608
    if len(found) != 1:
        raise BackupFault("the database is half migrated: run migrate first")
    return str(found[0])


def _add_lines(
    archive: zipfile.ZipFile, table: Table, connection: Connection, tell: Tell
) -> dict[str, Any]:
    rows, digest = 0, hashlib.sha256()
    total = connection.scalar(select(func.count()).select_from(table)) or 0
    query = select(table).order_by(*table.primary_key.columns)
    names = [str(column.name) for column in table.columns]
    with (
        connection.execution_options(yield_per=ROWS_AT_ONCE).execute(query) as found,
        archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as entry,
    ):
        for row in found:
            line = orjson.dumps(dict(zip(names, map(to_plain, row), strict=True))) + b"\n"
            digest.update(line)
            entry.write(line)
            rows += 1
            if rows % TELL_EVERY == 0:
                tell(f"{table.name}: {rows} of {total}")
    if rows:
        tell(f"{table.name}: {rows}")
    return {"rows": rows, "sha256": digest.hexdigest()}


def _add_file(archive: zipfile.ZipFile, name: str, path: Path) -> dict[str, Any] | None:
    """Add a file; None where it was deleted meanwhile, as the services go on."""
    digest, size = hashlib.sha256(), 0
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file, archive.open(f"files/{name}", "w", force_zip64=True) as entry:
        for part in parts_of(file):
            digest.update(part)
            entry.write(part)
            size += len(part)
    return {"bytes": size, "sha256": digest.hexdigest()}


def parts_of(file: IO[bytes], size: int = 1 << 20) -> Iterable[bytes]:
    """Return what a file holds, in parts of at most ``size`` bytes."""
    return iter(lambda: file.read(size), b"")


def to_plain(value: Any) -> Any:
    """Return a stored value as JSON has it; times in UTC, bytes in base64."""
    if isinstance(value, datetime):
        aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return aware.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    return value


def python_type(column: Column[Any]) -> type[Any] | None:
    """Return what a column's values are; None for JSON, which may be anything."""
    kind = column.type.impl_instance if isinstance(column.type, TypeDecorator) else column.type
    return None if isinstance(kind, RawJson | JSON) else kind.python_type


def from_plain(column: Column[Any], value: Any, dialect: str) -> Any:
    """Return what ``to_plain`` made as this column of this database takes it. Raises ValueError."""
    kind = python_type(column)
    if value is None or kind is None:
        return value
    if kind is datetime:
        found = datetime.fromisoformat(value)  # SQLite has no zones: what it keeps is UTC
        return found.replace(tzinfo=None) if dialect == "sqlite" else found
    if kind is date:
        return date.fromisoformat(value)
    if kind is bytes:
        return base64.b64decode(value, validate=True)
    return kind(value) if kind is bool else value


def rotated(folder: Path, kind: str, now: datetime, keep: int) -> tuple[Path, list[Path]]:
    """Return the path of a new backup in a folder, and those that are then one too many."""
    before = sorted(folder.glob(f"{kind}-????????T??????Z.zip"))
    path = folder / f"{kind}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}.zip"
    return path, before[: max(0, len(before) + 1 - keep)] if keep else []
