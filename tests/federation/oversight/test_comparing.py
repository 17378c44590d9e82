"""When a host stands out: the rule alone."""

from __future__ import annotations

import random
from fractions import Fraction
from statistics import median

import pytest

from federation.oversight.comparing import (
    LEAST_VISITS,
    MEASURES,
    Figures,
    Measure,
    findings,
    medians,
    stands_out,
)

LATE, HALF_DAYS, PER_PASS = (
    next(each for each in MEASURES if each.name == name) for name in ("late", "half_days", "visits")
)


def told(visits: int, late: int = 0, **more: int) -> Figures:
    return Figures(**{"visits": visits, "counted": visits, "passes": visits, "late": late} | more)


def by(month: dict[str, Figures], before: dict[str, Figures] | None = None) -> dict[str, list[str]]:
    found = findings(month, before or {})
    return {host: [each.measure.name for each in of] for host, of in found.items()}


QUIET = {"b": told(40, 1), "c": told(60, 1)}


def test_a_host_stands_out_from_its_own_past_and_from_the_others() -> None:
    assert by({"a": told(12, 9), **QUIET}, {"a": told(10, 1)}) == {"a": ["late"]}


def test_what_it_says_is_what_there_was_before_and_elsewhere() -> None:
    month, before = {"a": told(12, 9), **QUIET}, {"a": told(10, 1)}
    (found,) = findings(month, before)["a"]
    assert (found.here, found.before, found.elsewhere) == (month["a"], before["a"], told(100, 2))


def test_who_was_always_so_does_not_stand_out_below_a_half() -> None:
    assert by({"a": told(10, 4), **QUIET}, {"a": told(30, 11)}) == {}


def test_from_a_half_on_its_own_past_excuses_nothing() -> None:
    assert by({"a": told(10, 5), **QUIET}, {"a": told(30, 20)}) == {"a": ["late"]}


def test_who_is_like_the_others_does_not_stand_out() -> None:
    """A failure that they share: all are late."""
    everybody = {name: told(20, 18) for name in "abcd"}
    assert by(everybody, {name: told(60) for name in "abcd"}) == {}


@pytest.mark.parametrize(("visits", "late"), [(4, 4), (LEAST_VISITS, 2), (20, 3)])
def test_few_visits_few_cases_and_small_shares_say_nothing(visits: int, late: int) -> None:
    assert by({"a": told(visits, late), **QUIET}) == {}


def test_three_of_five_that_are_late_are_enough() -> None:
    assert by({"a": told(5, 3), **QUIET}) == {"a": ["late"]}


def test_a_host_that_is_alone_stands_out_from_a_half_on() -> None:
    assert by({"a": told(10, 4)}) == {}
    assert by({"a": told(10, 5)}) == {"a": ["late"]}


def test_a_past_of_few_visits_is_no_past() -> None:
    assert by({"a": told(10, 4), **QUIET}, {"a": told(4, 4)}) == {"a": ["late"]}


def test_whose_visits_are_all_of_two_half_days_stands_out_where_others_stay_for_one() -> None:
    month = {"a": told(10, half_days=19), "b": told(40, half_days=48), "c": told(9, half_days=9)}
    assert by(month, {"a": told(30, half_days=33)}) == {"a": ["half_days"]}
    assert by(month, {"a": told(30, half_days=45)}) == {}
    assert by({"a": month["a"]}) == {}


def test_many_visits_of_few_passes_stand_out() -> None:
    assert by({"a": told(20, passes=2), **QUIET}) == {"a": ["visits"]}
    assert by({"a": told(6, passes=2), **QUIET}) == {}


@pytest.mark.parametrize("measure", MEASURES)
def test_without_any_visit_nothing_is_measured(measure: Measure) -> None:
    assert measure.value(Figures()) is None
    assert not stands_out(measure, Figures(), None, Fraction(0))


def test_the_others_median_is_that_of_the_month_without_the_host() -> None:
    for seed in range(40):
        lot = random.Random(seed)
        month = {
            str(n): told(lot.randint(1, 12), lot.randint(0, 1)) for n in range(lot.randint(1, 7))
        }
        month["a"] = told(10, lot.randint(0, 10))
        others = {name: each for name, each in month.items() if name != "a"}
        values = [v for each in others.values() if (v := LATE.value(each)) is not None]
        typical = median(values) if values else None
        assert medians(others)["late"] == typical
        assert ("late" in by(month).get("a", [])) == stands_out(LATE, month["a"], None, typical)
