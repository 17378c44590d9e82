"""Fresh databases for tests: a SQLite file, or a database of a PostgreSQL server."""

from __future__ import annotations

import importlib
import shutil
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

import psycopg
from flask import Flask
from psycopg import sql
from sqlalchemy import MetaData, create_engine


def _name(url: str) -> str:
    """Return the database of a PostgreSQL URL."""
    return url.partition("?")[0].rpartition("/")[2]


class PostgresServer:
    """A PostgreSQL server of the tests' own, reached by a psycopg URI."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._like: dict[str, str] = {}
        self._there: set[str] = set()

    def new_database(self, kind: str | None = None) -> str:
        """Return the SQLAlchemy URL of a new database: empty, or with the tables of a service."""
        like = "template1" if kind is None else self._template(kind)
        name = f"t{uuid.uuid4().hex[:12]}"
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(like)))
        return self._url(name)

    def copy(self, url: str, to: str | None = None) -> str:
        """Copy a database that nobody is connected to; return the copy's URL."""
        name = _name(to) if to else f"t{uuid.uuid4().hex[:12]}"
        query = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(query.format(sql.Identifier(name), sql.Identifier(_name(url))))
        return self._url(name)

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
    engine.dispose()


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
            self._made.append(self._server.copy(url))
            return self._made[-1]
        copy = self._folder / f"{uuid.uuid4().hex}.backup"
        with closing(sqlite3.connect(_file(url))) as of, closing(sqlite3.connect(copy)) as to:
            of.backup(to)
        return str(copy)

    def restore(self, url: str, backup: str) -> None:
        """Put a database back as it was, whatever was written since."""
        if self._server is not None:
            self._server.drop(url)
            self._server.copy(backup, url)
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
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
