"""The transfers are the ones that README.md defines: held against a program written from its words.

``second`` shares nothing with ``charter.settlement``: it follows the text step by step, and tries
every subset where the text says that as many groups as possible are wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import combinations
from random import Random

import pytest

from charter.settlement import transfers

Amount = tuple[str, int]
Move = tuple[str, str, int]


def second(amounts: dict[str, int]) -> list[Move]:
    left = [(node, amounts[node]) for node in sorted(amounts) if amounts[node]]
    moves = []
    for payer in list(left):
        for payee in left:
            if payer[1] < 0 and payee[1] == -payer[1]:
                moves.append((payer[0], payee[0], payee[1]))
                left = [each for each in left if each not in (payer, payee)]
                break
    groups: list[list[Amount]] = []
    if len(left) > 15:
        groups, left = _threes(left)
    if len(left) > 15:
        groups.append(left)
    elif left:
        groups += [list(group) for group in _most(tuple(left))]
    for group in groups:
        moves += _paid(group)
    return moves


def _threes(left: list[Amount]) -> tuple[list[list[Amount]], list[Amount]]:
    groups: list[list[Amount]] = []
    for first in list(left):
        if first in left and len(left) > 15:
            three = next(_three(left[left.index(first) :]), None)
            if three:
                groups.append(three)
                left = [each for each in left if each not in three]
    return groups, left


def _three(from_first: list[Amount]) -> Iterator[list[Amount]]:
    first = from_first[0]
    for place in range(1, min(101, len(from_first))):
        for third in from_first[place + 1 :]:
            if first[1] + from_first[place][1] + third[1] == 0:
                yield [first, from_first[place], third]


@cache
def _most(left: tuple[Amount, ...]) -> tuple[tuple[Amount, ...], ...]:
    """Return the groups that the recurrence chooses."""
    if not left:
        return ()
    found = []
    for size in range(len(left)):
        for others in combinations(left[1:], size):
            group = (left[0], *others)
            if sum(amount for _, amount in group) == 0:
                found.append(group)
    ways = [(group, *_most(tuple(each for each in left if each not in group))) for group in found]
    longest = max(len(way) for way in ways)
    return min(way for way in ways if len(way) == longest)


def _paid(group: list[Amount]) -> list[Move]:
    owed, moves = dict(group), []
    while any(owed.values()):
        payer = min(owed, key=lambda node: (owed[node], node))
        payee = min(owed, key=lambda node: (-owed[node], node))
        amount = min(-owed[payer], owed[payee])
        moves.append((payer, payee, amount))
        owed[payer] += amount
        owed[payee] -= amount
    return moves


def found(amounts: dict[str, int]) -> list[Move]:
    return [(each.payer, each.payee, each.amount) for each in transfers(amounts)]


def a_month(random: Random, nodes: int) -> dict[str, int]:
    """Amounts that sum to zero: now all alike, now none, now made of groups that cancel."""
    names = [f"{random.choice('aZé')}{place}" for place in range(nodes)]
    kind = random.choice(["alike", "half-days", "cents", "groups", "groups"])
    if kind == "groups":
        amounts: list[int] = []
        while len(amounts) < nodes:
            size = random.randint(2, 4)
            part = [random.randint(-9, 9) * 100 for _ in range(size - 1)]
            amounts += [*part, -sum(part)]
        amounts = amounts[: nodes - 1]
        random.shuffle(amounts)
    else:
        most, step = {"alike": (2, 900), "half-days": (30, 900), "cents": (9_000, 1)}[kind]
        amounts = [random.randint(-most, most) * step for _ in range(nodes - 1)]
    return dict(zip(names, [*amounts, -sum(amounts)], strict=True))


@pytest.mark.parametrize(
    ("nodes", "months"), [(3, 400), (4, 500), (5, 600), (6, 600), (7, 600), (8, 400), (9, 200)]
)
def test_small_months_are_settled_as_the_definition_says(nodes: int, months: int) -> None:
    random = Random(nodes)
    for _ in range(months):
        amounts = a_month(random, nodes)
        assert found(amounts) == second(amounts), amounts


@pytest.mark.parametrize("nodes", range(10, 17))
def test_larger_months_are_settled_as_the_definition_says(nodes: int) -> None:
    random = Random(nodes)
    for _ in range(30):
        amounts = a_month(random, nodes)
        assert found(amounts) == second(amounts), amounts


@pytest.mark.parametrize("nodes", [17, 25, 60, 240])
def test_months_of_more_than_fifteen_are_settled_as_the_definition_says(nodes: int) -> None:
    random = Random(nodes)
    for _ in range(20 if nodes < 100 else 3):
        amounts = a_month(random, nodes)
        assert found(amounts) == second(amounts), amounts


@pytest.mark.parametrize(("between", "together"), [(98, True), (99, True), (100, False)])
def test_the_second_of_three_is_one_of_the_hundred_that_follow_the_first(
    between: int, together: bool
) -> None:
    others = [3**place * 10**6 for place in range(between)]
    amounts = {"a": -30, **{f"b{place:03}": each for place, each in enumerate(others)}}
    amounts |= {"c": 10, "d": 20, "e": -sum(others)}
    assert found(amounts) == second(amounts)
    assert (found(amounts)[:2] == [("a", "d", 20), ("a", "c", 10)]) == together
