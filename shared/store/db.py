"""What both databases share: names of constraints, aware times, and how a write begins."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson
from flask import Flask
from sqlalchemy import Connection, DateTime, Engine, MetaData, Table, event, make_url
from sqlalchemy.exc import DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session, registry
from sqlalchemy.types import JSON, TypeDecorator

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
BUSY_SECONDS = 10.0
# How long a write waits for another's lock: less where a person waits.
_patience: ContextVar[float] = ContextVar("patience", default=BUSY_SECONDS)


def be_brief(seconds: float = BUSY_SECONDS) -> None:
    """Let each write of this thread wait so long for others at most: then OperationalError."""
    _patience.set(seconds)


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite has no zones of its own."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def new_registry() -> registry:
    """Return what a service's declarative base is made with: its own, so that two never mix."""
    return registry(
        metadata=MetaData(naming_convention=NAMING),
        type_annotation_map={
            datetime: UTCDateTime(),
            dict[str, Any]: JSON(),
            list[str]: JSON(),
            list[Any]: JSON(),
        },
    )


def table_of(model: type[DeclarativeBase]) -> Table:
    """Return the table of a model, for statements without objects."""
    return model.metadata.tables[model.__tablename__]


def engine_options(database_url: str) -> dict[str, Any]:
    """Return options for the engine of either kind of database."""
    common = {"json_serializer": _to_json}
    if database_url.startswith("sqlite"):
        arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
        return {**common, "connect_args": arguments}
    pool = {"pool_size": 5, "max_overflow": 10, "pool_timeout": 5}
    return {**common, **pool, "connect_args": link_options(database_url)}


def link_options(database_url: str) -> dict[str, int]:
    """Return how long a connection waits for a server that says nothing; the URL wins."""
    url = make_url(database_url)
    if url.get_backend_name() != "postgresql":
        return {}
    return {name: value for name, value in _LINK.items() if name not in url.query}


# A PostgreSQL server that is gone without a word is noticed within a quarter of a minute.
_LINK = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,  # milliseconds; the others are seconds
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
}


def _to_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a whole number beyond 64 bits, which JSON allows
        return json.dumps(value)


def prepare_engine(engine: Engine, sqlite_synchronous: str) -> None:
    """Set SQLite up: WAL, foreign keys, and transactions that say at once that they will write.

    A SQLite transaction that reads first and writes later fails when another has written in
    between; ``BEGIN IMMEDIATE`` takes its turn instead.
    """
    if engine.dialect.name != "sqlite":
        _ping_rested(engine)
        return

    @event.listens_for(engine, "do_connect")
    def _be_private(*_args: Any) -> None:
        """SQLite gives what it writes beside the file the file's own mode."""
        if is_file(engine.url.database):
            with suppress(OSError):  # it is there, or SQLite says why it cannot be
                os.close(os.open(str(engine.url.database), os.O_CREAT | os.O_EXCL, 0o600))

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we begin transactions ourselves
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={sqlite_synchronous}",
            "foreign_keys=ON",
            "wal_autocheckpoint=4000",  # pages, 16 MB: a page written often is moved once
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            _begin_immediate(connection)
        else:
            _execute(connection, "BEGIN")

    @event.listens_for(engine, "checkin")
    def _end_turn(_connection: Any, record: Any) -> None:
        turn = record.info.pop(_TURN, None)
        if turn is not None:
            turn.release()


def is_file(database: str | None) -> bool:
    """Tell whether SQLite keeps a database of this name in a file of that name."""
    return bool(database) and not str(database).startswith((":", "file:"))


# By database file: its writers in this process go one after the other. SQLite alone makes a
# writer ask again at growing intervals, so that one of many threads may wait for seconds.
_turns: defaultdict[str | None, threading.Lock] = defaultdict(threading.Lock)
_TURN = "turn"


def _begin_immediate(connection: Connection) -> None:
    ends = time.monotonic() + _patience.get()
    if _TURN not in connection.info:
        turn = _turns[connection.engine.url.database]
        if not turn.acquire(timeout=_patience.get()):
            raise OperationalError("BEGIN IMMEDIATE", None, TimeoutError("database is locked"))
        connection.info[_TURN] = turn
    left = max(0, round((ends - time.monotonic()) * 1000))
    _execute(connection, f"PRAGMA busy_timeout={left}")
    _execute(connection, "BEGIN IMMEDIATE")


def _execute(connection: Connection, statement: str) -> None:
    """Have SQLite itself do what every transaction begins with."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute(statement).close()
    except sqlite3.OperationalError as error:
        raise OperationalError(statement, None, error) from error


def _ping_rested(engine: Engine) -> None:
    """Ask a connection that has rested whether it still lives, before it is used again.

    SQLAlchemy's own ``pool_pre_ping`` asks each time; a request takes a connection several times.
    """

    @event.listens_for(engine, "checkin")
    def _rest(_connection: Any, record: Any) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _wake(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get(_RESTS_SINCE, 0) > RESTED_SECONDS:
            try:
                engine.dialect.do_ping(connection)
            except engine.dialect.loaded_dbapi.Error:
                raise DisconnectionError from None  # the pool then makes a new one


RESTED_SECONDS = 1.0
_RESTS_SINCE = "rests since"


@contextmanager
def write(session: Session) -> Iterator[Connection]:
    """A unit of work: one transaction that writes, committed at its end, undone by any exception.

    What was read before is read again. The connection is for statements without objects.
    """
    _refuse_within(session)
    connection = begin_write(session)
    session.info[_WRITES] = True
    try:
        yield connection
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        del session.info[_WRITES]


_WRITES = "writes"


def release(session: Session) -> None:
    """Give the connection back: nothing is held while somebody else is asked, or waited for."""
    _refuse_within(session)
    session.rollback()


def _refuse_within(session: Session) -> None:
    """Whoever is within a unit of work may not end its transaction for it."""
    if session.info.get(_WRITES):
        raise RuntimeError("within a unit of work: this would commit, or undo, half of it")


def begin_write(session: Session) -> Connection:
    """Start the transaction of a service that will write. What was read before is read again.

    A connection that was only read with is kept: giving it back to the pool and asking for it
    again costs more than the reading did. Returned, for statements without objects.
    """
    clean = session.in_transaction() and not (session.new or session.dirty or session.deleted)
    connection = session.connection() if clean and session.is_active else None
    if connection is None or connection.get_execution_options().get("writes"):
        session.rollback()
        return _bounded(session.connection(execution_options={"writes": True}))
    session.expire_all()
    connection.execution_options(writes=True)
    if connection.dialect.name == "sqlite":  # elsewhere each statement sees what was committed
        _execute(connection, "ROLLBACK")
        _begin_immediate(connection)
    return _bounded(connection)


def _bounded(connection: Connection) -> Connection:
    """Have PostgreSQL wait for locks no longer than this thread does, in this transaction."""
    if connection.dialect.name == "postgresql" and _patience.get() < BUSY_SECONDS:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(_patience.get() * 1000)}")
    return connection


def configure(app: Flask, database_url: str) -> None:
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(database_url)


def reason_of(error: SQLAlchemyError) -> str:
    """Return what the database said, without values of rows, which may be personal."""
    return str(getattr(error, "orig", error)).splitlines()[0][:200]


def private_file(path: Path) -> IO[str]:
    """Open a file for writing, and make it readable by its owner alone where it is new."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w")


@contextmanager
def snapshot(session: Session) -> Iterator[None]:
    """Read as of one moment, whatever others commit meanwhile; the transaction ends with it."""
    release(session)
    if session.get_bind().dialect.name == "postgresql":  # SQLite reads so anyway
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
    try:
        yield
    finally:
        session.rollback()
