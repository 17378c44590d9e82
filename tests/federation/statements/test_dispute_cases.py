"""The hub does what the charter's cases of months and disputes say (``charter/cases``)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from federation.statements import service
from federation.statements.models import Statement, StatementLine
from federation.visits.models import HalfDayLine
from shared.wire.problems import Problem
from tests.architecture.applications import hub_app
from tests.architecture.sources import ROOT
from tests.databases import Databases
from tests.federation.statements.ledger import Ledger

pytestmark = pytest.mark.both_databases

CASES = json.loads((ROOT / "charter" / "cases" / "disputes.json").read_text())


@pytest.fixture
def account(tmp_path: Path, databases: Databases) -> Iterator[Ledger]:
    app = hub_app(tmp_path, databases.new("hub"))
    found = Ledger(app)
    found.found()
    yield found
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()


class Told:
    """The events of one case, told to a hub whose account is empty."""

    def __init__(self, account: Ledger) -> None:
        self.account, self.visits, self.numbers = account, dict[str, str](), dict[Any, int]()

    def _be_after(self, instant: datetime) -> None:
        self.account.now = max(self.account.now, instant)

    def visit(self, name: str, day: str) -> None:
        number = len(self.visits)
        host = "troquet" if number < 4 else "cordee"
        self.visits[name] = self.account.visit(number, host, date.fromisoformat(day), 10, 12)

    def void(self, name: str) -> None:
        self.account.undo(self.visits[name])

    def issue(self, month: str) -> None:
        first = datetime.fromisoformat(f"{month}-01T12:00:00+00:00")
        self._be_after(first + timedelta(days=33))
        self.account.issue(month)

    def final(self, month: str) -> None:
        self.account.now += timedelta(days=15)
        self.account.final(month)

    def dispute(self, name: str, side: str) -> None:
        with self.account.session() as session:
            month = session.scalar(select(Statement.month).where(Statement.state == "issued"))
        number = self.account.dispute(self.visits[name], side, month or "")
        self.numbers[name, side] = number

    def settle(self, name: str, side: str, how: str) -> None:
        self.account.settle(self.numbers[name, side], how)

    def found(self) -> dict[str, Any]:
        names = {visit_id: name for name, visit_id in self.visits.items()}
        query = select(
            HalfDayLine.visit_id, HalfDayLine.quantity, StatementLine.month, StatementLine.state
        ).outerjoin(StatementLine, StatementLine.line_id == HalfDayLine.id)
        months: dict[str, list[str]] = {}
        others: dict[str, list[str]] = {"free": [], "held": []}
        with self.account.session() as session:
            for row in session.scalars(select(Statement.month)):
                months[row] = []
            for visit_id, quantity, month, state in session.execute(query):
                sign = "+" if quantity > 0 else "-"
                place = months[month] if state == "counted" else others[state or "free"]
                place.append(sign + names[visit_id])
        return {
            "months": {month: sorted(each) for month, each in months.items()},
            **{state: sorted(each) for state, each in others.items()},
        }


def test_the_hub_does_what_each_case_says(account: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    # A case begins with whichever month it names.
    monkeypatch.setattr(service, "_check_turn", lambda *_: None)
    for case in CASES:
        account.forget()
        account.now = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
        told = Told(account)
        for event, *values in case["events"]:
            with suppress(Problem):  # refused: it is not the time for it
                getattr(told, event)(*values)
        expected, found = case["expect"], told.found()
        months = {month: sorted(each) for month, each in expected["months"].items()}
        assert found["months"] == months, case["name"]
        assert found["held"] == sorted(expected["held"]), case["name"]
        assert found["free"] == sorted(expected["free"]), case["name"]
