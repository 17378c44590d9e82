"""Which revision of the tables a database is at, beside the one that this version works with.

Every migration expands only: it adds what the next version needs, and takes nothing from the
version before. So a database that is behind its program is not to be used until it was migrated,
while a program that runs goes on when its database is migrated ahead of it. No Flask here, and no
application: this is asked before either is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, MetaData, NullPool, create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from shared.store.db import is_file, link_options, reason_of

TABLE = "alembic_version"


class State(Enum):
    """How a database stands to this version of the program."""

    CURRENT = "current"
    EMPTY = "empty"  # no migration was ever run
    BEHIND = "behind"
    AHEAD = "ahead"  # of a revision that this version does not know
    UNCLEAR = "unclear"  # two revisions at once, or a table without any
    AWAY = "away"  # the database does not answer


@dataclass(frozen=True, slots=True)
class Found:
    """``at`` is the database's revision, ``wanted`` this version's; ``why`` is why it is away."""

    state: State
    at: str = ""
    wanted: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What keeps a service from answering, and what an operator should know although it answers."""

    faults: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Known:
    head: str
    all: frozenset[str] = field(repr=False)


@cache
def known(directory: Path) -> _Known:
    """Return the revisions of a folder of migrations, as they were when this was asked first.

    A process that runs keeps to what it was started with, whatever is installed over it.
    """
    scripts = ScriptDirectory(str(directory))
    head = scripts.get_current_head()
    assert head is not None  # noqa: S101 - there is a first migration
    return _Known(head, frozenset(one.revision for one in scripts.walk_revisions()))


def find(connection: Connection, directory: Path) -> Found:
    """Tell how the database of a connection stands to the migrations of a folder."""
    ours = known(directory)
    if not connection.dialect.has_table(connection, TABLE):
        return Found(State.EMPTY, wanted=ours.head)
    rows = connection.execute(text(f"SELECT version_num FROM {TABLE}")).scalars().all()  # noqa: S608
    if len(rows) != 1:
        return Found(State.UNCLEAR, ", ".join(sorted(map(str, rows))), ours.head)
    at = str(rows[0])
    if at == ours.head:
        return Found(State.CURRENT, at, ours.head)
    return Found(State.BEHIND if at in ours.all else State.AHEAD, at, ours.head)


def find_at(url: str, directory: Path) -> Found:
    """Do the same for the database of an address, and make no file where SQLite has none."""
    engine = create_engine(url, poolclass=NullPool, connect_args=link_options(url))
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if is_file(file) and not Path(str(file)).exists():
        return Found(State.EMPTY, wanted=known(directory).head)
    try:
        with engine.connect() as connection:
            return find(connection, directory)
    except SQLAlchemyError as error:
        return Found(State.AWAY, wanted=known(directory).head, why=reason_of(error))
    finally:
        engine.dispose()


def say(found: Found, kind: str) -> str:
    """Return what is not as it should be, and what to do, in one line; empty when all is well."""
    at, wanted = found.at, found.wanted
    return {
        State.CURRENT: "",
        State.EMPTY: f"the database has no tables of ours; run: passerelle {kind} migrate",
        State.BEHIND: f"the database is at revision {at}, and this version needs {wanted};"
        f" run: passerelle {kind} migrate",
        State.AHEAD: f"the database is at revision {at} of a newer version, and this version"
        f" knows {wanted} as the last: start the newer version",
        State.UNCLEAR: f"the database is half migrated (revisions: {at or 'none'});"
        f" run: passerelle {kind} migrate",
        State.AWAY: f"the database does not answer: {found.why}",
    }[found.state]


def readiness(engine: Engine, metadata: MetaData, directory: Path, kind: str) -> Readiness:
    """Tell whether a service that runs can answer. One whose database is ahead of it can."""
    try:
        with engine.connect() as connection:
            found = find(connection, directory)
            missing = sorted(set(metadata.tables) - set(inspect(connection).get_table_names()))
    except SQLAlchemyError:
        return Readiness(["the database does not answer"])
    if found.state is State.AHEAD and not missing:
        return Readiness(notes=[say(found, kind)])
    if found.state is not State.CURRENT:
        return Readiness([say(found, kind)])
    if missing:
        told = f"tables are missing: {', '.join(missing)}; restore a backup"
        return Readiness([told])
    return Readiness()
