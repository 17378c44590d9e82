"""The month's account: balances in half-days, compensation in cents, and netting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

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


def transfers(amounts: Mapping[str, int]) -> list[Transfer]:
    """Return the transfers that bring every amount to zero; amounts must sum to zero.

    Those who cancel each other exactly are settled first; that never costs a transfer. The others
    fall into groups that each sum to zero, and a group of n needs n - 1 transfers: the more
    groups, the fewer transfers. With at most ``EXACT`` of them the groups are as many as can be,
    so no list is shorter; with more, groups of three are taken first and the rest is one group,
    so the list may be longer than the shortest, but never beyond one less than the nodes.
    """
    if sum(amounts.values()):
        raise ValueError("amounts must sum to zero")
    owed = {node: amount for node, amount in sorted(amounts.items()) if amount}
    found: list[Transfer] = []
    for payer in [node for node, amount in owed.items() if amount < 0]:
        payee = next((n for n, amount in owed.items() if amount == -owed[payer]), None)
        if payee is not None:
            found.append(Transfer(payer, payee, owed.pop(payee)))
            del owed[payer]
    for group in _groups(tuple(owed.items())):
        found += _settle(dict(group))
    return found


def _settle(owed: dict[str, int]) -> Iterator[Transfer]:
    """The largest payer pays the largest payee, until nobody owes anything."""
    while owed:
        payer = min(owed, key=lambda node: (owed[node], node))
        payee = max(owed, key=lambda node: (owed[node], node))
        amount = min(-owed[payer], owed[payee])
        yield Transfer(payer, payee, amount)
        for node, change in ((payer, amount), (payee, -amount)):
            owed[node] += change
            if not owed[node]:
                del owed[node]


Owed = tuple[tuple[str, int], ...]


def _groups(owed: Owed) -> list[Owed]:
    """Part amounts into groups that sum to zero: as many as can be, if they are few."""
    taken: list[Owed] = []
    while len(owed) > EXACT:
        three = _three(owed)
        if not three:
            return [*taken, owed]
        taken.append(three)
        owed = tuple(each for each in owed if each not in three)
    return [*taken, *_most_groups(owed)]


def _three(owed: Owed) -> Owed:
    """Return the first three that sum to zero, or nothing."""
    places = {amount: place for place, (_, amount) in enumerate(owed)}
    for (_, one), (second, two) in combinations(enumerate(owed), 2):
        third = places.get(-one[1] - two[1])
        if third is not None and third > second:
            return one, two, owed[third]
    return ()


@lru_cache(maxsize=64)
def _most_groups(owed: Owed) -> list[Owed]:
    """Take amounts away one by one: each time that what is left sums to zero, a group is complete.

    ``most[left]`` is how many groups can be made of the amounts whose bits are set in ``left``;
    about 2^n n steps.
    """
    bits = [1 << place for place in range(len(owed))]
    total, most = [0] * (1 << len(owed)), [0] * (1 << len(owed))
    for left in range(1, 1 << len(owed)):
        lowest = left & -left
        total[left] = total[left ^ lowest] + owed[lowest.bit_length() - 1][1]
        most[left] = max(most[left ^ bit] for bit in bits if left & bit) + (not total[left])
    groups: list[list[tuple[str, int]]] = []
    left = (1 << len(owed)) - 1
    while left:
        if not total[left]:
            groups.append([])
        rest = most[left] - (not total[left])
        bit = next(bit for bit in bits if left & bit and most[left ^ bit] == rest)
        groups[-1].append(owed[bit.bit_length() - 1])
        left ^= bit
    return [tuple(group) for group in groups]
