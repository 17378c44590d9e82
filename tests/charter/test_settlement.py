"""The account: sums of zero, proportional shares, and few transfers."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter import model_sources, read_charter
from charter.rules import Balance
from charter.settlement import EXACT, Line, Transfer, balances, compensation, transfers
from tests.charter.test_facts import unhurried

RULE = read_charter("1", model_sources()).rules.balance
NODES = ["cordee", "locaux", "sceaux", "sevres", "troquet", "viry"]
lines = st.lists(
    st.builds(Line, st.sampled_from(NODES), st.sampled_from(NODES), st.integers(-3, 60)),
    max_size=40,
)
rules = st.builds(
    replace,
    st.just(RULE),
    tolerance_half_days=st.integers(0, 30),
    rate_cents=st.integers(0, 2500),
)


@st.composite
def zero_sums(draw: st.DrawFn) -> dict[str, int]:
    """Amounts of up to ten nodes that sum to zero."""
    most = draw(st.sampled_from([3, 5000]))  # small amounts make equals, where order could matter
    amounts = draw(st.lists(st.integers(-most, most), max_size=9))
    return {f"n{place}": amount for place, amount in enumerate([*amounts, -sum(amounts)])}


@unhurried
@given(lines)
def test_balances_sum_to_zero_whatever_was_visited_or_reversed(found: list[Line]) -> None:
    assert sum(balances(found).values()) == 0


@unhurried
@given(lines, st.randoms(use_true_random=False))
def test_balances_do_not_depend_on_the_order_of_the_lines(
    found: list[Line], random: object
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert list(balances(shuffled).items()) == list(balances(found).items())


@unhurried
@given(lines)
def test_a_month_reversed_line_by_line_leaves_nothing(found: list[Line]) -> None:
    reversals = [replace(line, quantity=-line.quantity) for line in found]
    assert set(balances(found + reversals).values()) <= {0}


@unhurried
@given(lines, rules)
def test_compensation_sums_to_zero_to_the_cent(found: list[Line], rule: Balance) -> None:
    assert sum(compensation(balances(found), rule).values()) == 0


@unhurried
@given(lines, rules)
def test_nobody_pays_or_receives_more_than_the_excess_is_worth(
    found: list[Line], rule: Balance
) -> None:
    half_days = balances(found)
    for node, cents in compensation(half_days, rule).items():
        excess = max(0, abs(half_days[node]) - rule.tolerance_half_days)
        assert abs(cents) <= excess * rule.rate_cents
        assert cents == 0 or (cents > 0) == (half_days[node] > 0)


@unhurried
@given(lines, rules)
def test_the_smaller_side_is_settled_in_full(found: list[Line], rule: Balance) -> None:
    half_days = balances(found)
    tolerance = rule.tolerance_half_days
    credit = sum(max(0, count - tolerance) for count in half_days.values())
    debit = sum(max(0, -count - tolerance) for count in half_days.values())
    received = sum(cents for cents in compensation(half_days, rule).values() if cents > 0)
    assert received == min(credit, debit) * rule.rate_cents


@unhurried
@given(zero_sums())
def test_transfers_settle_every_amount_to_zero(amounts: dict[str, int]) -> None:
    left = dict(amounts)
    for transfer in transfers(amounts):
        assert transfer.amount > 0
        assert transfer.payer != transfer.payee
        left[transfer.payer] += transfer.amount
        left[transfer.payee] -= transfer.amount
    assert set(left.values()) <= {0}


@unhurried
@given(zero_sums())
def test_transfers_number_at_most_one_less_than_the_nodes_concerned(
    amounts: dict[str, int],
) -> None:
    concerned = [node for node, amount in amounts.items() if amount]
    assert len(transfers(amounts)) <= max(0, len(concerned) - 1)


@unhurried
@given(zero_sums())
def test_a_node_only_pays_or_only_receives(amounts: dict[str, int]) -> None:
    for transfer in transfers(amounts):
        assert amounts[transfer.payer] < 0 < amounts[transfer.payee]


@unhurried
@given(zero_sums(), st.randoms(use_true_random=False))
def test_every_node_that_recomputes_finds_the_same_transfers(
    amounts: dict[str, int], random: object
) -> None:
    items = list(amounts.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert transfers(dict(items)) == transfers(amounts)


def _most_groups(amounts: list[int]) -> int:
    """Try every way to part amounts into groups that sum to zero."""
    if not amounts:
        return 0
    first, others = amounts[0], amounts[1:]
    most = -len(amounts)
    for size in range(len(others) + 1):
        for places in combinations(range(len(others)), size):
            if first + sum(others[place] for place in places) == 0:
                rest = [amount for place, amount in enumerate(others) if place not in places]
                most = max(most, 1 + _most_groups(rest))
    return most


@unhurried
@given(zero_sums())
def test_no_list_of_transfers_is_shorter(amounts: dict[str, int]) -> None:
    owed = [amount for amount in amounts.values() if amount]
    assert len(transfers(amounts)) == len(owed) - _most_groups(owed)


def test_the_most_that_is_settled_exactly_and_one_more() -> None:
    groups = [(-7, -11, 18), (-13, -29, 42), (-101, -203, 304), (-1009, -17, 1026), (-5, -401, 406)]
    amounts = {f"n{n:02}": amount for n, amount in enumerate(sum(groups, ()))}
    assert len(amounts) == EXACT
    assert len(transfers(amounts)) == EXACT - len(groups)
    more = {**amounts, "x": -3_001, "y": -70_003, "z": 73_004}
    assert len(transfers(more)) == EXACT + 3 - len(groups) - 1


def test_two_hundred_operators_are_settled_in_fewer_transfers_than_operators() -> None:
    amounts = {f"n{n:03}": (n * 7919) % 4001 - 2000 for n in range(199)}
    amounts["last"] = -sum(amounts.values())
    found = transfers(amounts)
    assert len(found) < 199
    left = dict(amounts)
    for transfer in found:
        left[transfer.payer] += transfer.amount
        left[transfer.payee] -= transfer.amount
    assert set(left.values()) == {0}


@unhurried
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=6))
def test_pairs_that_cancel_take_one_transfer_each(debts: list[int]) -> None:
    amounts = {f"payer{place}": -debt for place, debt in enumerate(debts)}
    amounts |= {f"payee{place}": debt for place, debt in enumerate(debts)}
    assert len(transfers(amounts)) == len(debts)


@unhurried
@given(lines, rules)
def test_barter_moves_no_money(found: list[Line], rule: Balance) -> None:
    half_days = balances(found)
    cents = compensation(half_days, replace(rule, mode="barter"))
    assert cents == dict.fromkeys(half_days, 0)
    assert transfers(cents) == []


@pytest.mark.parametrize("nodes", [1, 2, 3, 7])
def test_amounts_that_do_not_sum_to_zero_are_refused(nodes: int) -> None:
    with pytest.raises(ValueError, match="sum to zero"):
        transfers({f"n{place}": 100 for place in range(nodes)})


def test_a_node_without_a_visit_is_in_the_balances_with_zero() -> None:
    found = balances([Line("cordee", "troquet", 2)], ["viry", "cordee"])
    assert list(found.items()) == [("cordee", -2), ("troquet", 2), ("viry", 0)]


def test_the_example_in_the_charter_is_what_the_charter_computes() -> None:
    cents = compensation({"a": 14, "b": -13, "c": -1}, RULE)
    assert cents == {"a": 2700, "b": -2700, "c": 0}
    assert transfers(cents) == [Transfer("b", "a", 2700)]
