"""Running Alembic inside a service, on either kind of database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from alembic import command, context
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import Connection
from sqlalchemy.types import TypeEngine

from shared.store.db import UTCDateTime

_CONNECTION = "connection"


def _render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Migrations stand alone: they name SQLAlchemy's own types, not ours."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _same_type(
    _context: Any, _column: Any, _meta: Any, found: TypeEngine[Any], ours: Any
) -> bool | None:
    del found
    return False if isinstance(ours, UTCDateTime) else None


def run() -> None:
    """Migrate, as Alembic asks: on the connection of ``upgrade``, or on one of our own."""
    given = context.config.attributes.get(_CONNECTION)
    if given is not None:
        _run_on(given)
        return
    engine = current_app.extensions["migrate"].db.engine
    with engine.connect() as connection, unlinked(connection):
        _run_on(connection.execution_options(writes=True))


def _run_on(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=current_app.extensions["migrate"].db.metadata,
        render_as_batch=True,
        render_item=_render,
        compare_type=_same_type,
    )
    with context.begin_transaction():
        context.run_migrations()


@contextmanager
def unlinked(connection: Connection) -> Iterator[None]:
    """Keep SQLite from following foreign keys; begin the transaction inside.

    A column is changed there by making its table anew, and dropping the old one would delete
    every row elsewhere that cascades from it.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys=OFF").close()
    try:
        yield
    finally:
        connection.rollback()
        driver.execute("PRAGMA foreign_keys=ON").close()


def _config() -> Config:
    found: Config = current_app.extensions["migrate"].migrate.get_config()
    return found


def known(revision: str) -> bool:
    """Tell whether this version of the software has a revision of the tables."""
    script = ScriptDirectory.from_config(_config())
    return revision in {one.revision for one in script.walk_revisions()}


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to a revision within the caller's transaction."""
    config = _config()
    config.attributes[_CONNECTION] = connection
    command.upgrade(config, revision)
