"""What a suspended host counts is held until the coordination decides, as one dispute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from federation.audit.models import AuditEntry
from federation.nodes.models import Node
from federation.statements import host_disputes
from federation.statements.models import Dispute, HostDispute, Statement
from federation.visits.models import Visit
from shared.store.db import begin_write
from shared.wire.problems import Problem
from tests.architecture.applications import hub_app
from tests.databases import Databases, create_tables
from tests.federation.statements.ledger import Ledger

OCTOBER, NOVEMBER, DECEMBER = "2026-10", "2026-11", "2026-12"
# Members 0 and 1 are of cordee, 2 and 3 of filature, 4 and 5 of troquet.
CORDEE, FILATURE, TROQUET = 0, 2, 4


class Suspected(Ledger):
    """An account in which ``troquet`` is the host that is looked into."""

    def set_state(self, state: str) -> None:
        with self.session() as session:
            begin_write(session)
            session.get_one(Node, "troquet").state = state
            session.commit()

    def hold(self, host: str = "troquet") -> int:
        with self.session() as session:
            found = host_disputes.hold_lines_of_host(
                session, self.now, host, "half of its codes are too old", "account:1"
            )
            return found.id

    def decide(self, number: int, outcome: str) -> None:
        with self.session() as session:
            host_disputes.settle(session, self.now, number, outcome, "looked at", "account:1")

    def go_on(self) -> None:
        with self.session() as session:
            host_disputes.go_on(session, self.now)

    def state(self, number: int) -> tuple[str, datetime | None]:
        with self.session() as session:
            found = session.get_one(HostDispute, number)
            return found.state, found.due_at

    def counted(self, *visits: str) -> list[list[str]]:
        return [
            sorted(f"{q:+} {month} {state}" for q, month, state in self.lines(v)) for v in visits
        ]

    def to(self, day: str) -> None:
        self.now = datetime.fromisoformat(f"{day}T09:00:00+00:00")


@pytest.fixture
def account(tmp_path: Path, databases: Databases) -> Iterator[Suspected]:
    app = hub_app(tmp_path, databases.new())
    create_tables(app)
    found = Suspected(app)
    found.found()
    yield found
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


@pytest.fixture
def three(account: Suspected) -> tuple[str, str, str, str]:
    """Visits at troquet in a final month, an issued one and an open one; one elsewhere."""
    september = account.visit(CORDEE, "troquet", date(2026, 9, 29), 9, 11)
    october = account.visit(CORDEE, "troquet", date(2026, 10, 30), 9, 11)
    november = account.visit(FILATURE, "troquet", date(2026, 11, 3), 9, 17)
    elsewhere = account.visit(TROQUET, "cordee", date(2026, 11, 3), 9, 11)
    account.to("2026-10-02")
    account.issue("2026-09")
    account.to("2026-11-04")
    account.final("2026-09")
    account.issue(OCTOBER)
    account.set_state("suspended")
    return september, october, november, elsewhere


def test_all_that_it_counts_in_no_final_month_is_held_and_nothing_else(
    account: Suspected, three: tuple[str, ...]
) -> None:
    account.hold()
    assert account.counted(*three) == [
        ["+1 2026-09 counted"],
        ["+1 2026-10 held"],
        ["+1 None held", "+1 None held"],
        ["+1 None free"],
    ]
    with account.session() as session:
        assert {v.id for v in session.scalars(select(Visit).where(Visit.disputed))} == {*three[1:3]}


def test_it_is_one_dispute_however_often_one_says_so(
    account: Suspected, three: tuple[str, ...]
) -> None:
    assert account.hold() == account.hold()
    with account.session() as session:
        assert [n for _, n in host_disputes.of_hosts(session, 9)] == [2]
        said = session.scalars(select(AuditEntry).where(AuditEntry.action == "host-held")).all()
    assert [(line.subject, line.actor) for line in said] == [("troquet", "account:1")]


def test_a_host_that_takes_part_is_not_held(account: Suspected, three: tuple[str, ...]) -> None:
    account.set_state("connected")
    with pytest.raises(Problem) as caught:
        account.hold()
    assert caught.value.slug == "conflict"
    with pytest.raises(Problem) as caught:
        account.hold("nobody")
    assert caught.value.slug == "not-found"


def test_what_is_let_stand_is_counted_again_where_it_was(
    account: Suspected, three: tuple[str, ...]
) -> None:
    account.decide(account.hold(), "rejected")
    assert account.counted(*three[1:3]) == [
        ["+1 2026-10 counted"],
        ["+1 None free", "+1 None free"],
    ]
    with account.session() as session:
        assert session.scalars(select(Visit).where(Visit.disputed)).all() == []
        assert {d.state for d in session.scalars(select(Dispute))} == {"rejected"}


def test_what_is_upheld_is_undone_all_of_it(account: Suspected, three: tuple[str, ...]) -> None:
    number = account.hold()
    account.decide(number, "upheld")
    assert account.counted(*three) == [
        ["+1 2026-09 counted"],
        ["+1 None free", "-1 None free"],
        ["+1 None free", "+1 None free", "-1 None free", "-1 None free"],
        ["+1 None free"],
    ]
    with account.session() as session:
        states = {v.id: v.state for v in session.scalars(select(Visit))}
        assert session.get_one(Visit, three[1]).upheld
    assert [states[visit] for visit in three] == ["closed", "void", "void", "closed"]
    with pytest.raises(Problem):
        account.decide(number, "rejected")


def test_what_is_held_is_in_no_final_month_and_of_the_next_once_it_stands(
    account: Suspected, three: tuple[str, ...]
) -> None:
    number = account.hold()
    account.to("2026-12-03")
    account.final(OCTOBER)
    account.issue(NOVEMBER)
    assert account.counted(*three[1:3]) == [["+1 None held"], ["+1 None held", "+1 None held"]]
    account.decide(number, "rejected")
    account.to("2027-01-03")
    account.final(NOVEMBER)
    account.issue(DECEMBER)
    every = [line for visit in account.counted(*three[1:3]) for line in visit]
    assert every == ["+1 2026-12 counted"] * 3


def test_what_a_home_contests_stays_held_when_the_coordination_lets_it_stand(
    account: Suspected, three: tuple[str, ...]
) -> None:
    number = account.hold()
    own = account.dispute(three[1], "home", OCTOBER)
    account.decide(number, "rejected")
    assert account.counted(three[1]) == [["+1 2026-10 held"]]
    account.settle(own, "rejected")
    assert account.counted(three[1]) == [["+1 2026-10 counted"]]


def test_what_is_upheld_settles_what_a_home_said_as_well(
    account: Suspected, three: tuple[str, ...]
) -> None:
    account.dispute(three[1], "home", OCTOBER)
    account.decide(account.hold(), "upheld")
    with account.session() as session:
        assert {d.state for d in session.scalars(select(Dispute))} == {"upheld"}


def test_it_lapses_in_the_charters_days_after_the_suspension_and_not_before(
    account: Suspected, three: tuple[str, ...]
) -> None:
    number = account.hold()
    account.to("2027-03-01")
    account.go_on()
    assert account.state(number) == ("open", None)
    account.set_state("connected")
    account.go_on()
    due = account.now + timedelta(days=_days(account))
    assert account.state(number) == ("open", due)
    account.now = due - timedelta(hours=1)
    account.go_on()
    assert account.state(number)[0] == "open"
    account.now = due
    account.go_on()
    assert account.state(number)[0] == "rejected"
    assert account.counted(three[1]) == [["+1 2026-10 counted"]]


def _days(account: Suspected) -> int:
    from federation.charters import service as charters

    with account.session() as session:
        return charters.in_force(session).rules.dispute.days


def test_a_host_that_is_suspended_again_has_its_days_anew(
    account: Suspected, three: tuple[str, ...]
) -> None:
    number = account.hold()
    account.set_state("left")
    account.go_on()
    assert account.state(number)[1] is not None
    account.set_state("suspended")
    account.go_on()
    assert account.state(number) == ("open", None)


def test_what_was_interrupted_is_finished(account: Suspected, three: tuple[str, ...]) -> None:
    with account.session() as session:
        begin_write(session)
        begun = {"reason": "x", "state": "open", "opened_at": account.now}
        session.add(HostDispute(host_id="troquet", **begun))
        session.commit()
    account.go_on()
    assert account.counted(three[1]) == [["+1 2026-10 held"]]
    with account.session() as session:
        begin_write(session)
        row = session.scalars(select(HostDispute)).one()
        row.state, row.decision, row.decided_at = "rejected", "no", account.now
        session.commit()
    account.go_on()
    assert account.counted(three[1]) == [["+1 2026-10 counted"]]


def test_each_change_of_an_issued_month_is_another_revision(
    account: Suspected, three: tuple[str, ...]
) -> None:
    def revision() -> int:
        with account.session() as session:
            return session.get_one(Statement, OCTOBER).revision

    before = revision()
    number = account.hold()
    assert revision() == before + 1
    account.decide(number, "rejected")
    assert revision() == before + 2
