"""Fresh databases for tests: a SQLite file, or a database of a PostgreSQL server."""

from __future__ import annotations

import importlib
import shutil
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from psycopg import sql
from sqlalchemy import Connection, MetaData, create_engine


def _name(url: str) -> str:
    """Return the database of a PostgreSQL URL."""
    return url.partition("?")[0].rpartition("/")[2]


def _connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(url.replace("+psycopg", "", 1))


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
_CUT_OFF = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()"""
_USED = """SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(oid) > 0"""


def _table(table: str) -> sql.Identifier:
    return sql.Identifier("public", table)


@dataclass(frozen=True)
class _Kept:
    """A database's rows by table, as COPY writes them, and how far its sequences have counted."""

    rows: dict[str, bytes]
    numbers: list[tuple[Any, ...]]


class PostgresServer:
    """A PostgreSQL server of the tests' own, reached by a psycopg URI."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._like: dict[str, str] = {}
        self._there: set[str] = set()
        self._kept: dict[str, _Kept] = {}

    def new_database(self, kind: str | None = None) -> str:
        """Return the SQLAlchemy URL of a new database: empty, or with the tables of a service."""
        like = "template1" if kind is None else self._template(kind)
        name = f"t{uuid.uuid4().hex[:12]}"
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(like)))
        return self._url(name)

    def back_up(self, url: str) -> str:
        """Keep every row of a database; return the name under which ``restore`` finds them."""
        with (
            _connect(url) as connection,
            connection.cursor() as cursor,
        ):
            rows = {}
            for (table,) in cursor.execute(_TABLES).fetchall():
                with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(_table(table))) as out:
                    rows[table] = b"".join(out)
            numbers = cursor.execute(_SEQUENCES).fetchall()
        name = f"{_name(url)}-{uuid.uuid4().hex[:8]}"
        self._kept[name] = _Kept(rows, numbers)
        return name

    def restore(self, url: str, name: str) -> None:
        """Put every row back, in one transaction and without a new database: that takes seconds.

        Whoever is still connected is cut off.
        """
        kept = self._kept[name]
        with (
            _connect(url) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(_CUT_OFF)
            cursor.execute("SET session_replication_role = replica")  # no triggers, no references
            used = [_table(table) for (table,) in cursor.execute(_USED).fetchall()]
            if used:
                cursor.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(used)))
            for table, rows in kept.rows.items():
                if rows:
                    with cursor.copy(sql.SQL("COPY {} FROM STDIN").format(_table(table))) as to:
                        to.write(rows)
            for sequence, last in kept.numbers:
                cursor.execute("SELECT setval(%s, %s, %s)", (sequence, last or 1, last is not None))

    def _template(self, kind: str) -> str:
        if kind not in self._like:
            url = self.new_database()
            _create(kind, url)
            self._like[kind] = _name(url)
        return self._like[kind]

    def drop_all(self) -> None:
        """Drop what is left of ours."""
        for name in sorted(self._there):
            self._drop(name)
        self._like.clear()

    def _url(self, name: str) -> str:
        """Return the URL of a database that was just made."""
        self._there.add(name)
        parts = psycopg.conninfo.conninfo_to_dict(self.uri)
        host, user = str(parts["host"]), parts.get("user", "postgres")
        if host.startswith("/"):
            return f"postgresql+psycopg://{user}@/{name}?host={host}"
        return f"postgresql+psycopg://{user}@{host}:{parts.get('port', 5432)}/{name}"

    def drop(self, url: str) -> None:
        """Drop a database of ours, and whatever is still connected to it."""
        self._drop(_name(url))

    def _drop(self, name: str) -> None:
        self._there.discard(name)
        with psycopg.connect(self.uri, autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


def _metadata(kind: str) -> MetaData:
    """Return the tables of ``hub`` or ``node``; the application's import names them all."""
    importlib.import_module({"hub": "federation.app", "node": "node.app"}[kind])
    db = importlib.import_module({"hub": "federation.db", "node": "node.db"}[kind]).db
    metadata: MetaData = db.metadata
    return metadata


def _create(kind: str, url: str) -> None:
    engine = create_engine(url)
    _metadata(kind).create_all(engine)
    settings = importlib.import_module({"hub": "federation", "node": "node"}[kind] + ".settings")
    with engine.connect() as connection:
        _stamp(connection, settings.MIGRATIONS)
    engine.dispose()


def _stamp(connection: Connection, migrations: Path) -> None:
    """Note that the tables are today's, as those are that migrations have made."""
    with connection.begin():
        MigrationContext.configure(connection).stamp(_scripts(migrations), "head")


@cache
def _scripts(migrations: Path) -> ScriptDirectory:
    return ScriptDirectory(str(migrations))


_sqlite: dict[str, bytes] = {}


def _file(url: str) -> str:
    return url.removeprefix("sqlite:///")


class Databases:
    """Gives each service of a test its own database, of the kind the test runs on."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self._folder = folder
        self._server = server
        self._made: list[str] = []

    @property
    def kind(self) -> str:
        return "postgres" if self._server else "sqlite"

    def new(self, kind: str | None = None) -> str:
        """Return the URL of a database that is empty, or has the tables of ``hub`` or ``node``.

        Tables are made once in a process, and copied.
        """
        if self._server is not None:
            self._made.append(self._server.new_database(kind))
            return self._made[-1]
        file = self._folder / f"{uuid.uuid4().hex}.sqlite"
        url = f"sqlite:///{file}"
        if kind is not None:
            if kind not in _sqlite:
                _create(kind, url)
                _sqlite[kind] = file.read_bytes()
            file.write_bytes(_sqlite[kind])
        return url

    def back_up(self, url: str) -> str:
        """Copy a database that nobody is connected to; return what it is restored from."""
        if self._server is not None:
            return self._server.back_up(url)
        copy = self._folder / f"{uuid.uuid4().hex}.backup"
        with closing(sqlite3.connect(_file(url))) as of, closing(sqlite3.connect(copy)) as to:
            of.backup(to)
        return str(copy)

    def restore(self, url: str, backup: str) -> None:
        """Put a database back as it was, whatever was written since."""
        if self._server is not None:
            self._server.restore(url, backup)
            return
        for suffix in ("-wal", "-shm"):
            Path(f"{_file(url)}{suffix}").unlink(missing_ok=True)
        shutil.copyfile(backup, _file(url))

    def beside(self, folder: Path) -> Databases:
        """Return others of this kind, which are dropped apart."""
        return Databases(folder, self._server)

    def drop(self) -> None:
        """Drop what was made on a server: left to the end, hundreds take a minute to remove."""
        while self._server is not None and self._made:
            self._server.drop(self._made.pop())


def create_tables(app: Flask) -> None:
    """Make today's tables, without the migrations that lead to them."""
    with app.app_context():
        database = app.extensions["sqlalchemy"]
        database.create_all()
        with database.engine.connect() as connection:
            connection.execution_options(writes=True)
            _stamp(connection, Path(app.extensions["migrate"].directory))
