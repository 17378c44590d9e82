"""A hub with operators, members and visits written as the visits' own room writes them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from charter import model_sources
from federation.charters import service as charters
from federation.db import db
from federation.nodes.models import Node
from federation.statements import disputes
from federation.statements import service as statements
from federation.statements.models import Dispute, Statement, StatementDocument, StatementLine
from federation.visits import changes as visits
from federation.visits import ledger
from federation.visits.models import HalfDayLine, Member, Visit
from shared.store.db import begin_write

PARIS = ZoneInfo("Europe/Paris")
NODES = ("cordee", "filature", "troquet")


def at(day: date, hour: float) -> datetime:
    return datetime.combine(day, time(), PARIS) + timedelta(hours=hour)


@dataclass
class Ledger:
    """One hub's account; ``now`` is what time it is."""

    app: Flask
    now: datetime = datetime(2026, 10, 1, 8, tzinfo=UTC)
    members: list[tuple[int, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def session(self) -> Iterator[Session]:
        with self.app.app_context():
            yield db.session()

    def found(self) -> None:
        """Put the model charter in force, with three operators and two members of each."""
        with self.session() as session:
            charter = charters.adopt_first(session, self.now, model_sources())
            assert charter.version == "1"
            begin_write(session)
            for name in NODES:
                node = Node(id=name, name=name, url=f"http://{name}.example", plans={})
                node.enrolled_at = node.last_seen_at = self.now
                session.add(node)
            session.flush()
            for name, number in itertools.product(NODES, range(2)):
                member = Member(node_id=name, reference=f"{name}-{number}", member_since=None)
                session.add(member)
                session.flush()
                self.members.append((member.id, name))
            session.commit()

    def forget(self) -> None:
        """Take every visit, and the months with them, away."""
        tables = (StatementDocument, StatementLine, Dispute, Statement, HalfDayLine, Visit)
        with self.session() as session:
            begin_write(session)
            for table in tables:
                if table is HalfDayLine:
                    reversals = HalfDayLine.reverses_id.is_not(None)
                    session.execute(delete(HalfDayLine).where(reversals))
                session.execute(delete(table))
            session.commit()

    def visit(self, member: int, host: str, day: date, starts: float, ends: float) -> str:
        """Write a visit between two hours of a day, of which it is the house's own; return its id.

        Houses are open until two in the morning.
        """
        member_id, home = self.members[member]
        with self.session() as session:
            begin_write(session)
            session.get_one(Member, member_id, with_for_update=True)
            start, end, number = at(day, starts), at(day, ends), next(self.numbers)
            row = Visit(
                id=hashlib.sha256(str(number).encode()).hexdigest()[:26],
                member_id=member_id,
                home_id=home,
                host_id=host,
                space_id=host,
                pass_id="p",
                plan="resident",
                proof=f"{number:064}",
                state="open",
                online=True,
                timezone=PARIS.key,
                started_at=start,
                shown_at=start,
                left_at=end,
                day=day,
                hours=[[at(day, 8).isoformat(), at(day, 26).isoformat()]],
                closes_at=at(day, 26),
                charter="1",
                facts={},
                decision={},
                flags=[],
                evidence={},
                recorded_at=self.now,
                changed_at=self.now,
            )
            person = ledger.person(session, member_id, start)
            ends_others = any(each.started_at == row.started_at for each in person.visits.values())
            if not ends_others:
                values = {c.key: getattr(row, c.key) for c in Visit.__table__.columns}
                values |= {"disputed": False, "upheld": False}
                self._settle(session, person, values)
            session.commit()
            return "" if ends_others else row.id

    def _settle(self, session: Session, person: Any, values: dict[str, Any]) -> None:
        from types import SimpleNamespace

        person.settle(charters.split(session), self.now, SimpleNamespace(**values))

    def undo(self, visit_id: str, words: str = "a mistake") -> None:
        """Let the host undo a visit."""
        with self.session() as session:
            begin_write(session)
            visit = visits.lock_visit(session, visit_id)
            if visit.state != "void":
                visits.undo(session, visit, words, self.now)
            session.commit()

    def dispute(self, visit_id: str, side: str, month: str) -> int:
        """Let a visit's ``home`` or ``host`` contest it. Raises Problem."""
        with self.session() as session:
            visit = session.get_one(Visit, visit_id)
            node_id = visit.home_id if side == "home" else visit.host_id
            return disputes.dispute(session, self.now, month, node_id, visit_id, "no")[0].id

    def settle(self, number: int, outcome: str) -> None:
        with self.session() as session:
            disputes.settle(session, self.now, number, outcome, "looked at", "test")

    def issue(self, month: str) -> None:
        with self.session() as session:
            statements.issue(session, self.now, month, "test")

    def final(self, month: str) -> None:
        with self.session() as session:
            statements.finalise(session, self.now, month, "test")

    def lines(self, visit_id: str | None = None) -> list[tuple[int, str | None, str]]:
        """Return of each line of the network what it counts, its month, and where it stands."""
        query = (
            select(HalfDayLine.quantity, StatementLine.month, StatementLine.state)
            .outerjoin(StatementLine, StatementLine.line_id == HalfDayLine.id)
            .where(HalfDayLine.home_id != HalfDayLine.host_id)
            .order_by(HalfDayLine.id)
        )
        if visit_id is not None:
            query = query.where(HalfDayLine.visit_id == visit_id)
        with self.session() as session:
            return [(q, month, state or "free") for q, month, state in session.execute(query)]


Maker = Callable[[], Ledger]
