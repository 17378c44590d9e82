"""What older versions wrote, and write while a newer one migrates, is there with every value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Engine, MetaData, select
from sqlalchemy.exc import DBAPIError

from shared.ops.backup import Source, tables_of, to_plain, write_backup
from shared.ops.restore import opened, restore
from shared.store import migrations
from tests.architecture.applications import APPLICATIONS
from tests.databases import Databases
from tests.shared.ops.filling import NOW, Rows, fill

# Of before anything was published: migrations that take away what the version before writes into,
# and what they have changed on purpose. Nothing is to be added to either.
REFUSING = {
    "hub": {"0004", "0018", "0020", "0021"},
    "node": {"0003", "0004", "0009", "0018", "0020", "0021"},
}
CHANGED = {
    "hub": {
        *("visit.report", "half_day_line.occurrence", "ballot.sha256"),
        *("statement.cutoff", "statement.excluded", "feed_counter.last", "feed_item.data"),
    },
    "node": {"outbox.attempts", "visit.proof", "space.closings"},
}


@pytest.fixture
def app(kind: str, tmp_path: Path, databases: Databases) -> Iterator[Flask]:
    made = APPLICATIONS[kind](tmp_path, databases.new())
    with made.app_context():
        yield made
        made.extensions["sqlalchemy"].engine.dispose()


def engine_of(app: Flask) -> Engine:
    found: Engine = app.extensions["sqlalchemy"].engine
    return found


def revisions_of(app: Flask) -> list[str]:
    """Return every revision, the first one first."""
    script = ScriptDirectory(app.extensions["migrate"].directory)
    return [one.revision for one in script.walk_revisions()][::-1]


def upgrade(app: Flask, revision: str) -> MetaData:
    """Bring the tables to a revision; return them as they are then."""
    with engine_of(app).connect() as connection, migrations.unlinked(connection):
        connection.execution_options(writes=True)
        with connection.begin():
            migrations.upgrade(connection, revision)
            return tables_of(connection)


def put(app: Flask, metadata: MetaData, batch: int) -> Rows:
    with engine_of(app).connect() as connection:
        connection.execution_options(writes=True)
        with connection.begin():
            return fill(connection, metadata, batch)


def lost(app: Flask, written: Rows) -> set[str]:
    """Name each ``table.column`` that does not have what was written, and each row that is gone."""
    found = set[str]()
    with engine_of(app).connect() as connection:
        tables = tables_of(connection).tables
        for table in tables.values():
            key = [str(column.name) for column in table.primary_key.columns]
            there = {
                tuple(to_plain(row._mapping[name]) for name in key): dict(row._mapping)
                for row in connection.execute(select(table))
            }
            for row in written.get(str(table.name), ()):
                now = there.get(tuple(to_plain(row[name]) for name in key))
                found |= {f"{table.name}.{name}" for name in _changed(row, now)}
    return found | {f"{name}.*" for name in set(written) - set(tables)}


def _add(written: Rows, more: Rows) -> None:
    for table, rows in more.items():
        written.setdefault(table, []).extend(rows)


def _changed(row: dict[str, Any], now: dict[str, Any] | None) -> Iterator[str]:
    if now is None:
        yield "*"
        return
    for name, value in row.items():
        if name not in now or to_plain(now[name]) != to_plain(value):
            yield name


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_no_migration_changes_what_was_written_or_refuses_what_the_version_before_writes(
    kind: str, app: Flask
) -> None:
    """Each version writes rows, and the one before goes on writing, as a running process does."""
    first, *later = revisions_of(app)
    metadata = upgrade(app, first)
    written, refused, batch = put(app, metadata, 0), set[str](), 0
    for revision in later:
        before, metadata = metadata, upgrade(app, revision)
        try:
            _add(written, put(app, before, batch + 1))
        except DBAPIError:
            refused.add(revision)
        _add(written, put(app, metadata, batch + 2))
        batch += 2
    assert refused == REFUSING[kind]
    assert lost(app, written) == CHANGED[kind]


def _some(revisions: list[str]) -> list[str]:
    """Return the first, and one of the middle: the way from each is the same."""
    return [revisions[0], revisions[len(revisions) // 2]]


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_a_backup_of_an_older_version_is_restored_with_every_value(
    kind: str, app: Flask, tmp_path: Path
) -> None:
    (tmp_path / "old").mkdir()
    old = APPLICATIONS[kind](tmp_path / "old")
    for batch, revision in enumerate(_some(revisions_of(app))):
        with old.app_context():
            written = put(old, upgrade(old, revision), batch)
            path = tmp_path / f"{revision}.zip"
            source = Source(kind, engine_of(old), dict, {})
            manifest = write_backup(source, path, NOW, lambda _words: None)
        assert manifest["revision"] == revision
        with opened(path, kind, (), lambda _words: None) as found:
            restore(found, engine_of(app), tmp_path, lambda _words: None, replace=True)
        assert lost(app, written) <= CHANGED[kind]
    with old.app_context():
        engine_of(old).dispose()
