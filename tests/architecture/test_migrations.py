"""Migrations lead to the tables of the models, on either kind of database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Engine, inspect

from shared.ops.command import migrate
from tests.architecture.applications import APPLICATIONS
from tests.databases import Databases, create_tables

pytestmark = pytest.mark.both_databases


def _script(app: Flask) -> ScriptDirectory:
    return ScriptDirectory(app.extensions["migrate"].directory)


def _engine(app: Flask) -> Engine:
    with app.app_context():
        engine: Engine = app.extensions["sqlalchemy"].engine
        return engine


def _plain(value: Any) -> Any:
    """Return what a reflection says, as something that can be compared and sorted."""
    if isinstance(value, dict):
        return sorted((str(key), _plain(found)) for key, found in value.items())
    if isinstance(value, list | tuple):
        return [_plain(found) for found in value]
    return str(value)


def _shape(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return what each table consists of, as the database itself tells it."""
    found = inspect(engine)
    return {
        table: {
            "columns": {column["name"]: _plain(column) for column in found.get_columns(table)},
            "primary key": _plain(found.get_pk_constraint(table)),
            "foreign keys": sorted(map(_plain, found.get_foreign_keys(table))),
            "unique": sorted(map(_plain, found.get_unique_constraints(table))),
            "indexes": sorted(map(_plain, found.get_indexes(table))),
            "checks": sorted(map(_plain, found.get_check_constraints(table))),
        }
        for table in found.get_table_names()
        if table != "alembic_version"
    }


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_migrations_have_one_head(kind: str, tmp_path: Path) -> None:
    assert len(_script(APPLICATIONS[kind](tmp_path)).get_heads()) == 1


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_an_empty_database_is_migrated_to_the_models_tables(
    kind: str, tmp_path: Path, databases: Databases
) -> None:
    app = APPLICATIONS[kind](tmp_path, databases.new())
    migrate(app)
    engine = _engine(app)
    metadata = app.extensions["sqlalchemy"].metadata
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        differences = compare_metadata(context, metadata)
    migrated = _shape(engine)
    engine.dispose()
    assert differences == []

    modelled = APPLICATIONS[kind](tmp_path, databases.new())
    create_tables(modelled)
    expected = _shape(_engine(modelled))
    _engine(modelled).dispose()
    assert migrated == expected


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_migrating_again_changes_nothing(kind: str, tmp_path: Path, databases: Databases) -> None:
    app = APPLICATIONS[kind](tmp_path, databases.new())
    migrate(app)
    before = _shape(_engine(app))
    migrate(app)
    assert _shape(_engine(app)) == before
    _engine(app).dispose()
