"""For random facts told in random orders, the ledger says what the visits touched; never more.

The oracle is written anew here, minute by minute: it shares nothing with the code it judges.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Facts
from federation.db import db
from federation.nodes.models import NodeKey
from federation.spaces.models import Space, SpaceHours
from federation.visits import changes, passes, service, showings
from federation.visits.models import HalfDayLine, Pass, Visit
from shared.base.clock import Clock
from shared.crypto.passes import Evidence
from shared.store.db import begin_write
from shared.wire.problems import Problem
from shared.wire.reports import Report, visit_id
from tests.network import Network

pytestmark = pytest.mark.both_databases

PARIS = ZoneInfo("Europe/Paris")
# Tuesday to Thursday, and told by the Saturday after.
FIRST, LATER = datetime(2026, 11, 24, tzinfo=PARIS), datetime(2026, 11, 28, 12, tzinfo=UTC)
# Space → operator and opening times in minutes of the day; past 1440 is the next day's night.
DAY = [(540, 1140)]
LUNCH = [(480, 720), (840, 1080)]
NIGHT = [(600, 780), (1080, 1560)]
SPACES: dict[str, tuple[str, list[tuple[int, int]] | None]] = {
    "troquet": ("troquet", DAY),
    "troquet-lunch": ("troquet", LUNCH),
    "filature": ("filature", DAY),
    "filature-bar": ("filature", NIGHT),
    "filature-unknown": ("filature", None),
}
EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Fact:
    """One visit as it was: minutes are counted from the first midnight."""

    space: str
    begins: float
    left: int | None
    undone: bool
    showing: str


def minute(number: float) -> datetime:
    return FIRST.astimezone(UTC) + timedelta(minutes=number)


@st.composite
def facts(draw: st.DrawFn) -> list[Fact]:
    starts = draw(st.lists(st.integers(400, 4200), min_size=1, max_size=6, unique=True))
    return [
        Fact(
            space=draw(st.sampled_from(sorted(SPACES))),
            begins=begins,
            left=draw(st.none() | st.integers(begins, begins + 1500)),
            undone=draw(st.booleans()) and draw(st.booleans()),
            showing=secrets.token_hex(32),
        )
        for begins in starts
    ]


# The oracle


def opening_minutes(space: str, begins: float) -> tuple[int, set[int] | None]:
    """Return the day (0, 1, …) that an arrival belongs to, and the open minutes of that day."""
    hours = SPACES[space][1]
    day = begins // 1440
    if hours is None:
        return day, None
    for each in (day - 1, day):
        opened = {each * 1440 + m for start, end in hours for m in range(start, end)}
        if begins in opened:
            return each, opened
    return day, set()


def touched(fact: Fact, following: int | None) -> set[tuple[str, int, str]]:
    """Return what a visit touches: (operator, day, half)."""
    day, opened = opening_minutes(fact.space, fact.begins)
    end = (day + 1) * 1440 if opened is None else max(opened) + 1 if opened else fact.begins
    for told in (fact.left, following):
        end = end if told is None else min(end, told)
    there = {fact.begins, *range(fact.begins, end)}
    if opened is not None:
        there = {fact.begins, *(there & opened)}
    operator, noon = SPACES[fact.space][0], day * 1440 + 780
    return {(operator, day, "am" if each < noon else "pm") for each in there}


def expected(told: Sequence[Fact]) -> Counter[tuple[str, int, str]]:
    in_order = sorted(told, key=lambda fact: fact.begins)
    found: set[tuple[str, int, str]] = set()
    for fact, following in zip_longest(in_order, in_order[1:]):
        begins = None if following is None else following.begins
        found |= set() if fact.undone else touched(fact, begins)
    return Counter(dict.fromkeys(found, 1))


# The hub


@pytest.fixture
def hub(lasting_network: Network) -> Iterator[Network]:
    with lasting_network.hub.app.app_context():
        session = db.session()
        begin_write(session)
        for space_id, (operator, hours) in SPACES.items():
            if session.get(Space, space_id) is None:
                like = session.get_one(Space, operator)
                values = {c.name: getattr(like, c.name) for c in Space.__table__.columns}
                session.add(Space(**{**values, "id": space_id}))
                session.flush()
            session.query(SpaceHours).filter_by(space_id=space_id).delete()
            since = datetime(2026, 10, 1, tzinfo=UTC)
            session.add(SpaceHours(space_id=space_id, since=since, document=_document(hours)))
        session.commit()
        yield lasting_network


def _document(hours: list[tuple[int, int]] | None) -> dict[str, Any]:
    times = [[_clock(start), _clock(end)] for start, end in hours or []]
    week = dict.fromkeys(("mo", "tu", "we", "th", "fr", "sa", "su"), times) if hours else {}
    return {"timezone": "Europe/Paris", "week": week}


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


class Teller:
    """Tells of one person's visits as hosts do."""

    def __init__(self, session: Session, now: datetime = LATER, *, announced: bool = True) -> None:
        self.session, self.clock = session, Clock(still=now)
        self.pass_id = secrets.token_urlsafe(12)
        keys = session.execute(select(NodeKey.node_id, NodeKey.kid)).all()
        self.kids = {row.node_id: row.kid for row in keys}
        session.rollback()
        self.reference = f"person-{self.pass_id}"
        if announced:
            word = passes.PassUpdate(self.reference, date(2026, 1, 1), "valid")
            passes.register_pass(session, now, "cordee", self.pass_id, word)

    def tell(self, fact: Fact, *, live: bool = False, with_end: bool = False) -> service.Outcome:
        at, operator = minute(fact.begins), SPACES[fact.space][0]
        ended = minute(fact.left) if with_end and fact.left is not None else None
        decision = {"outcome": "allowed", "reasons": [], "charter": "1", "terms": {}}
        report = Report(
            host=operator,
            kid=self.kids[operator],
            audience="",
            space=fact.space,
            shown="shown",
            at=at,
            online=live,
            facts=Facts(
                host=operator, space=fact.space, online=live, guest_cap=100, hours_known=False
            ),
            ended_at=ended,
            decision=None if live else decision,
        )
        evidence = Evidence(
            (),
            fact.showing,
            issuer="cordee",
            kid=self.kids["cordee"],
            pass_id=self.pass_id,
            plan="resident",
            shown_at=at,
            claims={"sub": self.pass_id},
        )
        return service.record(self.session, self.clock, service.Told(report, evidence, "token"))

    def check_out(self, fact: Fact) -> None:
        assert fact.left is not None
        self._change(changes.check_out, fact, minute(fact.left))

    def void(self, fact: Fact) -> None:
        self._change(changes.void, fact, "a mistake", minute(fact.begins + 5))

    def _change(self, change: Any, fact: Fact, *values: Any) -> None:
        operator = SPACES[fact.space][0]
        number = visit_id(fact.showing, fact.space)
        change(self.session, self.clock, operator, number, *values)

    @property
    def member_id(self) -> int:
        found: int = self.session.get_one(Pass, ("cordee", self.pass_id)).member_id
        return found

    def ledger(self) -> Counter[tuple[str, int, str]]:
        """Return the sums of all lines; a half-day that sums to nothing is left out."""
        found: Counter[tuple[str, int, str]] = Counter()
        query = select(HalfDayLine).where(HalfDayLine.member_id == self.member_id)
        for line in self.session.scalars(query):
            key = line.host_id, (line.day - FIRST.date()).days, line.half
            found[key] += line.quantity
        self.session.rollback()
        return Counter({key: count for key, count in found.items() if count})

    def close(self) -> None:
        while changes.close_due(self.session, LATER + timedelta(days=3)):
            pass


def changes_of(fact: Fact) -> list[tuple[str, Fact]]:
    steps = [("tell", fact)]
    if fact.left is not None:
        steps.append(("check_out", fact))
    return [*steps, *([("void", fact)] if fact.undone else [])]


@EXAMPLES
@given(told=facts(), data=st.data())
def test_the_same_facts_in_any_order_count_the_same(
    hub: Network, told: list[Fact], data: st.DataObject
) -> None:
    """Invariants 2, 3 and 6: of each host's messages alone the order is kept."""
    sums = []
    for _ in range(2):
        # Two people, with the same visits: each by showings of their own.
        of_person = [Fact(f.space, f.begins, f.left, f.undone, secrets.token_hex(32)) for f in told]
        teller = Teller(db.session())
        queues = [changes_of(fact) for fact in of_person]
        order = data.draw(st.permutations([n for n, q in enumerate(queues) for _ in q]))
        for number in order:
            change, fact = queues[number].pop(0)
            getattr(teller, change)(fact)
            check_person(teller)
        teller.close()
        check_person(teller)
        sums.append(teller.ledger())
    assert sums[0] == sums[1] == expected(told)


@EXAMPLES
@given(told=facts(), data=st.data())
def test_what_happens_at_the_door_and_what_is_told_late_never_counts_twice(
    hub: Network, told: list[Fact], data: st.DataObject
) -> None:
    """Invariants 2 and 3, after every transaction, with hosts that are cut off now and then."""
    teller = Teller(db.session())
    events = []
    for fact in told:
        delay = data.draw(st.sampled_from([0, 0, 30, 300, 1500]))
        events.append((fact.begins + delay, "tell", fact, delay))
        if fact.left is not None:
            events.append((max(fact.left, fact.begins) + delay, "check_out", fact, delay))
        if fact.undone:
            events.append((fact.begins + delay + 10, "void", fact, delay))
    refused = set()
    for at, change, fact, delay in sorted(events, key=lambda event: event[0]):
        teller.clock = Clock(still=minute(at))
        if change == "tell":
            outcome = teller.tell(fact, live=not delay)
            if outcome.kind != "recorded":
                refused.add(fact)
        elif fact not in refused:
            getattr(teller, change)(fact)
        check_person(teller)
    teller.close()
    check_person(teller)


def check_person(teller: Teller) -> None:
    """What stands does not overlap, and each half-day that it touches is counted once."""
    session = teller.session
    query = select(Visit).where(Visit.member_id == teller.member_id, Visit.held.is_(None))
    standing = [v for v in session.scalars(query) if v.state != "void"]
    standing.sort(key=lambda visit: (visit.started_at, visit.shown_at, visit.id))
    found: set[tuple[str, int, str]] = set()
    for visit, following in zip_longest(standing, standing[1:]):
        if following is not None:
            assert visit.ended_at is not None
            assert visit.ended_at <= following.started_at
        found |= _touches(visit)
    session.rollback()
    assert teller.ledger() == Counter(dict.fromkeys(found, 1))


def _touches(visit: Visit) -> set[tuple[str, int, str]]:
    begins = round((visit.started_at - minute(0)) / timedelta(minutes=1))
    if visit.ended_at is None:
        day, _ = opening_minutes(visit.space_id, begins)
        half = "am" if begins < day * 1440 + 780 else "pm"
        return {(visit.host_id, day, half)}
    ends = round((visit.ended_at - minute(0)) / timedelta(minutes=1))
    return touched(Fact(visit.space_id, begins, ends, False, ""), None)


@EXAMPLES
@given(
    told=st.lists(
        st.tuples(st.sampled_from(["troquet", "filature", "troquet-lunch"]), st.integers(-90, 90)),
        min_size=2,
        max_size=5,
        unique_by=lambda each: each[0],
    ),
    data=st.data(),
)
def test_one_showing_is_one_visit_whoever_tells_first(
    hub: Network, told: list[tuple[str, int]], data: st.DataObject
) -> None:
    counts = []
    for _ in range(2):
        showing, teller = secrets.token_hex(32), Teller(db.session())
        for number in data.draw(st.permutations(range(len(told)))):
            space, seconds = told[number]
            at = FIRST + timedelta(hours=10, seconds=seconds)
            _tell_at(teller, space, showing, at)
        query = select(Visit.space_id).where(Visit.proof == showing, Visit.held.is_(None))
        counts.append(sorted(teller.session.scalars(query)))
        teller.session.rollback()
    assert counts[0] == counts[1]
    assert len(counts[0]) == 1
    told_of = {space: (seconds, SPACES[space][0]) for space, seconds in told}
    assert told_of[counts[0][0]] == min(told_of.values())


@pytest.mark.parametrize("first", ["seen", "visit"])
def test_a_hash_alone_keeps_a_code_from_being_told_and_undoes_no_visit(
    hub: Network, first: str
) -> None:
    """Who has seen a code knows its hash: it proves nothing, and must take nothing back."""
    teller, showing = Teller(db.session()), secrets.token_hex(32)
    at = FIRST + timedelta(hours=10)

    def seen() -> None:
        earlier = at - timedelta(seconds=60)
        showings.tell(teller.session, LATER, "filature", showing, "filature", earlier)

    if first == "seen":
        seen()
    _tell_at(teller, "troquet", showing, at)
    if first == "visit":
        seen()
    visit = teller.session.get_one(Visit, visit_id(showing, "troquet"))
    assert visit.held == ("pass_replayed" if first == "seen" else None)
    assert ("shown_elsewhere" in visit.flags) == (first == "visit")


def _tell_at(teller: Teller, space: str, showing: str, at: datetime) -> None:
    fact = Fact(space, (at - FIRST) / timedelta(minutes=1), None, False, showing)
    teller.tell(fact)


def test_nothing_of_it_is_left_undone(hub: Network) -> None:
    """A reversal names the line that it reverses, and no line is reversed twice."""
    session = db.session()
    lines = {line.id: line for line in session.scalars(select(HalfDayLine))}
    reversed_ids = [line.reverses_id for line in lines.values() if line.quantity < 0]
    assert len(reversed_ids) == len(set(reversed_ids))
    for line in lines.values():
        if line.reverses_id is not None:
            told = lines[line.reverses_id]
            same = ("visit_id", "member_id", "home_id", "host_id", "space_id", "day", "half")
            assert [getattr(told, name) for name in same] == [getattr(line, name) for name in same]


def test_a_problem_leaves_nothing_behind(hub: Network) -> None:
    teller = Teller(db.session())
    fact = Fact("troquet", 600, 660, False, secrets.token_hex(32))
    with pytest.raises(Problem):
        teller.check_out(fact)
    assert date(2026, 11, 24) == FIRST.date()
