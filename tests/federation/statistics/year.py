"""A year of visits, written straight into the hub's tables: what a test of sums needs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import insert, literal, select
from sqlalchemy.orm import Session

from federation.nodes.models import Node
from federation.spaces.models import Space
from federation.visits.models import HalfDayLine, Member, Refusal, Visit
from shared.store.db import begin_write
from shared.wire.spaces import SpaceSchema

WEEK = {day: [["09:00", "18:00"]] for day in ("mo", "tu", "we", "th", "fr")}
REVERSED = ("id", "quantity", "reverses_id")  # what a reversal does not have as its line has it
ENROLLED = datetime(2025, 12, 1, tzinfo=UTC)


def add_nodes(session: Session, names: Iterable[tuple[str, str, str]], guests: int = 4) -> None:
    """Add nodes with a space each: id, name, town."""
    begin_write(session)
    for id_, name, town in names:
        node = {
            "id": id_,
            "name": name,
            "url": f"https://{id_}.example",
            "plans": {},
            "enrolled_at": ENROLLED,
            "last_seen_at": ENROLLED,
        }
        session.execute(insert(Node), node)
        told = {"id": id_, "name": name, "address": {"town": town}, "week": WEEK}
        document = SpaceSchema().load({**told, "guest_cap": guests})
        space = {
            "id": id_,
            "node_id": id_,
            "name": name,
            "town": town,
            "document": document,
            "published_at": ENROLLED,
        }
        session.execute(insert(Space), space)
    session.commit()


class Year:
    """Writes visits of numbered people."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._members: dict[tuple[str, int], int] = {}
        self._visits: list[dict[str, Any]] = []
        self._lines: list[dict[str, Any]] = []

    def _member(self, home: str, person: int) -> int:
        key = home, person
        if key not in self._members:
            begin_write(self._session)
            row = Member(node_id=home, reference=f"p{person}", member_since=date(2025, 1, 1))
            self._session.add(row)
            self._session.commit()
            self._members[key] = row.id
        return self._members[key]

    def visit(
        self,
        home: str,
        person: int,
        host: str,
        day: date,
        halves: str = "am",
        *,
        void: bool = False,
    ) -> None:
        """Note one visit with its half-days (``am``, ``pm`` or ``am pm``); ``void``: undone."""
        at, member = datetime.combine(day, time(9), UTC), self._member(home, person)
        id_ = f"{len(self._visits):026x}"
        common = {"member_id": member, "home_id": home, "host_id": host, "space_id": host}
        self._visits.append(
            {
                **common,
                "id": id_,
                "pass_id": "p",
                "plan": "resident",
                "proof": id_,
                "state": "void" if void else "closed",
                "online": True,
                "timezone": "Europe/Paris",
                "started_at": at,
                "shown_at": at,
                "left_at": at,
                "ended_at": at,
                "day": day,
                "closes_at": at,
                "charter": "1",
                "facts": {},
                "decision": {},
                "flags": [],
                "evidence": {},
                "recorded_at": at,
                "changed_at": at,
            }
        )
        self._lines += [
            {
                **common,
                "visit_id": id_,
                "month": f"{day:%Y-%m}",
                "day": day,
                "half": half,
                "quantity": 1,
                "occurrence": 0,
                "recorded_at": at,
            }
            for half in halves.split()
        ]

    def write(self) -> None:
        begin_write(self._session)
        before = self._session.scalar(select(Visit.id).limit(1)) is not None
        assert not before, "a year is written once"
        self._session.execute(insert(Visit), self._visits)
        self._session.execute(insert(HalfDayLine), self._lines)
        names = [c.key for c in HalfDayLine.__table__.columns if c.key not in REVERSED]
        undone = select(Visit.id).where(Visit.state == "void")
        reversals = select(
            *(getattr(HalfDayLine, name) for name in names), literal(-1), HalfDayLine.id
        ).where(HalfDayLine.visit_id.in_(undone))
        columns = [*names, "quantity", "reverses_id"]
        self._session.execute(insert(HalfDayLine).from_select(columns, reversals))
        self._session.commit()

    def refuse(self, host: str, day: date, *codes: str, times: int = 1) -> None:
        begin_write(self._session)
        row = {
            "at": datetime.combine(day, time(9), UTC),
            "host_id": host,
            "space_id": host,
            "home_id": None,
            "codes": list(codes),
        }
        self._session.execute(insert(Refusal), [row] * times)
        self._session.commit()
