"""Where a month is heading for one operator, and what the charter lets it do about it. Pure.

A space that hosts far more than it sends sees it coming, and so does one that sends far more.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from charter.rules import Rules
from charter.settlement import Line

CALM, APPROACHING, BEYOND = "calm", "approaching", "beyond"
# Fewer days tell nothing of a month: one busy Tuesday would be five.
FIRST_PROJECTION = 7


@dataclass(frozen=True, slots=True)
class Lever:
    """What an operator may do: ``lower_cap`` (to ``least`` guests), ``pause``, ``raise_cap``."""

    kind: str
    article: int
    least: int = 0


@dataclass(frozen=True, slots=True)
class Outlook:
    """Half-days of a month so far, and at its end if it goes on so (None: too early to say).

    ``cents`` is what the month's end would bring (positive) or cost (negative), at most: what
    exceeds the tolerance is settled only as far as others exceed it the other way.
    ``carried``: nothing is paid, what exceeds is carried in half-days (barter).
    """

    given: int
    received: int
    projected: int | None
    tolerance: int
    state: str
    cents: int
    carried: bool
    article: int
    levers: tuple[Lever, ...]

    @property
    def balance(self) -> int:
        return self.given - self.received

    @property
    def expected(self) -> int:
        """Return the balance that is reckoned with: the projection, or what there is so far."""
        return self.balance if self.projected is None else self.projected

    @property
    def hosts_more(self) -> bool:
        return self.expected > 0


def outlook(given: int, received: int, today: date, rules: Rules) -> Outlook:
    """Say where an operator's month is heading, on one of its days.

    The projection is linear by calendar days, rounded toward zero: opening days differ from space
    to space, and members of the others come on theirs. The balance is ``beyond`` once it exceeds
    the tolerance; it is ``approaching`` when its projection does, or when it exceeds half of it.
    """
    day, days = today.day, monthrange(today.year, today.month)[1]
    rule, balance = rules.balance, given - received
    projected = _part(balance, days, day) if day >= FIRST_PROJECTION else None
    expected = balance if projected is None else projected
    excess = max(abs(expected) - rule.tolerance_half_days, 0)
    cents = 0 if rule.mode == "barter" else excess * rule.rate_cents
    if abs(balance) > rule.tolerance_half_days:
        state = BEYOND
    elif excess or 2 * abs(balance) > rule.tolerance_half_days:
        state = APPROACHING
    else:
        state = CALM
    return Outlook(
        given=given,
        received=received,
        projected=projected,
        tolerance=rule.tolerance_half_days,
        state=state,
        cents=cents if expected > 0 else -cents,
        carried=rule.mode == "barter",
        article=rule.article,
        levers=() if state == CALM else _levers(expected, rules),
    )


def _part(balance: int, days: int, day: int) -> int:
    """Return balance × days ÷ day, toward zero: whole numbers, so that all find the same."""
    size = abs(balance) * days // day
    return size if balance > 0 else -size


def _levers(expected: int, rules: Rules) -> tuple[Lever, ...]:
    """Return what the charter allows: closing the door further, or opening it wider."""
    host, cap = rules.articles.host, rules.guest_cap
    if expected < 0:
        return (Lever("raise_cap", cap.article if cap else host),)
    lower = Lever("lower_cap", cap.article, cap.at_least) if cap else Lever("lower_cap", host)
    return lower, Lever("pause", host)


def outlooks(
    totals: Iterable[Line], nodes: Iterable[str], today: date, rules: Rules
) -> Mapping[str, Outlook]:
    """Return every operator's outlook, by node in the order given."""
    given, received = dict.fromkeys(nodes, 0), dict[str, int]()
    for line in totals:
        given[line.host] = given.get(line.host, 0) + line.quantity
        given.setdefault(line.home, 0)
        received[line.home] = received.get(line.home, 0) + line.quantity
    return {n: outlook(count, received.get(n, 0), today, rules) for n, count in given.items()}
