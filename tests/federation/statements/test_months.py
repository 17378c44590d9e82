"""Every line of the ledger is in one final month, once, whatever is said against it meanwhile."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from charter import statement as document
from federation.charters import service as charters
from federation.statements import documents, statement_lines
from federation.statements.models import Dispute, Statement, StatementLine
from federation.statements.service import closing
from federation.visits.models import HalfDayLine
from shared.wire.problems import Problem
from tests.architecture.applications import hub_app
from tests.databases import Databases
from tests.federation.statements.ledger import NODES, Ledger
from tests.network import at_once

pytestmark = pytest.mark.both_databases

OCTOBER, NOVEMBER, DECEMBER = "2026-10", "2026-11", "2026-12"
HALLOWEEN = date(2026, 10, 31)


@pytest.fixture
def account(tmp_path: Path, databases: Databases) -> Iterator[Ledger]:
    app = hub_app(tmp_path, databases.new("hub"))
    found = Ledger(app)
    found.found()
    yield found
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


def _counted(account: Ledger, visit: str, month: str) -> int:
    """Return what a visit counts in a month's document, corrections taken off."""
    with account.session() as session:
        told = json.loads(documents.as_bytes(session, month))
    every = [*told["visits"], *told["corrections"]]
    return sum(line["half_days"] for line in every if line["id"] == visit)


def _go_to(account: Ledger, day: str) -> None:
    account.now = datetime.fromisoformat(f"{day}T09:00:00+00:00")


def test_a_visit_over_the_months_end_that_is_disputed_in_the_next_counts_once_in_all(
    account: Ledger,
) -> None:
    _go_to(account, "2026-11-02")
    visit = account.visit(0, "troquet", HALLOWEEN, 12, 18)
    account.issue(OCTOBER)
    _go_to(account, "2026-12-02")
    account.final(OCTOBER)
    assert [_counted(account, visit, month) for month in (OCTOBER, NOVEMBER)] == [2, 0]
    account.undo(visit)
    account.issue(NOVEMBER)
    number = account.dispute(visit, "home", NOVEMBER)
    assert _counted(account, visit, NOVEMBER) == 0
    _go_to(account, "2027-01-02")
    account.final(NOVEMBER)
    account.settle(number, "rejected")
    account.issue(DECEMBER)
    months = (OCTOBER, NOVEMBER, DECEMBER)
    assert [_counted(account, visit, month) for month in months] == [2, 0, -2]


def test_a_visit_with_lines_of_two_months_is_never_counted_a_third_time(account: Ledger) -> None:
    """Its lines of a final month stay there; a dispute moves those alone that no final one has."""
    _go_to(account, "2026-10-31")
    visit = account.visit(0, "troquet", HALLOWEEN, 10, 12)
    _go_to(account, "2026-11-02")
    account.issue(OCTOBER)
    _go_to(account, "2026-11-20")
    account.final(OCTOBER)
    again = account.visit(0, "troquet", HALLOWEEN, 11, 20)  # told late: the afternoon is new
    _go_to(account, "2026-12-02")
    account.issue(NOVEMBER)
    number = account.dispute(again, "home", NOVEMBER)
    _go_to(account, "2026-12-20")
    account.final(NOVEMBER)
    account.settle(number, "rejected")
    _go_to(account, "2027-01-02")
    account.issue(DECEMBER)
    found = [
        [_counted(account, each, month) for month in (OCTOBER, NOVEMBER, DECEMBER)]
        for each in (visit, again)
    ]
    assert found == [[1, 0, 0], [0, 0, 1]]


def test_each_side_contests_once_and_what_the_one_withdraws_blocks_not_the_other(
    account: Ledger,
) -> None:
    visit = account.visit(0, "troquet", HALLOWEEN, 10, 12)
    _go_to(account, "2026-11-02")
    account.issue(OCTOBER)
    by_host = account.dispute(visit, "host", OCTOBER)
    account.settle(by_host, "withdrawn")
    assert _counted(account, visit, OCTOBER) == 1
    by_home = account.dispute(visit, "home", OCTOBER)
    assert by_home != by_host
    assert _counted(account, visit, OCTOBER) == 0
    assert account.dispute(visit, "host", OCTOBER) == by_host
    account.settle(by_home, "rejected")
    assert account.dispute(visit, "home", OCTOBER) == by_home
    assert _counted(account, visit, OCTOBER) == 1


def test_lines_are_held_while_one_of_two_disputes_is_open(account: Ledger) -> None:
    visit = account.visit(0, "troquet", HALLOWEEN, 10, 12)
    _go_to(account, "2026-11-02")
    account.issue(OCTOBER)
    numbers = [account.dispute(visit, side, OCTOBER) for side in ("home", "host")]
    account.settle(numbers[0], "rejected")
    assert account.lines(visit) == [(1, OCTOBER, "held")]
    account.settle(numbers[1], "withdrawn")
    assert account.lines(visit) == [(1, OCTOBER, "counted")]


def test_what_its_host_undoes_settles_what_is_said_against_it(account: Ledger) -> None:
    visit = account.visit(0, "troquet", HALLOWEEN, 10, 12)
    _go_to(account, "2026-11-02")
    account.issue(OCTOBER)
    for side in ("home", "host"):
        account.dispute(visit, side, OCTOBER)
    account.undo(visit)
    with account.session() as session:
        assert set(session.scalars(select(Dispute.state))) == {"upheld"}
    assert account.lines(visit) == [(1, None, "free"), (-1, None, "free")]
    _go_to(account, "2026-12-02")
    account.final(OCTOBER)
    account.issue(NOVEMBER)
    assert account.lines(visit) == [(1, NOVEMBER, "counted"), (-1, NOVEMBER, "counted")]
    assert _counted(account, visit, NOVEMBER) == 0


def test_what_is_written_for_a_visit_while_it_is_disputed_is_held_too(account: Ledger) -> None:
    visit = account.visit(0, "troquet", HALLOWEEN, 10, 18)
    _go_to(account, "2026-11-02")
    account.issue(OCTOBER)
    number = account.dispute(visit, "home", OCTOBER)
    account.visit(0, "filature", HALLOWEEN, 12, 13)  # it was over earlier: no afternoon
    held, free = (OCTOBER, "held"), (None, "free")
    assert account.lines(visit) == [(1, *held), (1, *held), (-1, *free)]
    _go_to(account, "2026-12-02")
    account.final(OCTOBER)
    account.issue(NOVEMBER)
    assert {line[1:] for line in account.lines(visit)} == {(None, "held")}
    account.settle(number, "rejected")
    _go_to(account, "2027-01-02")
    account.final(NOVEMBER)
    account.issue(DECEMBER)
    assert {line[1:] for line in account.lines(visit)} == {(DECEMBER, "counted")}
    assert _counted(account, visit, DECEMBER) == 1


def test_issuing_goes_on_where_it_was_interrupted(
    account: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from federation.statements import claims, service

    monkeypatch.setattr(claims, "AT_ONCE", 2)
    visits = [
        account.visit(member, host, HALLOWEEN - timedelta(days=n), 10, 12)
        for n, (member, host) in enumerate([(0, "troquet"), (1, "filature"), (2, "troquet")])
    ]
    _go_to(account, "2026-11-02")

    def fail(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(service, "compose", fail)
        with pytest.raises(RuntimeError):
            account.issue(OCTOBER)
    late = account.visit(3, "cordee", HALLOWEEN, 10, 12)
    with account.session() as session:
        row = closing(session)
        assert row is not None
        told = json.loads(documents.as_bytes(session, OCTOBER))
    assert (told["state"], told["revision"]) == ("open", 0)
    assert {line["id"] for line in told["visits"]} == {*visits, late}
    account.issue(OCTOBER)
    with account.session() as session:
        told = json.loads(documents.as_bytes(session, OCTOBER))
    assert (told["state"], told["revision"]) == ("issued", 1)
    assert {line["id"] for line in told["visits"]} == {*visits, late}


def test_an_issued_month_is_the_same_bytes_and_signature_until_a_dispute(account: Ledger) -> None:
    visits = [account.visit(n, "troquet", HALLOWEEN, 10, 12) for n in (0, 2)]
    _go_to(account, "2026-11-02")
    account.issue(OCTOBER)

    def signed() -> tuple[bytes, bytes]:
        with account.session() as session:
            whole = documents.as_jws(session, OCTOBER)
            return whole, documents.as_jws(session, OCTOBER, "troquet")

    first = signed()
    account.visit(1, "troquet", HALLOWEEN, 10, 12)
    assert signed() == first
    number = account.dispute(visits[0], "home", OCTOBER)
    disputed = signed()
    assert all(a != b for a, b in zip(first, disputed, strict=True))
    account.settle(number, "rejected")
    _go_to(account, "2026-12-02")
    account.final(OCTOBER)
    final = signed()
    account.undo(visits[1])
    assert signed() == final
    with account.session() as session:
        assert session.get_one(Statement, OCTOBER).revision == 4


def test_the_document_of_an_open_month_is_of_one_moment(
    account: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.visit(0, "troquet", HALLOWEEN, 10, 12)
    add_up = statement_lines.totals

    def totals(*args: Any) -> Any:
        found = add_up(*args)
        account.visit(2, "troquet", HALLOWEEN, 10, 12)  # between the sums and the lines
        return found

    with account.session() as session:
        rule = charters.in_force(session).rules.balance
        with monkeypatch.context() as patch:
            patch.setattr(statement_lines, "totals", totals)
            body = documents.as_bytes(session, OCTOBER)
        assert document.recompute(body, rule) == body
        assert len(document.read(body)["visits"]) == 1
        assert len(document.read(documents.as_bytes(session, OCTOBER))["visits"]) == 2


# Whatever happens, in whatever order

MEMBERS, DAYS = st.integers(0, 5), st.integers(0, 40)
VISITS = st.tuples(
    *(st.just("visit"), MEMBERS, st.sampled_from(NODES), DAYS),
    *(st.sampled_from([9, 11, 14, 20, 23]), st.sampled_from([1, 3, 6])),
)
KINDS = st.one_of(
    VISITS,
    VISITS,
    st.tuples(st.just("undo"), st.integers(0, 99)),
    st.tuples(st.just("dispute"), st.integers(0, 99), st.sampled_from(["home", "host"])),
    st.tuples(st.just("dispute"), st.integers(0, 99), st.sampled_from(["home", "host"])),
    st.tuples(
        *(st.just("settle"), st.integers(0, 99)),
        st.sampled_from(["upheld", "rejected", "withdrawn"]),
    ),
    st.tuples(st.just("pass"), st.integers(1, 20)),
    st.tuples(st.just("month end")),
    st.tuples(st.just("month end")),
)
MONTHS = ["2026-09", OCTOBER, NOVEMBER, DECEMBER]
END = datetime(2026, 12, 31, 12, tzinfo=UTC)


class History:
    """What was done so far, and each final document as it first was."""

    def __init__(self, account: Ledger) -> None:
        self.account, self.visits, self.numbers = account, list[str](), list[int]()
        self.final: dict[str, bytes] = {}

    def do(self, kind: str, *values: Any) -> None:
        with suppress(Problem):  # it is not the time for it, or there is nothing of the kind
            getattr(self, f"_{kind.replace(' ', '_')}")(*values)

    def _visit(self, member: int, host: str, ago: int, starts: int, hours: int) -> None:
        day = self.account.now.date() - timedelta(days=ago)
        if self.account.members[member][1] != host and day >= date(2026, 9, 1):
            self.visits.append(self.account.visit(member, host, day, starts, starts + hours))

    def _undo(self, which: int) -> None:
        if self.visits and self.visits[which % len(self.visits)]:
            self.account.undo(self.visits[which % len(self.visits)])

    def _dispute(self, which: int, side: str) -> None:
        with self.account.session() as session:
            issued = session.scalar(select(Statement.month).where(Statement.state == "issued"))
        if self.visits and self.visits[which % len(self.visits)] and issued:
            visit = self.visits[which % len(self.visits)]
            self.numbers.append(self.account.dispute(visit, side, issued))

    def _settle(self, which: int, outcome: str) -> None:
        if self.numbers:
            self.account.settle(self.numbers[which % len(self.numbers)], outcome)

    def _pass(self, days: int) -> None:
        if self.account.now < END:
            self.account.now += timedelta(days=days)

    def _month_end(self) -> None:
        for month in self._months():
            for step in (self.account.issue, self.account.final):
                with suppress(Problem):  # not yet
                    step(month)

    def _months(self) -> list[str]:
        with self.account.session() as session:
            last = session.scalar(select(Statement.month).order_by(Statement.month.desc()))
        return [last, statement_lines.neighbour(last, 1)] if last else MONTHS

    def _all_are_final(self) -> bool:
        query = select(Statement.month).where(Statement.state == "final")
        with self.account.session() as session:
            final = set(session.scalars(query))
        places = self.account.lines()
        return all(state == "counted" and month in final for _, month, state in places)

    def check(self) -> None:
        """Balances sum to zero and follow from the lines; what is final is as it was.

        No line of a disputed visit counts but in a final month; none is held in one.
        """
        with self.account.session() as session:
            rows = select(StatementLine.state, Statement.state, Dispute.id).join_from(
                *(StatementLine, HalfDayLine, HalfDayLine.id == StatementLine.line_id)
            )
            rows = rows.outerjoin(Statement, Statement.month == StatementLine.month)
            disputed = (Dispute.visit_id == HalfDayLine.visit_id) & (Dispute.state == "open")
            for state, month_state, dispute in session.execute(rows.outerjoin(Dispute, disputed)):
                assert (state, month_state) != ("held", "final")
                assert month_state == "final" if state == "counted" and dispute else True
            rule = charters.in_force(session).rules.balance
            states = dict(session.execute(select(Statement.month, Statement.state)).all())
            for month in {*MONTHS, *states}:
                body = documents.as_bytes(session, month)
                told = document.read(body)
                assert sum(told["balances"].values()) == sum(told["compensation"].values()) == 0
                assert document.recompute(body, rule) == body
                if states.get(month) == "final":
                    assert self.final.setdefault(month, body) == body

    def finish(self) -> None:
        """Settle everything, and go on until every line is in a final month."""
        for n in range(9):
            if n == 2:
                for number in self.numbers:
                    with suppress(Problem):  # it is settled
                        self.account.settle(number, "rejected")
            if n > 2 and self._all_are_final():
                break
            self.account.now += timedelta(days=32)
            self._month_end()
        self.check()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(KINDS, min_size=5, max_size=40))
def test_every_line_is_in_one_final_month_once(
    account: Ledger, steps: list[tuple[Any, ...]]
) -> None:
    account.forget()
    account.now = datetime(2026, 10, 3, 8, tzinfo=UTC)
    history = History(account)
    for step in steps:
        history.do(*step)
    history.check()
    history.finish()
    every = account.lines()
    assert {state for _, _, state in every} <= {"counted"}
    assert {month for _, month, _ in every} <= set(history.final)
    told = Counter[tuple[str, str]]()
    for body in history.final.values():
        found = document.read(body)
        for line in [*found["visits"], *found["corrections"]]:
            for half in line["halves"]:
                told[line["id"], half] += line["half_days"] // len(line["halves"])
    assert set(told.values()) <= {0, 1}  # undone, or counted once
    assert sum(told.values()) == sum(quantity for quantity, _, _ in every)


def test_issuing_disputes_and_visits_at_once_leave_every_line_in_one_place(
    account: Ledger,
) -> None:
    visits = [
        account.visit(member, host, HALLOWEEN - timedelta(days=day), 10, 18)
        for day, (member, host) in itertools.product(range(4), ((0, "troquet"), (2, "troquet")))
    ]
    _go_to(account, "2026-11-02")
    issue: list[Any] = [lambda: account.issue(OCTOBER)] * 2
    late = [
        lambda n=n: account.visit(n, "cordee", HALLOWEEN - timedelta(days=n), 10, 18)
        for n in (2, 3, 4, 5)
    ]
    at_once([*issue, *late])

    def say(call: Any) -> Any:
        try:
            return call()
        except Problem as problem:
            return problem.slug

    calls = [
        lambda v=v, side=side: say(lambda: account.dispute(v, side, OCTOBER))
        for v in visits[:3]
        for side in ("home", "host")
    ]
    numbers = at_once([*calls, lambda: account.undo(visits[0]), lambda: account.undo(visits[3])])
    settled = [number for number in numbers if isinstance(number, int)]
    calls = [
        lambda n=n, outcome=outcome: say(lambda: account.settle(n, outcome))
        for n, outcome in zip(settled, itertools.cycle(["upheld", "rejected"]), strict=False)
    ]
    at_once([*calls, lambda: account.undo(visits[1]), lambda: account.undo(visits[4])])
    _go_to(account, "2026-12-02")
    at_once([lambda: say(lambda: account.final(OCTOBER))] * 2)
    at_once([lambda: say(lambda: account.issue(NOVEMBER))] * 2)
    _go_to(account, "2027-01-02")
    account.final(NOVEMBER)
    assert {state for _, _, state in account.lines()} == {"counted"}
    with account.session() as session:
        for month in (OCTOBER, NOVEMBER):
            told = json.loads(documents.as_bytes(session, month))
            assert (told["state"], sum(told["balances"].values())) == ("final", 0)
