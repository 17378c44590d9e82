"""What holds for any month, any history and any vote, and not for chosen examples alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from charter import (
    PLAN_CLASSES,
    Charter,
    Decision,
    Facts,
    decide,
    facts_from_json,
    facts_to_json,
    model_sources,
    read_charter,
)
from charter.effect import simulate
from charter.halfdays import HalfDay, half_day_at, half_days
from charter.rules import EligiblePlans, GuestCap, HalfDays, ReciprocityFloor, Rules, Seniority
from charter.settlement import Line, balances, compensation, transfers
from charter.simulation import Recorded, replay
from charter.voting import Ballot, Proposal, Standing, outcome
from tests.charter.test_facts import any_facts, any_instant

MODEL = read_charter("1", model_sources())
PARIS = ZoneInfo("Europe/Paris")


def often(examples: int) -> settings:
    return settings(deadline=None, derandomize=True, max_examples=examples)


# The month's account.

NODES = ["cordee", "locaux", "sceaux", "sevres", "troquet", "viry"]
months = st.lists(
    st.builds(Line, st.sampled_from(NODES), st.sampled_from(NODES), st.integers(-3, 60)),
    max_size=30,
)
balance_rules = st.builds(
    replace,
    st.just(MODEL.rules.balance),
    tolerance_half_days=st.integers(0, 30),
    rate_cents=st.integers(0, 2500),
)


@often(200)
@given(months, balance_rules)
def test_netting_conserves_every_cent_and_leaves_nobody_owing(
    lines: list[Line], balance: object
) -> None:
    half_days_due = balances(lines)
    cents = compensation(half_days_due, balance)  # type: ignore[arg-type]
    found = transfers(cents)
    assert sum(half_days_due.values()) == sum(cents.values()) == 0
    moved = dict.fromkeys(cents, 0)
    for transfer in found:
        assert transfer.amount > 0
        moved[transfer.payee] += transfer.amount
        moved[transfer.payer] -= transfer.amount
    assert moved == cents
    owing = [node for node, amount in cents.items() if amount]
    assert len(found) <= max(0, len(owing) - 1)


# A decision.


def told(decision: Decision) -> dict[str, object]:
    """A decision without the order of services, which is the host's own."""
    document = decision.to_json("fr")
    document["terms"]["services"] = sorted(document["terms"]["services"])
    return document


@often(200)
@given(any_facts(), any_instant(), st.data())
def test_a_decision_never_depends_on_the_order_in_which_facts_are_given(
    facts: Facts, now: datetime, data: st.DataObject
) -> None:
    names = data.draw(st.permutations(list(facts_to_json(facts))))
    shuffled = {name: facts_to_json(facts)[name] for name in names}
    for name in ("faults", "services"):
        if name in shuffled:
            shuffled[name] = data.draw(st.permutations(shuffled[name]))
    if facts.faults:
        shuffled["faults"] = [*shuffled["faults"], shuffled["faults"][0]]  # found twice
    again = decide(MODEL, facts_from_json(json.loads(json.dumps(shuffled))), now)
    assert told(again) == told(decide(MODEL, facts, now))


@often(200)
@given(any_facts(), any_instant())
def test_a_decision_never_depends_on_the_order_in_which_a_charter_is_written(
    facts: Facts, now: datetime
) -> None:
    tables = MODEL.sources["rules.toml"].split("\n\n")
    other = read_charter("1", {**MODEL.sources, "rules.toml": "\n\n".join(reversed(tables))})
    assert decide(other, facts, now) == decide(MODEL, facts, now)


# Histories: visits made by deciding one after the other, with a ledger of this file's own.

SPACES = {"troquet-bar": "troquet", "troquet-cour": "troquet", "sceaux": "sceaux"}
HOMES = {"ada": "cordee", "bob": "viry", "cem": "sceaux", "dov": "cordee"}
FIRST = datetime(2026, 6, 29, 8, tzinfo=PARIS).astimezone(UTC)  # so that a month ends within


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody at a door. ``told_after`` is how long an offline door took to say so."""

    number: int
    member: str
    space: str
    plan: str
    start: datetime
    end: datetime | None
    online: bool
    told_after: timedelta


@st.composite
def arrivals(draw: st.DrawFn, told_late: bool = True) -> list[Arrival]:
    """People come to several spaces; each is in one place at a time, and the last may stay on."""
    found: list[Arrival] = []
    start = FIRST
    for number in range(draw(st.integers(1, 14))):
        start += timedelta(minutes=draw(st.sampled_from([0, 5, 20, 60, 300, 900])) + 1)
        online = draw(st.sampled_from([True, True, True, False]))
        lateness = draw(st.sampled_from([0, 0, 4, 30])) if told_late and not online else 0
        stays = draw(st.sampled_from([0, 60, 200, 400, 400]))
        found.append(
            Arrival(
                number,
                draw(st.sampled_from(sorted(HOMES))),
                draw(st.sampled_from([*SPACES, "troquet-bar"])),
                draw(st.sampled_from(["resident", "nomad", "nomad", "ticket"])),
                start,
                start + timedelta(minutes=stays),
                online,
                timedelta(hours=lateness),
            )
        )
    return [_ended(arrival, found) for arrival in found]


def _ended(arrival: Arrival, all_: list[Arrival]) -> Arrival:
    """They leave when they show up again; the last visit of all is still open."""
    following = [each.start for each in all_[arrival.number + 1 :] if each.member == arrival.member]
    if not following and arrival.number == len(all_) - 1:
        return replace(arrival, end=None)
    return replace(arrival, end=min([arrival.end or arrival.start, *following]))


class Hub:
    """A hub of a few lines, which counts from nothing what the simulation corrects."""

    def __init__(self, charter: Charter, counted_before: int = 0) -> None:
        self.charter = charter
        self.counted_before = counted_before
        # Once for each person, operator and half-day: the visit that carries it, and its space.
        self.lines: dict[tuple[str, str, HalfDay], tuple[int, str]] = {}
        self.recorded: list[Recorded] = []

    def take(self, coming: Iterable[Arrival]) -> list[Recorded]:
        for arrival in sorted(coming, key=lambda each: each.start + each.told_after):
            self._take(arrival)
        self.recorded.sort(key=lambda visit: visit.started_at)
        return self.recorded

    def _take(self, arrival: Arrival) -> None:
        facts = self._facts(arrival)
        if arrival.online and not decide(self.charter, facts, arrival.start).allowed:
            return
        until = arrival.end or arrival.start
        split = self.charter.rules.opening_hours.split
        day = arrival.start.astimezone(PARIS).date()
        for half_day in half_days(arrival.start, until, day, None, PARIS, split):
            line = arrival.number, arrival.space
            self.lines.setdefault((arrival.member, SPACES[arrival.space], half_day), line)
        self.recorded.append(
            Recorded(
                id=str(arrival.number),
                home=HOMES[arrival.member],
                host=SPACES[arrival.space],
                space=arrival.space,
                member=arrival.member,
                plan=arrival.plan,
                facts=facts_from_json(json.loads(json.dumps(facts_to_json(facts)))),
                started_at=arrival.start,
                ended_at=arrival.end,
                online=arrival.online,
                charter=self.charter.version,
                day=day,
                openings=None,
            )
        )

    def _facts(self, arrival: Arrival) -> Facts:
        today = arrival.start.astimezone(PARIS).date()
        here = half_day_at(arrival.start, today, PARIS, self.charter.rules.opening_hours.split)
        of_person = {
            (host, half_day): space
            for (member, host, half_day), (_, space) in self.lines.items()
            if member == arrival.member and half_day.month == here.month
        }
        present = [
            visit
            for visit in self.recorded
            if visit.space == arrival.space
            and visit.member != arrival.member
            and visit.started_at <= arrival.start
            and (visit.ended_at is None or visit.ended_at > arrival.start)
        ]
        host, home = SPACES[arrival.space], HOMES[arrival.member]
        day = datetime.combine(today, time(), PARIS)
        return Facts(
            plan=arrival.plan,
            member_since=date(2026, 6, 10),
            home=home,
            home_state="connected",
            home_signed=self.charter.version,
            home_half_days=5 if arrival.plan == "nomad" else None,
            host=host,
            host_state="connected",
            host_signed=self.charter.version,
            space=arrival.space,
            opening=(day, day + timedelta(days=1)),
            guests_present=sum(visit.home != host for visit in present),
            guest_cap=1,
            people_present=len(present),
            capacity=2,
            used_host=self.counted_before + list(of_person.values()).count(arrival.space),
            used_network=self.counted_before + len(of_person),
            counted_already=(host, here) in of_person,
            online=arrival.online,
            trust_list_age=3600,
        )


@st.composite
def charters(draw: st.DrawFn, version: str) -> Charter:
    """Charters whose limits a dozen visits can reach."""
    split = time(draw(st.sampled_from([11, 12, 13, 15])))
    rules: Rules = replace(
        MODEL.rules,
        opening_hours=replace(MODEL.rules.opening_hours, split=split),
        half_days=draw(
            st.none() | st.builds(HalfDays, st.just(5), st.integers(0, 4), st.integers(0, 6))
        ),
        seniority=draw(st.none() | st.builds(Seniority, st.just(4), st.integers(15, 30))),
        guest_cap=draw(st.none() | st.builds(GuestCap, st.just(6), st.integers(1, 2))),
        reciprocity_floor=draw(st.none() | st.just(ReciprocityFloor(10))),
        eligible_plans=draw(
            st.none()
            | st.lists(st.sampled_from(PLAN_CLASSES), min_size=1).map(
                lambda classes: EligiblePlans(4, tuple(sorted(set(classes))))
            )
        ),
    )
    return replace(MODEL, version=version, rules=rules)


@often(200)
@given(charters("1"), arrivals(), st.integers(0, 3))
def test_the_charter_in_force_replayed_is_exactly_what_was_recorded(
    charter: Charter, coming: list[Arrival], counted_before: int
) -> None:
    hub = Hub(charter, counted_before)
    visits = hub.take(coming)
    found = simulate(charter, visits, charter)
    assert [each.visit for each in found.visits] == visits
    for each in found.visits:
        assert each.before == each.after
        assert each.after.outcome != "refused"
        assert bool(each.after.codes) == (each.after.outcome == "flagged")
    assert found.before == found.after
    counted = [
        (each.visit.member, each.visit.host, half_day)
        for each in found.visits
        for half_day in each.before.half_days
    ]
    assert sorted(counted) == sorted(hub.lines)


@often(150)
@given(charters("1"), arrivals(), st.integers(1, 3))
def test_the_charter_in_force_replayed_changes_nothing_where_earlier_days_are_left_out(
    charter: Charter, coming: list[Arrival], days: int
) -> None:
    midnight = datetime.combine(FIRST.date(), time(), PARIS) + timedelta(days=days)
    visits = [visit for visit in Hub(charter).take(coming) if visit.started_at >= midnight]
    assert all(each.before == each.after for each in replay(charter, visits, {"1": charter}))


@often(200)
@given(charters("1"), charters("2"), arrivals(told_late=False))
def test_a_simulation_says_what_the_hub_would_have_said_under_the_other_charter(
    charter: Charter, other: Charter, coming: list[Arrival]
) -> None:
    visits = Hub(charter).take(coming)
    admitted = {visit.id for visit in visits}
    hub = Hub(other)
    would_be = hub.take(each for each in coming if str(each.number) in admitted)
    found = list(replay(other, visits, {"1": charter}))
    assert [each.visit.id for each in found if each.after.outcome != "refused"] == [
        visit.id for visit in would_be
    ]
    facts = {visit.id: visit for visit in would_be}
    for each in found:
        if each.visit.id in facts:
            visit = facts[each.visit.id]
            decision = decide(other, visit.facts, visit.started_at)
            assert each.after.reasons == decision.reasons
        assert {
            (each.visit.member, each.visit.host, half_day) for half_day in each.after.half_days
        } == {key for key, (number, _) in hub.lines.items() if str(number) == each.visit.id}


@often(100)
@given(charters("1"), charters("2"), arrivals())
def test_totals_add_up_and_offline_visits_always_count(
    charter: Charter, other: Charter, coming: list[Arrival]
) -> None:
    found = simulate(other, Hub(charter).take(coming), charter)
    for groups in (found.totals.spaces, found.totals.homes, found.totals.plans):
        for field in ("visits_before", "visits_after", "half_days_before", "half_days_after"):
            added = sum(getattr(figures, field) for figures in groups.values())
            assert added == getattr(found.totals.network, field)
    for account in (found.before, found.after):
        assert sum(account.balances.values()) == sum(account.compensation.values()) == 0
    assert all(each.after.outcome != "refused" for each in found.visits if not each.visit.online)
    changed = [each.changed for each in found.visits]
    assert changed == sorted(changed, reverse=True)
    assert sum(changed) == found.totals.network.changed


# Votes.

ENTITLED = ("cordee", "sceaux", "troquet", "viry")
MEANWHILE = st.sampled_from([1, 60, 6 * 3600, 30 * 3600])


class Votes(RuleBasedStateMachine):
    """Votes, edits, suspensions and time in any order, beside a record of who holds what now.

    The record knows nothing of fingerprints of the past, of instants compared, or of fractions.
    ``away`` are out of the network now, ``absent`` as far as the vote under way is concerned.
    """

    @initialize(
        quorum=st.sampled_from([Fraction(1, 4), Fraction(1, 2), Fraction(1)]),
        majority=st.sampled_from([Fraction(1, 2), Fraction(2, 3), Fraction(1)]),
    )
    def propose(self, quorum: Fraction, majority: Fraction) -> None:
        self.rule = replace(MODEL.rules.vote, quorum=quorum, majority=majority, days=2)
        self.now = datetime(2026, 7, 7, 10, tzinfo=UTC)
        self.proposal = Proposal("a", self.now, self.rule, frozenset(ENTITLED))
        self.standings: list[Standing] = []
        self.away: set[str] = set()
        self.absent: set[str] = set()
        self.ballots: list[Ballot] = []
        self.left = 2 * 24 * 3600
        self.words: dict[str, str] = {}

    @rule(seconds=MEANWHILE)
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.left -= seconds

    @precondition(lambda self: self.left > 0)
    @rule()
    def wait_for_the_deadline(self) -> None:
        self.wait(self.left)

    @rule(
        node=st.sampled_from((*ENTITLED, *ENTITLED, "stranger")),
        choice=st.sampled_from(["yes", "yes", "yes", "no", "abstain", "maybe"]),
        reason=st.sampled_from(["Too dear.", "  "]),
        text=st.sampled_from([None, None, None, "a", "b"]),
    )
    def vote(self, node: str, choice: str, reason: str, text: str | None) -> None:
        text = text or self.proposal.fingerprint
        self.ballots.append(Ballot(node, choice, reason, self.now, text))
        says_why = choice in ("yes", "abstain") or (choice == "no" and reason.strip())
        on_this = text == self.proposal.fingerprint
        if says_why and on_this and self.left > 0 and node in self.proposal.electorate:
            self.words[node] = choice

    @rule(choices=st.lists(st.sampled_from(["yes", "yes", "no", "abstain"]), max_size=4))
    def meet(self, choices: list[str]) -> None:
        for node, choice in zip(ENTITLED, choices, strict=False):
            self.vote(node, choice, "Too dear.", None)

    @rule(node=st.sampled_from((*ENTITLED, "stranger")))
    def suspend_or_take_back(self, node: str) -> None:
        self.away ^= {node}
        self.standings.append(Standing(node, node in self.away, self.now))
        if self.left > 0:
            self.absent = set(self.away)

    @rule(text=st.sampled_from(["a", "b", "c"]))
    def edit(self, text: str) -> None:
        self.wait(1)
        if self.left > 0 and text != self.proposal.fingerprint:
            self.words, self.left, self.absent = {}, 2 * 24 * 3600, set(self.away)
            present = frozenset(ENTITLED) - self.away
            self.proposal = Proposal(text, self.now, self.rule, present)

    @invariant()
    def only_what_was_voted_in_that_very_form_is_adopted(self) -> None:
        said = [word for node, word in self.words.items() if node not in self.absent]
        yes, no = said.count("yes"), said.count("no")
        quorum, majority = self.rule.quorum, self.rule.majority
        agreed = yes > 0 and yes * majority.denominator >= (yes + no) * majority.numerator
        at_closing = ("adopted", None) if agreed else ("rejected", "no_majority")
        voters = len(self.proposal.electorate)
        if not voters or len(said) * quorum.denominator < voters * quorum.numerator:
            at_closing = ("rejected", "no_quorum")
        expected = {timedelta(0): ("open", None) if self.left > 0 else at_closing}
        # should nobody do anything more, counted at the deadline or much later
        for late in (max(self.left, 0), max(self.left, 0) + 1, 10**8):
            expected.setdefault(timedelta(seconds=late), at_closing)
        for later, result in expected.items():
            at = self.now + later
            found = outcome(self.proposal, self.ballots, self.standings, at)
            assert (found.state, found.reason) == result
            tally = found.tally
            assert (tally.yes, tally.no, tally.taking_part) == (yes, no, len(said))
            assert tally.suspended == len(self.words) - len(said)


def test_no_sequence_of_votes_edits_and_deadlines_adopts_what_was_not_voted_in_that_form() -> None:
    run_state_machine_as_test(Votes, settings=settings(often(150), stateful_step_count=25))  # type: ignore[no-untyped-call]
