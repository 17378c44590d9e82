"""Which half-days a visit touches: what holds for any visit. Examples: ``cases/halfdays.json``."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.halfdays import AFTERNOON, MORNING, HalfDay, half_day_at, half_days
from charter.hours import Schedule, read_schedule
from tests.charter.test_facts import any_instant, unhurried

PARIS = ZoneInfo("Europe/Paris")
ONE_PM = time(13)
DAY = date(2026, 7, 7)
HOUSES = [
    read_schedule({"timezone": zone, "week": dict.fromkeys(("mo", "tu", "we", "th", "su"), hours)})
    for zone in ("Europe/Paris", "America/Cayenne")
    for hours in (
        [["09:00", "19:00"]],
        [["08:00", "12:00"], ["14:00", "18:00"]],
        [["18:00", "02:00"]],
        [["00:00", "00:00"]],
        [["22:00", "03:00"], ["11:00", "15:00"]],
    )
]
lengths = st.timedeltas(timedelta(), timedelta(hours=30))


def at(clock: str) -> datetime:
    return datetime.combine(DAY, time.fromisoformat(clock), PARIS)


@unhurried
@given(st.sampled_from(HOUSES), any_instant(), st.none() | lengths)
def test_a_visit_touches_its_first_half_day_and_at_most_the_afternoon_of_the_same_day(
    house: Schedule, start: datetime, length: timedelta | None
) -> None:
    found = house.day_of(start)
    zone = house.zone
    end = None if length is None else start + length
    touched = half_days(start, end, found.day, found.openings, zone, ONE_PM)
    assert touched[0] == half_day_at(start, found.day, zone, ONE_PM)
    assert touched[1:] in ((), (HalfDay(found.day, AFTERNOON),))
    assert len(set(touched)) == len(touched)
    local = start.astimezone(zone), end and end.astimezone(zone)
    assert half_days(*local, found.day, found.openings, zone, ONE_PM) == touched


@unhurried
@given(st.sampled_from(HOUSES), any_instant(), lengths, lengths)
def test_a_longer_visit_never_touches_less(
    house: Schedule, start: datetime, length: timedelta, more: timedelta
) -> None:
    found = house.day_of(start)
    short, long_ = (
        half_days(start, end, found.day, found.openings, house.zone, ONE_PM)
        for end in (start + length, start + length + more)
    )
    assert set(short) <= set(long_)


@unhurried
@given(st.sampled_from(HOUSES), any_instant(), lengths)
def test_what_comes_after_the_days_closing_touches_nothing(
    house: Schedule, start: datetime, more: timedelta
) -> None:
    found = house.day_of(start)
    until, beyond = (
        half_days(start, end, found.day, found.openings, house.zone, ONE_PM)
        for end in (found.closes_at, found.closes_at + more)
    )
    if found.openings is not None:
        assert until == beyond


@pytest.mark.parametrize("end", [None, "10:00", "09:59:59", "08:00"])
def test_a_visit_without_length_or_ended_before_it_began_counts_one(end: str | None) -> None:
    touched = half_days(at("10:00"), end and at(end), DAY, None, PARIS, ONE_PM)  # type: ignore[arg-type]
    assert touched == (HalfDay(DAY, MORNING),)


def test_the_half_day_is_that_of_the_space_and_not_of_the_clock_that_was_read() -> None:
    noon = at("12:00").astimezone(UTC)
    assert half_day_at(noon, DAY, PARIS, ONE_PM).half == MORNING
    assert half_day_at(noon, DAY, ZoneInfo("Indian/Reunion"), ONE_PM).half == AFTERNOON


def test_the_month_is_that_of_the_houses_day() -> None:
    past_midnight = datetime(2026, 8, 1, 0, 30, tzinfo=PARIS)
    found = half_day_at(past_midnight, date(2026, 7, 31), PARIS, ONE_PM)
    assert (found.month, found.half) == ("2026-07", AFTERNOON)


def test_half_days_sort_as_they_follow_each_other() -> None:
    days = [HalfDay(date(2026, 7, day), half) for day in (7, 8) for half in (MORNING, AFTERNOON)]
    assert sorted([days[2], days[3], days[1], days[0]]) == days
