"""The unit of work: one transaction, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from shared.store.db import engine_options, prepare_engine, release, snapshot, write
from tests.databases import Databases

pytestmark = pytest.mark.both_databases


@pytest.fixture
def session(databases: Databases) -> Iterator[Session]:
    url = databases.new()
    engine = create_engine(url, **engine_options(url))
    prepare_engine(engine, "NORMAL")
    with Session(engine) as session:
        with write(session) as connection:
            connection.execute(text("CREATE TABLE tried (what TEXT)"))
        yield session
    engine.dispose()


def kept(session: Session) -> list[str]:
    found = list(session.scalars(text("SELECT what FROM tried ORDER BY what")))
    release(session)
    return found


def add(session: Session, what: str) -> None:
    session.execute(text("INSERT INTO tried VALUES (:what)"), {"what": what})


def test_what_is_done_within_it_is_kept_at_its_end(session: Session) -> None:
    with write(session):
        add(session, "one")
        add(session, "two")
    session.rollback()
    assert kept(session) == ["one", "two"]


def test_any_exception_undoes_all_of_it_and_goes_on(session: Session) -> None:
    def stopped() -> None:
        with write(session):
            add(session, "one")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert kept(session) == []
    assert not session.in_transaction()


@pytest.mark.parametrize("inner", [write, snapshot, lambda session: nullcontext(release(session))])
def test_whatever_would_end_a_unit_of_work_from_within_is_refused_and_all_is_undone(
    session: Session, inner: Callable[[Session], AbstractContextManager[object]]
) -> None:
    def nested() -> None:
        with write(session):
            add(session, "one")
            with inner(session):
                add(session, "two")

    with pytest.raises(RuntimeError, match="within a unit of work"):
        nested()
    assert kept(session) == []
    with write(session):
        add(session, "three")
    assert kept(session) == ["three"]


def test_what_was_read_before_is_read_again(session: Session) -> None:
    def count() -> int:
        return session.scalars(text("SELECT count(*) FROM tried")).one()

    assert count() == 0
    with Session(session.get_bind()) as other, write(other):
        add(other, "one")
    with write(session):
        assert count() == 1
