"""The month's account: balances in half-days, compensation in cents, and netting."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from heapq import heapify, heappop, heappush

from charter.rules import Balance


@dataclass(frozen=True, slots=True)
class Line:
    """``quantity`` half-days that ``home``'s members spent at ``host``; negative reverses."""

    home: str
    host: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Transfer:
    payer: str
    payee: str
    amount: int


def balances(lines: Iterable[Line], nodes: Iterable[str] = ()) -> dict[str, int]:
    """Return half-days given minus received by node, in node order; they sum to zero."""
    totals = dict.fromkeys(nodes, 0)
    for line in lines:
        totals[line.host] = totals.get(line.host, 0) + line.quantity
        totals[line.home] = totals.get(line.home, 0) - line.quantity
    return dict(sorted(totals.items()))


def compensation(half_days: Mapping[str, int], rule: Balance) -> dict[str, int]:
    """Return cents to receive (positive) or to pay (negative) by node; they sum to zero.

    Only what exceeds the tolerance is compensated. Excess credits and excess debits
    seldom match: the smaller total moves, and the larger side shares it in proportion to
    each excess. Rounding: shares are rounded down to the cent, and the cents that remain go one
    each to the largest remainders, then by node id.
    """
    if rule.mode == "barter":
        return dict.fromkeys(half_days, 0)
    tolerance = rule.tolerance_half_days
    credit = {n: b - tolerance for n, b in half_days.items() if b > tolerance}
    debit = {n: -b - tolerance for n, b in half_days.items() if b < -tolerance}
    cents = min(sum(credit.values()), sum(debit.values())) * rule.rate_cents
    received, paid = _share(cents, credit), _share(cents, debit)
    return {node: received.get(node, 0) - paid.get(node, 0) for node in half_days}


def _share(cents: int, weights: Mapping[str, int]) -> dict[str, int]:
    total = sum(weights.values())
    if not total:
        return {}
    shares = {node: cents * weight // total for node, weight in weights.items()}
    by_remainder = sorted(weights, key=lambda node: (-(cents * weights[node] % total), node))
    for node in by_remainder[: cents - sum(shares.values())]:
        shares[node] += 1
    return shares


# Up to so many amounts that are left without their exact opposite, the fewest transfers are found.
EXACT = 15
# With more, threes that sum to zero are taken: the second is one of so many that follow the first.
WINDOW = 100

Owed = tuple[tuple[str, int], ...]
"""Node and amount, by id."""


def transfers(amounts: Mapping[str, int]) -> list[Transfer]:
    """Return the transfers that bring every amount to zero; amounts must sum to zero.

    README.md ("Transfers") says which, and in which order, so that every program finds the same.
    Those who cancel each other exactly are settled first; that never costs a transfer. The others
    fall into groups that each sum to zero, and a group of n needs n - 1 transfers: the more
    groups, the fewer transfers. With at most ``EXACT`` of them no list is shorter; with more it
    may be longer than the shortest, but never beyond one less than the nodes.
    """
    if sum(amounts.values()):
        raise ValueError("amounts must sum to zero")
    owed = {node: amount for node, amount in sorted(amounts.items()) if amount}
    found = list(_opposites(owed))
    for group in _groups(tuple(owed.items())):
        found += _settle(group)
    return found


def _opposites(owed: dict[str, int]) -> Iterator[Transfer]:
    """Settle those who cancel each other exactly, by id; take them out of ``owed``."""
    payees: dict[int, deque[str]] = defaultdict(deque)
    for node, amount in owed.items():
        payees[amount].append(node)
    for payer in [node for node, amount in owed.items() if amount < 0]:
        if payees[-owed[payer]]:
            payee = payees[-owed.pop(payer)].popleft()
            yield Transfer(payer, payee, owed.pop(payee))


def _settle(group: Owed) -> Iterator[Transfer]:
    """The largest payer pays the largest payee, of equals the first by id, until all is paid."""
    payers = [(amount, node) for node, amount in group if amount < 0]
    payees = [(-amount, node) for node, amount in group if amount > 0]
    heapify(payers)
    heapify(payees)
    while payers:
        (debt, payer), (credit, payee) = heappop(payers), heappop(payees)
        amount = -max(debt, credit)
        yield Transfer(payer, payee, amount)
        for heap, rest, node in ((payers, debt, payer), (payees, credit, payee)):
            if rest + amount:
                heappush(heap, (rest + amount, node))


def _groups(owed: Owed) -> list[Owed]:
    """Part amounts into groups that sum to zero: as many as can be, if they are few."""
    threes = _threes(owed) if len(owed) > EXACT else []
    taken = {each for three in threes for each in three}
    left = tuple(each for each in owed if each not in taken)
    if not left:
        return threes
    return [*threes, *(_most_groups(left) if len(left) <= EXACT else [left])]


def _threes(owed: Owed) -> list[Owed]:
    """Take threes that sum to zero, in the order of their places, until few enough are left."""
    found: list[Owed] = []
    after = list(range(len(owed)))  # places that come after the first, and are not taken
    of_amount: dict[int, list[int]] = defaultdict(list)
    for place, (_, amount) in enumerate(owed):
        of_amount[amount].append(place)
    while after and len(owed) - 3 * len(found) > EXACT:
        first = after.pop(0)
        two = _two_more(owed, first, after, of_amount)
        for place in two:
            after.remove(place)
            of_amount[owed[place][1]].remove(place)
        if two:
            found.append(tuple(owed[place] for place in (first, *two)))
    return found


def _two_more(
    owed: Owed, first: int, after: list[int], of_amount: Mapping[int, list[int]]
) -> tuple[int, ...]:
    """Return the places of the two that cancel the first, or nothing."""
    for second in after[:WINDOW]:
        thirds = of_amount.get(-owed[first][1] - owed[second][1], [])
        place = bisect_right(thirds, second)
        if place < len(thirds):
            return second, thirds[place]
    return ()


@lru_cache(maxsize=64)
def _most_groups(owed: Owed) -> list[Owed]:
    """Return as many groups that sum to zero as there can be.

    Take amounts away one by one: each time that what is left sums to zero, a group is complete.
    ``most[left]`` is how many groups can be made of the amounts whose bits are set in ``left``;
    about 2^n n steps. Of all ways the one is chosen whose groups come first: see README.md.
    """
    bits = [1 << place for place in range(len(owed))]
    total, most = [0] * (1 << len(owed)), [0] * (1 << len(owed))
    for left in range(1, 1 << len(owed)):
        lowest = left & -left
        total[left] = total[left ^ lowest] + owed[lowest.bit_length() - 1][1]
        most[left] = max(most[left ^ bit] for bit in bits if left & bit) + (not total[left])
    groups: list[Owed] = []
    left = (1 << len(owed)) - 1
    while left:
        best = (
            _places(group)
            for group in _with_lowest(left)
            if not total[group] and most[left ^ group] == most[left] - 1
        )
        places = min(best)
        groups.append(tuple(owed[place] for place in places))
        left ^= sum(bits[place] for place in places)
    return groups


def _with_lowest(left: int) -> Iterator[int]:
    """Yield every subset of ``left`` that has its lowest bit."""
    lowest = left & -left
    others = rest = left ^ lowest
    while rest:
        yield lowest | rest
        rest = (rest - 1) & others
    yield lowest


def _places(bits: int) -> list[int]:
    return [place for place in range(bits.bit_length()) if bits >> place & 1]
