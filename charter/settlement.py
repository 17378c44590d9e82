"""The month's account: balances in half-days, compensation in cents, and netting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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


def transfers(amounts: Mapping[str, int]) -> list[Transfer]:
    """Return transfers that bring every amount to zero; amounts must sum to zero.

    Pairs that cancel exactly are settled first, then the largest payer pays the largest
    payee. At most n - 1 transfers for n nodes; the optimum can be lower where larger
    groups cancel among themselves.
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
    while owed:
        payer = min(owed, key=lambda node: (owed[node], node))
        payee = max(owed, key=lambda node: (owed[node], node))
        amount = min(-owed[payer], owed[payee])
        found.append(Transfer(payer, payee, amount))
        for node, change in ((payer, amount), (payee, -amount)):
            owed[node] += change
            if not owed[node]:
                del owed[node]
    return found
