"""Where a month is heading: seen early, and reckoned in whole numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter import model_sources, read_charter
from charter.outlook import APPROACHING, BEYOND, CALM, Lever, outlook, outlooks
from charter.settlement import Line

RULES = read_charter("1", model_sources()).rules  # tolerance 10, 9 euros


def november(day: int) -> date:
    return date(2026, 11, day)


@pytest.mark.parametrize(
    ("balance", "day", "projected", "state"),
    [
        (0, 30, 0, CALM),
        (5, 1, None, CALM),
        (6, 1, None, APPROACHING),  # half of the tolerance, before anything is projected
        (2, 6, None, CALM),
        (2, 7, 8, CALM),
        (3, 7, 12, APPROACHING),
        (5, 15, 10, CALM),  # exactly the tolerance is within it
        (5, 14, 10, CALM),  # 10.7, of which the whole half-days count
        (5, 13, 11, APPROACHING),
        (6, 30, 6, APPROACHING),
        (10, 30, 10, APPROACHING),
        (11, 30, 11, BEYOND),
        (11, 1, None, BEYOND),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_month_nears_the_tolerance_before_it_is_beyond(
    balance: int, day: int, projected: int | None, state: str, sign: int
) -> None:
    gave, received = (balance + 20, 20) if sign > 0 else (20, balance + 20)
    found = outlook(gave, received, november(day), RULES)
    assert found.balance == sign * balance
    assert found.projected == (None if projected is None else sign * projected)
    assert found.state == state


def test_what_it_would_bring_or_cost_is_what_exceeds_at_its_rate() -> None:
    assert outlook(6, 0, november(15), RULES).cents == 2 * 900
    assert outlook(0, 6, november(15), RULES).cents == -2 * 900
    assert outlook(0, 12, november(3), RULES).cents == -2 * 900  # nothing is projected yet
    assert outlook(4, 0, november(15), RULES).cents == 0


def test_what_is_carried_costs_nothing() -> None:
    barter = replace(RULES, balance=replace(RULES.balance, mode="barter"))
    found = outlook(20, 0, november(15), barter)
    assert (found.state, found.cents, found.carried) == (BEYOND, 0, True)


def test_the_host_may_close_its_door_further_and_the_other_open_its_own() -> None:
    assert outlook(20, 0, november(15), RULES).levers == (
        Lever("lower_cap", 6, least=1),
        Lever("pause", 6),
    )
    assert outlook(0, 20, november(15), RULES).levers == (Lever("raise_cap", 6),)
    assert outlook(1, 0, november(15), RULES).levers == ()
    capless = replace(RULES, guest_cap=None)
    assert outlook(20, 0, november(15), capless).levers[0] == Lever("lower_cap", 6, least=0)


def test_february_is_shorter() -> None:
    assert outlook(5, 0, date(2027, 2, 14), RULES).projected == 10
    assert outlook(5, 0, date(2028, 2, 14), RULES).projected == 10  # 29 days: 10.4


@given(
    st.lists(
        st.builds(Line, st.sampled_from("abc"), st.sampled_from("abc"), st.integers(-5, 40)),
        max_size=12,
    ),
    st.dates(date(2026, 1, 1), date(2028, 12, 31)),
)
def test_every_operator_has_an_outlook_and_balances_sum_to_zero(
    lines: list[Line], today: date
) -> None:
    found = outlooks(lines, "abcd", today, RULES)
    assert list(found) == ["a", "b", "c", "d"]
    assert sum(each.balance for each in found.values()) == 0
    for each in found.values():
        assert abs(each.expected) >= abs(each.balance)
        assert each.cents * each.expected >= 0
        assert (each.levers == ()) is (each.state == CALM)
