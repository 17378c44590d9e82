"""Fresh databases for tests: a SQLite file, or a database of a PostgreSQL server."""

from __future__ import annotations

import uuid
from pathlib import Path

import psycopg
from flask import Flask
from psycopg import sql


class PostgresServer:
    """A PostgreSQL server of the tests' own, reached by a psycopg URI."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def new_database(self) -> str:
        """Return the SQLAlchemy URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        parts = psycopg.conninfo.conninfo_to_dict(self.uri)
        host, user = str(parts["host"]), parts.get("user", "postgres")
        if host.startswith("/"):
            return f"postgresql+psycopg://{user}@/{name}?host={host}"
        return f"postgresql+psycopg://{user}@{host}:{parts.get('port', 5432)}/{name}"

    def drop(self, url: str) -> None:
        """Drop a database of ours, and whatever is still connected to it."""
        name = url.partition("?")[0].rpartition("/")[2]
        with psycopg.connect(self.uri, autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            connection.execute(drop)


class Databases:
    """Gives each service of a test its own database, of the kind the test runs on."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self._folder = folder
        self._server = server
        self._made: list[str] = []

    @property
    def kind(self) -> str:
        return "postgres" if self._server else "sqlite"

    def new(self) -> str:
        """Return the URL of an empty database."""
        if self._server is None:
            return f"sqlite:///{self._folder / uuid.uuid4().hex}.sqlite"
        self._made.append(self._server.new_database())
        return self._made[-1]

    def drop(self) -> None:
        """Drop what was made on a server: left to the end, hundreds take a minute to remove."""
        while self._server is not None and self._made:
            self._server.drop(self._made.pop())


def create_tables(app: Flask) -> None:
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
