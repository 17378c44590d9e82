"""The visits of one person: what holds for any visits, told in any order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from charter.hours import Schedule, read_schedule
from charter.timeline import GRACE, Stay, counted, place
from tests.charter.test_facts import unhurried
from tests.charter.test_halfdays import ONE_PM

HOUSES = {
    ("troquet", "bar"): {"week": {"mo": [["18:00", "02:00"]], "tu": [["18:00", "02:00"]]}},
    ("troquet", "cour"): {"week": {"mo": [["09:00", "12:00"], ["14:00", "19:00"]]}},
    ("sceaux", "sceaux"): {"week": {day: [["00:00", "00:00"]] for day in ("mo", "tu", "we")}},
    ("viry", "viry"): {},
}
FIRST = datetime(2026, 7, 6, 5, tzinfo=UTC)  # a Monday
LATER = FIRST + timedelta(days=30)
minutes = st.sampled_from([0, 1, 30, 59, 60, 120, 300, 420, 600, 840, 1100, 1500, 2900])


def _schedule(house: tuple[str, str]) -> Schedule:
    return read_schedule({"timezone": "Europe/Paris", **HOUSES[house]})


@st.composite
def any_stay(draw: st.DrawFn) -> Stay:
    house = draw(st.sampled_from(sorted(HOUSES)))
    start = FIRST + timedelta(minutes=draw(minutes) + draw(minutes))
    day = _schedule(house).day_of(start)
    left_at = draw(st.none() | minutes.map(lambda after: start + timedelta(minutes=after - 30)))
    stands = draw(st.sampled_from([True, True, True, False]))
    return Stay(
        id="",
        host=house[0],
        space=house[1],
        zone=ZoneInfo("Europe/Paris"),
        start=start,
        shown_at=start + timedelta(seconds=draw(st.integers(-90, 90))),
        day=day.day,
        openings=day.openings,
        closes_at=day.closes_at,
        left_at=left_at,
        stands=stands,
        cuts=stands or draw(st.booleans()),
    )


histories = st.lists(any_stay(), max_size=7).map(
    lambda stays: [replace(stay, id=f"v{n}") for n, stay in enumerate(stays)]
)
moments = st.timedeltas(timedelta(), timedelta(days=6)).map(lambda after: FIRST + after)


def _counts(stays: Sequence[Stay]) -> dict[Any, list[str]]:
    return {key: [each.id for each in found] for key, found in counted(stays, ONE_PM).items()}


@unhurried
@given(histories, moments, st.randoms(use_true_random=False))
def test_nothing_depends_on_the_order_in_which_visits_are_told(
    stays: list[Stay], now: datetime, random: Any
) -> None:
    expected = place(stays, now)
    random.shuffle(stays)
    assert place(stays, now) == expected
    assert place(reversed(expected), now) == expected
    assert _counts(place(stays, now)) == _counts(expected)


@unhurried
@given(histories, moments)
def test_a_person_is_in_one_place(stays: list[Stay], now: datetime) -> None:
    cutting = [each for each in place(stays, now) if each.cuts]
    for before, after in pairwise(cutting):
        assert before.end is not None
        assert before.start <= before.end <= max(before.start, after.start)


@unhurried
@given(histories, moments)
def test_nothing_that_a_host_says_makes_a_visit_longer_than_its_house_was_open(
    stays: list[Stay], now: datetime
) -> None:
    silent = {each.id: each for each in place([replace(s, left_at=None) for s in stays], LATER)}
    for each in place(stays, now):
        assert each.end is None or each.start <= each.end <= max(each.start, each.closes_at)
        assert set(each.half_days(ONE_PM)) <= set(silent[each.id].half_days(ONE_PM))
        if each.end is None:
            assert now < each.closes_at + GRACE


@unhurried
@given(histories, moments)
def test_every_half_day_is_counted_once_for_each_operator(stays: list[Stay], now: datetime) -> None:
    placed = place(stays, now)
    touched = {
        (each.host, half_day)
        for each in placed
        if each.stands
        for half_day in each.half_days(ONE_PM)
    }
    found = counted(placed, ONE_PM)
    assert set(found) == touched
    for (host, half_day), carriers in found.items():
        assert all(each.host == host and half_day in each.half_days(ONE_PM) for each in carriers)
        assert list(carriers) == [each for each in placed if each in carriers]


@unhurried
@given(histories, any_stay(), moments)
def test_a_visit_that_is_held_is_as_if_it_were_not(
    stays: list[Stay], held: Stay, now: datetime
) -> None:
    more = place([*stays, replace(held, id="held", stands=False, cuts=False)], now)
    assert tuple(each for each in more if each.id != "held") == place(stays, now)


@unhurried
@given(histories, moments, st.timedeltas(timedelta(), timedelta(days=3)))
def test_time_alone_ends_visits_and_never_changes_an_end(
    stays: list[Stay], now: datetime, more: timedelta
) -> None:
    for before, after in zip(place(stays, now), place(stays, now + more), strict=True):
        assert before.end is None or before.end == after.end
