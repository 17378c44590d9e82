"""What changes of a visit afterwards, and what does not."""

from __future__ import annotations

import secrets
from datetime import UTC, date, datetime, timedelta

import pytest

from federation.db import db
from federation.nodes.models import Node
from federation.visits import changes, passes
from federation.visits.models import Pass, Visit
from shared.base.clock import Clock
from shared.store.db import begin_write
from shared.wire.problems import Problem
from shared.wire.reports import visit_id
from tests.federation.visits.test_timeline_in_the_account import (
    LATER,
    Fact,
    Teller,
    check_person,
    hub,
    minute,
)
from tests.network import Network

__all__ = ["hub"]


@pytest.fixture
def teller(hub: Network) -> Teller:
    return Teller(db.session())


def fact(begins: int, space: str = "troquet", left: int | None = None) -> Fact:
    return Fact(space, begins, left, False, secrets.token_hex(32))


def visit_of(teller: Teller, told: Fact) -> Visit:
    return teller.session.get_one(Visit, visit_id(told.showing, told.space))


def test_of_several_ends_that_are_told_the_earliest_counts(teller: Teller) -> None:
    told = fact(600, left=800)
    teller.tell(told)
    for left in (900, 700, 1000):
        teller.check_out(Fact(told.space, told.begins, left, False, told.showing))
    assert visit_of(teller, told).ended_at == minute(700)
    check_person(teller)


def test_a_visit_that_nobody_ends_is_over_a_day_after_its_closing(teller: Teller) -> None:
    told = fact(600)
    teller.clock = Clock(still=minute(601))
    teller.tell(told)
    closing = minute(1140)
    for now, state in ((closing + timedelta(hours=23), "open"), (closing + timedelta(1), "closed")):
        changes.close_due(teller.session, now)
        assert visit_of(teller, told).state == state
    assert visit_of(teller, told).ended_at == closing
    check_person(teller)


def test_who_is_at_a_host_that_has_left_is_there_no_more(teller: Teller) -> None:
    told = fact(600)
    teller.clock = Clock(still=minute(601))
    teller.tell(told)
    _set_state(teller, "troquet", "left")
    try:
        changes.close_due(teller.session, minute(660))
        assert visit_of(teller, told).ended_at == minute(660)
    finally:
        _set_state(teller, "troquet", "connected")
    check_person(teller)


def _set_state(teller: Teller, node_id: str, state: str) -> None:
    begin_write(teller.session)
    teller.session.get_one(Node, node_id).state = state
    teller.session.commit()


def test_a_host_that_says_that_it_undid_a_visit_long_ago_is_not_believed(teller: Teller) -> None:
    told = fact(600)
    teller.clock = Clock(still=minute(600))
    teller.tell(told, live=True)
    teller.clock = Clock(still=LATER + timedelta(days=20))
    with pytest.raises(Problem) as refused:
        teller.void(told)  # as of five minutes after it began
    assert refused.value.slug == "visit-closed"


def test_a_held_visit_that_is_let_count_ends_where_its_person_was_next(teller: Teller) -> None:
    told, later = fact(600), fact(700, "filature")
    teller.clock = Clock(still=minute(701))
    teller.tell(told)
    begin_write(teller.session)
    visit_of(teller, told).held = "pass_stale"
    teller.session.commit()
    teller.tell(later)
    number = visit_id(told.showing, told.space)
    counts = {"counts": True, "reason": "the phone's clock was wrong", "actor": "account:1"}
    changes.decide_held(teller.session, minute(702), number, **counts)
    assert visit_of(teller, told).ended_at == minute(700)
    assert visit_of(teller, later).state == "open"
    check_person(teller)


def test_a_word_that_is_not_counted_lets_no_older_word_hold_again(teller: Teller) -> None:
    session, since = teller.session, date(2026, 1, 1)
    for word in (
        passes.PassUpdate(teller.reference, since, "suspended", changes=5),
        passes.PassUpdate(teller.reference, since, "valid"),
        passes.PassUpdate(teller.reference, since, "suspended", changes=4),
    ):
        passes.register_pass(session, datetime.now(UTC), "cordee", teller.pass_id, word)
    assert session.get_one(Pass, ("cordee", teller.pass_id)).status == "valid"
