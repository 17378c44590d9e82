"""A pass that a door was shown before its home could announce it: whose visit it is, at last."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from federation.db import db
from federation.visits import passes
from federation.visits.models import Member, Visit
from shared.base.clock import Clock
from tests.federation.visits.test_timeline_in_the_account import (
    Fact,
    Teller,
    check_person,
    hub,
    minute,
)
from tests.network import Network

pytestmark = pytest.mark.both_databases

__all__ = ["hub"]


@pytest.fixture
def teller(hub: Network) -> Teller:
    """Tells of a pass that nobody has announced."""
    return Teller(db.session(), announced=False)


def fact(begins: int, space: str = "troquet") -> Fact:
    return Fact(space, begins, None, False, secrets.token_hex(32))


def test_visits_that_were_told_before_the_pass_was_announced_count_once(teller: Teller) -> None:
    member = _announce(teller, secrets.token_urlsafe(12))
    teller.tell(fact(600))
    placeholder = teller.member_id
    other, teller.pass_id = teller.pass_id, member
    teller.tell(fact(620))
    teller.pass_id = other
    _announce(teller, other)
    assert teller.member_id != placeholder
    teller.close()
    check_person(teller)
    assert sum(teller.ledger().values()) == 2  # one morning, and the afternoon of who stayed


def _announce(teller: Teller, pass_id: str) -> str:
    word = passes.PassUpdate(teller.reference, date(2026, 1, 1), "valid")
    passes.register_pass(teller.session, teller.clock.now(), "cordee", pass_id, word)
    return pass_id


def test_a_visit_told_while_its_pass_is_announced_is_its_members(
    hub: Network, teller: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the placeholder's row finds it gone, and looks for the member."""
    _announce(teller, secrets.token_urlsafe(12))
    teller.tell(fact(600))
    merging, waited_for = threading.Event(), threading.Event()
    merge = passes.merge

    def slowly(*values: Any) -> None:
        merge(*values)
        merging.set()
        waited_for.wait(20)

    def tell_meanwhile() -> None:
        with hub.hub.app.app_context():
            assert merging.wait(20)
            late = Teller(db.session(), announced=False)
            late.pass_id, late.clock = teller.pass_id, Clock(still=minute(4400))
            late.tell(fact(900, "filature"))

    monkeypatch.setattr(passes, "merge", slowly)
    thread = threading.Thread(target=tell_meanwhile)
    thread.start()
    watcher = threading.Thread(target=_wait_for_waiting, args=(hub, merging, waited_for))
    watcher.start()
    _announce(teller, teller.pass_id)
    for each in (thread, watcher):
        each.join(30)
    people = select(Member.reference).join(Visit, Visit.member_id == Member.id)
    people = people.where(Visit.pass_id == teller.pass_id)
    assert set(teller.session.scalars(people)) == {teller.reference}
    teller.close()
    check_person(teller)


def _wait_for_waiting(hub: Network, merging: threading.Event, found: threading.Event) -> None:
    """Set ``found`` once somebody waits for a row; SQLite cannot say."""
    with hub.hub.app.app_context():
        session: Session = db.session()
        assert merging.wait(20)
        until = time.monotonic() + 10
        if session.get_bind().dialect.name == "postgresql":
            waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while not session.scalar(waiting) and time.monotonic() < until:
                session.rollback()
        found.set()
