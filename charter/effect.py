"""What a simulation adds up to: figures, causes, and the accounts before and after. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from charter.model import Charter
from charter.rules import Balance
from charter.settlement import Line, balances, compensation
from charter.simulation import REFUSED, Recorded, Replayed, replay

# The cause where half-days alone are others; its article is that on the opening hours.
HALF_DAYS = "half_days"
_TELL_EVERY = 500


@dataclass(slots=True)
class Figures:
    """Visits admitted and half-days counted, before and after; how many visits changed."""

    visits_before: int = 0
    visits_after: int = 0
    half_days_before: int = 0
    half_days_after: int = 0
    changed: int = 0

    def add(self, visits: tuple[int, int], half_days: tuple[int, int], changed: int = 0) -> None:
        self.visits_before += visits[0]
        self.visits_after += visits[1]
        self.half_days_before += half_days[0]
        self.half_days_after += half_days[1]
        self.changed += changed

    def add_all(self, other: Figures) -> None:
        visits = other.visits_before, other.visits_after
        self.add(visits, (other.half_days_before, other.half_days_after), other.changed)


@dataclass(frozen=True, slots=True)
class Account:
    """By node: half-days given minus received, and cents to receive; each sums to zero.

    Cents are those of every calendar month on its own, added up, as statements are issued;
    a month that the visits cover in part is compensated for that part alone.
    """

    balances: Mapping[str, int]
    compensation: Mapping[str, int]
    currency: str


class Totals:
    """Adds up what ``replay`` gives. ``counting`` is the article that half-days are counted by.

    ``days`` are the houses' days that visits belong to; ``causes`` counts visits that change by
    code and article, one visit under each of its causes.
    """

    def __init__(self, counting: int) -> None:
        self._counting = counting
        self._cells: defaultdict[tuple[str, str, str], Figures] = defaultdict(Figures)
        self.days: defaultdict[date, Figures] = defaultdict(Figures)
        self.causes = Counter[tuple[str, int]]()
        self._before: _Lines = defaultdict(Counter)
        self._after: _Lines = defaultdict(Counter)

    def add(self, replayed: Replayed) -> bool:
        """Add one visit; return whether it changed."""
        visit, before, after = replayed.visit, replayed.before.half_days, replayed.after.half_days
        visits, half_days = (1, int(replayed.after.outcome != REFUSED)), (len(before), len(after))
        changed = replayed.changed
        self._cells[visit.space, visit.home, visit.plan].add(visits, half_days, changed)
        self.days[visit.day].add(visits, half_days, changed)
        if changed:
            self.causes.update(replayed.causes or ((HALF_DAYS, self._counting),))
        if visit.home != visit.host:  # at home a member is no visitor, and no line is due
            for lines, added in ((self._before, before), (self._after, after)):
                for half_day in added:
                    month = half_day.day.year, half_day.day.month
                    lines[month][visit.home, visit.host] += 1
        return changed

    def _by(self, place: int) -> dict[str, Figures]:
        found: defaultdict[str, Figures] = defaultdict(Figures)
        for names, figures in self._cells.items():
            found[names[place]].add_all(figures)
        return dict(found)

    @property
    def spaces(self) -> dict[str, Figures]:
        """What each space hosted."""
        return self._by(0)

    @property
    def homes(self) -> dict[str, Figures]:
        """What each node's members were sent for."""
        return self._by(1)

    @property
    def plans(self) -> dict[str, Figures]:
        return self._by(2)

    @property
    def network(self) -> Figures:
        total = Figures()
        for figures in self._cells.values():
            total.add_all(figures)
        return total

    def accounts(self, before: Balance, after: Balance, issued: Issued) -> tuple[Account, Account]:
        """Return the accounts under the balance rule of the time and the simulated one."""
        return _account(self._before, before, issued), _account(self._after, after, {})


# Year and month → (home, host) → half-days.
_Lines = defaultdict[tuple[int, int], Counter[tuple[str, str]]]


Issued = Mapping[tuple[int, int], Balance]
"""Year and month → the rule that a month was issued under."""


def _account(months: _Lines, rule: Balance, issued: Issued) -> Account:
    total, cents = Counter[str](), Counter[str]()
    for key, pairs in months.items():
        month = balances(Line(home, host, count) for (home, host), count in pairs.items())
        total.update(month)
        cents.update(compensation(month, issued.get(key, rule)))
    return Account(dict(sorted(total.items())), dict(sorted(cents.items())), rule.currency)


@dataclass(frozen=True, slots=True)
class Simulation:
    """``visits`` has those that change first, each part in the order of their start."""

    visits: tuple[Replayed, ...]
    totals: Totals
    before: Account
    after: Account


def simulating(
    charter: Charter,
    visits: Iterable[Recorded],
    in_force: Charter,
    past: Iterable[Charter] = (),
    issued: Issued | None = None,
) -> Generator[int, None, Simulation]:
    """Do what ``simulate`` does, and say every so often how many visits are decided."""
    versions = {each.version: each for each in (*past, in_force)}
    totals = Totals(charter.rules.opening_hours.article)
    changed, same = list[Replayed](), list[Replayed]()
    for done, each in enumerate(replay(charter, visits, versions), 1):
        (changed if totals.add(each) else same).append(each)
        if done % _TELL_EVERY == 0:
            yield done
    before, after = totals.accounts(in_force.rules.balance, charter.rules.balance, issued or {})
    return Simulation((*changed, *same), totals, before, after)


def simulate(
    charter: Charter,
    visits: Iterable[Recorded],
    in_force: Charter,
    past: Iterable[Charter] = (),
    issued: Issued | None = None,
) -> Simulation:
    """Replay all visits; ``past`` are the versions, besides ``in_force``, that decided some.

    "Before" is compensated by the rule in force, or the one that a month was issued under.
    Raises KeyError and ValueError as ``replay`` does.
    """
    return result(simulating(charter, visits, in_force, past, issued))


def result(steps: Generator[object, None, Simulation]) -> Simulation:
    """Go through all steps; return what they come to."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Simulation = end.value
            return found
