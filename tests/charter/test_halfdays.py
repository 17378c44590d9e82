"""Which half-days a visit touches: at 13:00, at midnight, on DST days, on the leap day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.halfdays import AFTERNOON, MORNING, HalfDay, half_day_at, half_days
from tests.charter.test_facts import any_instant, unhurried

PARIS = ZoneInfo("Europe/Paris")
ONE_PM = time(13)


def touched(start: str, end: str, zone: ZoneInfo = PARIS) -> list[str]:
    """Return half-days like ``07-07 am`` for instants of 2026 unless they name a year."""
    found = half_days(datetime.fromisoformat(start), datetime.fromisoformat(end), zone, ONE_PM)
    return [f"{half_day.day:%m-%d} {half_day.half}" for half_day in found]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-07-07T09:00:00+02:00", "2026-07-07T12:00:00+02:00", ["07-07 am"]),
        ("2026-07-07T14:00:00+02:00", "2026-07-07T19:00:00+02:00", ["07-07 pm"]),
        ("2026-07-07T11:00:00+02:00", "2026-07-07T15:00:00+02:00", ["07-07 am", "07-07 pm"]),
        ("2026-07-07T09:00:00Z", "2026-07-07T13:00:00Z", ["07-07 am", "07-07 pm"]),
    ],
)
def test_a_visit_counts_each_half_day_it_touches(start: str, end: str, expected: list[str]) -> None:
    assert touched(start, end) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-07-07T09:00:00+02:00", "2026-07-07T13:00:00+02:00", ["07-07 am"]),
        ("2026-07-07T09:00:00+02:00", "2026-07-07T12:59:59.999999+02:00", ["07-07 am"]),
        ("2026-07-07T09:00:00+02:00", "2026-07-07T13:00:00.000001+02:00", ["07-07 am", "07-07 pm"]),
        ("2026-07-07T13:00:00+02:00", "2026-07-07T14:00:00+02:00", ["07-07 pm"]),
        ("2026-07-07T12:59:59.999999+02:00", "2026-07-07T13:00:00+02:00", ["07-07 am"]),
    ],
)
def test_a_visit_that_ends_exactly_at_13_00_has_not_touched_the_afternoon(
    start: str, end: str, expected: list[str]
) -> None:
    assert touched(start, end) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2026-07-07T18:00:00+02:00", "2026-07-08T00:00:00+02:00", ["07-07 pm"]),
        ("2026-07-07T18:00:00+02:00", "2026-07-08T00:00:01+02:00", ["07-07 pm", "07-08 am"]),
        ("2026-07-08T00:00:00+02:00", "2026-07-08T00:00:00+02:00", ["07-08 am"]),
        ("2026-07-31T23:00:00+02:00", "2026-08-01T01:00:00+02:00", ["07-31 pm", "08-01 am"]),
        (
            "2025-12-31T20:00:00+01:00",
            "2026-01-01T14:00:00+01:00",
            ["12-31 pm", "01-01 am", "01-01 pm"],
        ),
    ],
)
def test_a_visit_that_ends_exactly_at_midnight_has_not_touched_the_next_day(
    start: str, end: str, expected: list[str]
) -> None:
    assert touched(start, end) == expected


@pytest.mark.parametrize("end", ["10:00:00", "09:59:59", "08:00:00"])
def test_a_visit_without_length_or_ended_before_it_began_counts_one(end: str) -> None:
    assert touched("2026-07-07T10:00:00+02:00", f"2026-07-07T{end}+02:00") == ["07-07 am"]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # 29 March 2026: 02:00 is 03:00. 13:00 in Paris is 11:00 UTC, no longer 12:00.
        ("2026-03-29T07:00:00Z", "2026-03-29T11:00:00Z", ["03-29 am"]),
        ("2026-03-29T07:00:00Z", "2026-03-29T11:00:01Z", ["03-29 am", "03-29 pm"]),
        ("2026-03-28T20:00:00+01:00", "2026-03-29T04:00:00+02:00", ["03-28 pm", "03-29 am"]),
        ("2026-03-28T12:00:00Z", "2026-03-28T12:00:01Z", ["03-28 pm"]),
    ],
)
def test_the_day_the_clocks_go_forward_is_cut_at_13_00_summer_time(
    start: str, end: str, expected: list[str]
) -> None:
    assert touched(start, end) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        # 25 October 2026: 03:00 is 02:00 again. 13:00 in Paris is 12:00 UTC, no longer 11:00.
        ("2026-10-25T08:00:00Z", "2026-10-25T12:00:00Z", ["10-25 am"]),
        ("2026-10-25T08:00:00Z", "2026-10-25T12:00:01Z", ["10-25 am", "10-25 pm"]),
        ("2026-10-25T02:50:00+02:00", "2026-10-25T02:10:00+01:00", ["10-25 am"]),
        ("2026-10-24T21:59:59Z", "2026-10-24T22:00:01Z", ["10-24 pm", "10-25 am"]),
        ("2026-10-25T22:30:00Z", "2026-10-25T23:00:00Z", ["10-25 pm"]),
    ],
)
def test_the_day_the_clocks_go_back_is_cut_at_13_00_winter_time(
    start: str, end: str, expected: list[str]
) -> None:
    assert touched(start, end) == expected


def test_two_clock_times_of_the_hour_that_comes_twice_are_compared_as_instants() -> None:
    start = datetime(2026, 10, 24, 13, tzinfo=PARIS)
    first, second = (datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=PARIS) for fold in (0, 1))
    expected = [HalfDay(date(2026, 10, 24), AFTERNOON), HalfDay(date(2026, 10, 25), MORNING)]
    assert half_days(start, first, PARIS, ONE_PM) == expected
    assert half_days(start, second, PARIS, ONE_PM) == expected
    assert half_days(first, second, PARIS, time(2, 30)) == [HalfDay(date(2026, 10, 25), AFTERNOON)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2028-02-28T18:00:00+01:00", "2028-02-29T12:00:00+01:00", ["02-28 pm", "02-29 am"]),
        (
            "2028-02-29T12:00:00+01:00",
            "2028-03-01T00:30:00+01:00",
            ["02-29 am", "02-29 pm", "03-01 am"],
        ),
        ("2026-02-28T18:00:00+01:00", "2026-03-01T09:00:00+01:00", ["02-28 pm", "03-01 am"]),
    ],
)
def test_a_leap_day_has_its_own_half_days(start: str, end: str, expected: list[str]) -> None:
    assert touched(start, end) == expected


def test_the_half_day_is_that_of_the_space_and_not_of_the_clock_that_was_read() -> None:
    reunion = ZoneInfo("Indian/Reunion")
    noon_in_paris = "2026-07-07T12:00:00+02:00"
    assert touched(noon_in_paris, noon_in_paris) == ["07-07 am"]
    assert touched(noon_in_paris, noon_in_paris, reunion) == ["07-07 pm"]


def test_the_month_is_that_of_the_local_date() -> None:
    late = datetime(2026, 7, 31, 22, 30, tzinfo=UTC)
    assert half_day_at(late, PARIS, ONE_PM).month == "2026-08"
    assert half_day_at(late, ZoneInfo("UTC"), ONE_PM).month == "2026-07"


def test_half_days_sort_as_they_follow_each_other() -> None:
    days = [HalfDay(date(2026, 7, day), half) for day in (7, 8) for half in (MORNING, AFTERNOON)]
    assert sorted([days[2], days[3], days[1], days[0]]) == days


@unhurried
@given(any_instant(), st.timedeltas(timedelta(hours=-2), timedelta(days=4)))
def test_half_days_touched_follow_each_other_without_gap_or_repeat(
    start: datetime, length: timedelta
) -> None:
    found = half_days(start, start + length, PARIS, ONE_PM)
    assert found[0] == half_day_at(start, PARIS, ONE_PM)
    for before, after in pairwise(found):
        next_day = before.half == AFTERNOON
        assert after.half != before.half
        assert after.day - before.day == timedelta(1 if next_day else 0)
    local = [moment.astimezone(PARIS) for moment in (start, start + length)]
    assert half_days(*local, PARIS, ONE_PM) == found
