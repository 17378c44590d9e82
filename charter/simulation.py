"""What another charter would have changed: recorded visits decided again. Pure.

Facts are as recorded, save for the counts that depend on other visits: those are corrected by
the difference that the simulation itself has made so far. So the charter in force, replayed,
gives exactly what is recorded, even where facts came from visits that are not replayed. Two
things cannot be known and stay as they were: visits that were refused then, and where a person
would have gone, or how long the person would have stayed, had they been refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from charter.decision import Decision, Reason
from charter.engine import decide
from charter.facts import Facts
from charter.halfdays import HalfDay, half_days
from charter.hours import Opening
from charter.model import Charter

ALLOWED, FLAGGED, REFUSED = "allowed", "flagged", "refused"
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A visit as the hub recorded it, and the version and facts that it was decided on.

    ``member`` is any name that is one for each person. Instants are aware; ``ended_at`` is None
    while the visit is open. ``day`` and ``openings`` are the house's, as published then. Visits
    that do not stand are left out.
    """

    id: str
    home: str
    host: str
    space: str
    member: str
    plan: str
    facts: Facts
    started_at: datetime
    ended_at: datetime | None
    online: bool
    charter: str
    day: date
    openings: tuple[Opening, ...] | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a charter says: ``allowed``, ``refused``, or ``flagged``: counted, with reasons against.

    Only a visit that a door admitted offline is flagged. ``half_days`` are those that this
    visit adds to the account: what an earlier one counted is not counted again.
    """

    outcome: str
    half_days: tuple[HalfDay, ...]
    reasons: tuple[Reason, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(reason.code for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Replayed:
    visit: Recorded
    before: Verdict
    after: Verdict

    @property
    def changed(self) -> bool:
        """Tell whether the codes against it, and so the outcome, or its half-days are others."""
        before, after = self.before, self.after
        if len(before.half_days) != len(after.half_days):
            return True
        # Reasons that are equal, as none and none mostly are, need not be looked into.
        return before.reasons != after.reasons and before.codes != after.codes

    @property
    def causes(self) -> tuple[tuple[str, int], ...]:
        """Return the reasons, as codes with their articles, that one of both has and not the other.

        None where half-days alone are others: a half-day begins elsewhere, or an earlier visit
        that counted it is refused.
        """
        reasons = (*self.before.reasons, *self.after.reasons)
        before, after = self.before.codes, self.after.codes
        return tuple(
            (r.code, r.article) for r in reasons if (r.code in before) != (r.code in after)
        )


def replay(
    charter: Charter, visits: Iterable[Recorded], versions: Mapping[str, Charter]
) -> Iterator[Replayed]:
    """Decide visits again, in the order given, one by one so that progress can be shown.

    ``visits`` are ordered by start, and begin where a local day does (in practice a month): a
    half-day that an earlier visit counted would be counted again. ``versions`` holds every
    charter that they were decided under. Whoever had signed the version of the time is
    taken to have signed the simulated one. A visit that an offline door admitted always counts
    (article on outages). Raises KeyError for a version that is missing, ValueError for a
    visit out of order.
    """
    replayer = _Replayer(charter, versions)
    latest = datetime.min.replace(tzinfo=UTC)
    for visit in visits:
        started = visit.started_at.astimezone(UTC)
        if started < latest:
            raise ValueError(f"visit {visit.id} starts before the one given before it")
        latest = started
        yield replayer.replay(visit)


class _Counted:
    """Half-days counted so far: once for each member, operator and half-day, as the hub counts."""

    def __init__(self) -> None:
        self._held: defaultdict[tuple[str, str], set[HalfDay]] = defaultdict(set)

    def add(self, visit: Recorded, touched: Iterable[HalfDay]) -> tuple[HalfDay, ...]:
        """Count what is not counted yet, and return it."""
        held = self._held[visit.member, visit.host]
        added = tuple(half_day for half_day in touched if half_day not in held)
        held.update(added)
        return added

    def holds(self, visit: Recorded, half_day: HalfDay) -> bool:
        return half_day in self._held[visit.member, visit.host]


class _Absent:
    """Who was there when a later visit was decided, and was not in the simulation."""

    def __init__(self) -> None:
        self._by_space: dict[str, list[tuple[datetime, Recorded]]] = {}

    def add(self, visit: Recorded) -> None:
        ended = visit.ended_at.astimezone(UTC) if visit.ended_at else _NEVER
        self._by_space.setdefault(visit.space, []).append((ended, visit))

    def at(self, visit: Recorded) -> tuple[int, int]:
        """Return how many guests, and how many people, are to be taken off.

        A door does not count the person it decides on, so nobody is taken off.
        """
        absent = self._by_space.get(visit.space)
        if not absent:
            return 0, 0
        started = visit.started_at.astimezone(UTC)
        self._by_space[visit.space] = absent = [each for each in absent if each[0] > started]
        others = [other for _, other in absent if other.member != visit.member]
        return sum(other.home != other.host for other in others), len(others)


class _Replayer:
    def __init__(self, charter: Charter, versions: Mapping[str, Charter]) -> None:
        self._charter = charter
        self._versions = versions
        self._stand_ins: dict[str, Charter] = {}
        self._recorded, self._simulated = _Counted(), _Counted()
        # Member and month → by space, half-days in the simulation minus those recorded.
        self._difference: defaultdict[tuple[str, int, int], Counter[str]] = defaultdict(Counter)
        self._absent = _Absent()

    def replay(self, visit: Recorded) -> Replayed:
        past = self._versions[visit.charter]
        then, now = past.rules.opening_hours.split, self._charter.rules.opening_hours.split
        touched_then = _touched(visit, then)
        touched_now = touched_then if now == then else _touched(visit, now)
        facts = self._corrected(visit, touched_then[0], touched_now[0])
        decision = decide(self._stand_in(visit.charter), facts, visit.started_at)
        refused = visit.online and not decision.allowed
        added_then = self._recorded.add(visit, touched_then)
        added_now = () if refused else self._simulated.add(visit, touched_now)
        if refused:
            self._absent.add(visit)
        if added_then != added_now:
            self._note(visit, added_then, -1)
            self._note(visit, added_now, 1)
        after = Verdict(REFUSED, (), decision.reasons) if refused else _counts(decision, added_now)
        return Replayed(visit, self._before(visit, past, added_then), after)

    def _note(self, visit: Recorded, added: Iterable[HalfDay], sign: int) -> None:
        for half_day in added:
            month = visit.member, half_day.day.year, half_day.day.month
            self._difference[month][visit.space] += sign

    def _before(self, visit: Recorded, past: Charter, counted: tuple[HalfDay, ...]) -> Verdict:
        """An online visit was allowed, or it would not be recorded; an offline one is flagged."""
        if visit.online:
            return Verdict(ALLOWED, counted, ())
        return _counts(decide(past, visit.facts, visit.started_at), counted)

    def _stand_in(self, version: str) -> Charter:
        """Return the simulated charter under the name of the version that was signed then."""
        if version not in self._stand_ins:
            self._stand_ins[version] = replace(self._charter, version=version)
        return self._stand_ins[version]

    def _corrected(self, visit: Recorded, then: HalfDay, now: HalfDay) -> Facts:
        """Return the facts as they would be; ``then`` and ``now`` is the half-day of the start."""
        facts, changes = visit.facts, dict[str, Any]()
        difference = self._difference.get((visit.member, then.day.year, then.day.month))
        if difference and facts.used_host is not None:
            changes["used_host"] = max(0, facts.used_host + difference[visit.space])
        if difference and facts.used_network is not None:
            changes["used_network"] = max(0, facts.used_network + sum(difference.values()))
        already = self._simulated.holds(visit, now)
        if already != self._recorded.holds(visit, then):
            changes["counted_already"] = already
        guests, people = self._absent.at(visit)
        if people:
            changes["guests_present"] = max(0, facts.guests_present - guests)
            changes["people_present"] = max(0, facts.people_present - people)
        return _with(facts, changes) if changes else facts


_FIELDS = tuple(each.name for each in fields(Facts))
_values = attrgetter(*_FIELDS)


def _with(facts: Facts, changes: Mapping[str, Any]) -> Facts:
    """Do what ``dataclasses.replace`` does, in a third of the time."""
    return Facts(**{**dict(zip(_FIELDS, _values(facts), strict=True)), **changes})


def _counts(decision: Decision, counted: tuple[HalfDay, ...]) -> Verdict:
    return Verdict(ALLOWED if decision.allowed else FLAGGED, counted, decision.reasons)


def _touched(visit: Recorded, split: time) -> tuple[HalfDay, ...]:
    zone = ZoneInfo(visit.facts.timezone)
    return half_days(visit.started_at, visit.ended_at, visit.day, visit.openings, zone, split)
