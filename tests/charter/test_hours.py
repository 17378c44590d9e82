"""When a space is open: weeks, exceptions, nights, DST, and schedules that cannot be read."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charter.hours import HoursError, Schedule, read_schedule
from tests.charter.test_facts import any_instant, unhurried

PARIS = ZoneInfo("Europe/Paris")
WEEKDAYS = ("mo", "tu", "we", "th", "fr")
OFFICE = read_schedule(
    {
        "timezone": "Europe/Paris",
        "week": {
            **{day: [["09:00", "19:00"]] for day in WEEKDAYS},
            "sa": [["14:00", "18:00"], ["09:00", "12:30"]],
        },
        "exceptions": {
            "2026-07-14": [],
            "2026-12-24": [["09:00", "12:00"]],
            "2026-07-19": [["10:00", "16:00"]],
            "2028-02-29": [["20:00", "22:00"]],
        },
    }
)
BAR = read_schedule(
    {"timezone": "Europe/Paris", "week": {"sa": [["20:00", "04:00"]], "fr": [["20:00", "00:00"]]}}
)
NEVER = read_schedule({"timezone": "Europe/Paris"})


def opening(schedule: Schedule, at: str) -> tuple[str, str] | None:
    found = schedule.opening_at(datetime.fromisoformat(at))
    return (found[0].isoformat(), found[1].isoformat()) if found else None


@pytest.mark.parametrize(
    ("clock", "is_open"),
    [
        ("08:59:59.999999", False),
        ("09:00:00", True),
        ("13:00:00", True),
        ("18:59:59.999999", True),
        ("19:00:00", False),
    ],
)
def test_a_space_is_open_from_its_opening_to_just_before_its_closing(
    clock: str, is_open: bool
) -> None:
    found = opening(OFFICE, f"2026-07-07T{clock}+02:00")
    expected = ("2026-07-07T09:00:00+02:00", "2026-07-07T19:00:00+02:00")
    assert found == (expected if is_open else None)


def test_a_day_may_have_several_openings_given_in_any_order() -> None:
    assert opening(OFFICE, "2026-07-11T12:00:00+02:00") == (
        "2026-07-11T09:00:00+02:00",
        "2026-07-11T12:30:00+02:00",
    )
    assert opening(OFFICE, "2026-07-11T13:00:00+02:00") is None
    assert opening(OFFICE, "2026-07-11T15:00:00+02:00") == (
        "2026-07-11T14:00:00+02:00",
        "2026-07-11T18:00:00+02:00",
    )


def test_a_weekday_that_is_not_given_is_closed() -> None:
    assert opening(OFFICE, "2026-07-12T10:00:00+02:00") is None


def test_an_exception_replaces_the_whole_date() -> None:
    assert opening(OFFICE, "2026-07-14T10:00:00+02:00") is None
    assert opening(OFFICE, "2026-12-24T15:00:00+01:00") is None
    assert opening(OFFICE, "2026-07-19T10:00:00+02:00") is not None
    assert opening(OFFICE, "2028-02-29T10:00:00+01:00") is None
    assert opening(OFFICE, "2028-02-29T21:00:00+01:00") is not None


def test_an_end_before_its_start_is_on_the_next_day() -> None:
    expected = ("2026-07-11T20:00:00+02:00", "2026-07-12T04:00:00+02:00")
    assert opening(BAR, "2026-07-11T23:59:59+02:00") == expected
    assert opening(BAR, "2026-07-12T03:59:59+02:00") == expected
    assert opening(BAR, "2026-07-12T04:00:00+02:00") is None


def test_an_end_at_midnight_is_the_end_of_the_day() -> None:
    assert opening(BAR, "2026-07-10T23:59:59+02:00") == (
        "2026-07-10T20:00:00+02:00",
        "2026-07-11T00:00:00+02:00",
    )
    assert opening(BAR, "2026-07-11T00:00:00+02:00") is None


def test_a_space_may_be_open_round_the_clock() -> None:
    days = (*WEEKDAYS, "sa", "su")
    always = read_schedule(
        {"timezone": "Europe/Paris", "week": {day: [["00:00", "00:00"]] for day in days}}
    )
    assert opening(always, "2026-07-07T00:00:00+02:00") == (
        "2026-07-07T00:00:00+02:00",
        "2026-07-08T00:00:00+02:00",
    )
    assert always.opening_at(datetime(2026, 10, 25, 0, 30, tzinfo=UTC)) is not None


@pytest.mark.parametrize(
    ("instant", "is_open"),
    [
        ("2026-03-27T08:00:00Z", True),  # 09:00 in winter
        ("2026-03-27T07:59:59Z", False),
        ("2026-03-30T07:00:00Z", True),  # 09:00 in summer
        ("2026-03-30T17:00:00Z", False),
        ("2026-10-23T07:00:00Z", True),
        ("2026-10-26T07:59:59Z", False),
        ("2026-10-26T08:00:00Z", True),
    ],
)
def test_hours_follow_the_wall_clock_over_both_changes(instant: str, is_open: bool) -> None:
    assert (opening(OFFICE, instant) is not None) is is_open


@pytest.mark.parametrize(
    ("instant", "closes", "hours"),
    [
        ("2026-03-29T00:30:00Z", "2026-03-29T04:00:00+02:00", 7),
        ("2026-03-29T01:30:00Z", "2026-03-29T04:00:00+02:00", 7),
        ("2026-10-25T00:30:00Z", "2026-10-25T04:00:00+01:00", 9),
        ("2026-10-25T01:30:00Z", "2026-10-25T04:00:00+01:00", 9),
        ("2026-10-25T02:59:59Z", "2026-10-25T04:00:00+01:00", 9),
    ],
)
def test_a_night_is_an_hour_shorter_or_longer_when_the_clocks_change(
    instant: str, closes: str, hours: int
) -> None:
    found = BAR.opening_at(datetime.fromisoformat(instant))
    assert found is not None
    assert found[1].isoformat() == closes
    assert found[1].astimezone(UTC) - found[0].astimezone(UTC) == timedelta(hours=hours)


def test_the_hour_that_comes_twice_is_read_as_two_instants() -> None:
    early = read_schedule({"timezone": "Europe/Paris", "week": {"sa": [["20:00", "02:30"]]}})
    first, second = (datetime(2026, 10, 25, 2, 15, fold=fold, tzinfo=PARIS) for fold in (0, 1))
    assert early.opening_at(first) is not None
    assert early.opening_at(second) is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-07-07T08:00:00+02:00", "2026-07-07T09:00:00+02:00"),
        ("2026-07-07T09:00:00+02:00", "2026-07-08T09:00:00+02:00"),
        ("2026-07-11T12:45:00+02:00", "2026-07-11T14:00:00+02:00"),
        ("2026-07-11T18:00:00+02:00", "2026-07-13T09:00:00+02:00"),
        ("2026-07-13T20:00:00+02:00", "2026-07-15T09:00:00+02:00"),
        ("2026-07-18T20:00:00+02:00", "2026-07-19T10:00:00+02:00"),
        ("2026-03-28T20:00:00+01:00", "2026-03-30T09:00:00+02:00"),
        ("2026-10-24T20:00:00+02:00", "2026-10-26T09:00:00+01:00"),
        ("2028-02-28T19:00:00+01:00", "2028-02-29T20:00:00+01:00"),
    ],
)
def test_the_next_opening_is_the_first_after_this_instant(at: str, expected: str) -> None:
    found = OFFICE.next_opening(datetime.fromisoformat(at))
    assert found is not None
    assert found.isoformat() == expected


def test_a_next_opening_is_looked_for_in_so_many_days_only() -> None:
    friday = datetime(2026, 7, 10, 20, tzinfo=PARIS)
    assert BAR.next_opening(friday, days=0) is None
    assert BAR.next_opening(friday, days=1) == datetime(2026, 7, 11, 20, tzinfo=PARIS)
    assert NEVER.next_opening(friday) is None


def test_a_visit_that_nobody_ends_is_over_at_closing_or_at_midnight() -> None:
    assert OFFICE.closing_after(datetime(2026, 7, 7, 10, tzinfo=PARIS)).isoformat() == (
        "2026-07-07T19:00:00+02:00"
    )
    assert NEVER.closing_after(datetime(2026, 10, 24, 22, 30, tzinfo=UTC)).isoformat() == (
        "2026-10-26T00:00:00+01:00"
    )


def test_hours_are_known_as_soon_as_one_weekday_has_some() -> None:
    assert OFFICE.known
    assert BAR.known
    assert not NEVER.known
    assert not read_schedule({"timezone": "Europe/Paris", "week": {"mo": []}}).known


def test_what_is_absent_or_null_is_a_week_without_openings() -> None:
    found = read_schedule({"timezone": "Europe/Paris", "week": None, "exceptions": None})
    assert found == NEVER
    assert found.on(date(2026, 7, 7)) == ()


def test_times_are_kept_as_local_times_in_order() -> None:
    assert OFFICE.on(date(2026, 7, 11)) == ((time(9), time(12, 30)), (time(14), time(18)))


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({}, "timezone: "),
        ({"timezone": None}, "timezone: "),
        ({"timezone": ""}, "timezone: "),
        ({"timezone": "Europe"}, "timezone: "),
        ({"timezone": "Mars/Olympus"}, "timezone: "),
        ({"timezone": "../../etc/passwd"}, "timezone: "),
        ({"timezone": ["Europe/Paris"]}, "timezone: "),
        ({"week": {"monday": []}}, "week: unknown day monday"),
        ({"week": ["mo"]}, "week: a table is expected"),
        ({"week": {"mo": None}}, r"week\.mo: pairs of times"),
        ({"week": {"mo": 9}}, r"week\.mo: pairs of times"),
        ({"week": {"mo": ["09:00", "19:00"]}}, r"week\.mo: pairs of times"),
        ({"week": {"tu": [["09:00"]]}}, r"week\.tu: pairs of times"),
        ({"week": {"tu": [["09:00", "7 pm"]]}}, r"week\.tu: pairs of times"),
        ({"week": {"tu": [["09:00", "25:00"]]}}, r"week\.tu: pairs of times"),
        ({"week": {"tu": [["09:00+02:00", "19:00"], ["20:00", "21:00"]]}}, r"week\.tu: pairs"),
        ({"week": {"su": [[9, 19]]}}, r"week\.su: pairs of times"),
        ({"exceptions": ["2026-12-25"]}, "exceptions: a table is expected"),
        ({"exceptions": {"25/12/2026": []}}, "exceptions: a date like"),
        ({"exceptions": {"2026-02-29": []}}, "exceptions: a date like"),
        ({"exceptions": {"2026-12-25": "closed"}}, r"exceptions\.2026-12-25: pairs of times"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused_naming_the_place(
    document: dict[str, Any], fault: str
) -> None:
    whole = {"timezone": "Europe/Paris", **document} if document else document
    with pytest.raises(HoursError, match=f"^{fault}"):
        read_schedule(whole)


@unhurried
@given(st.sampled_from([OFFICE, BAR]), any_instant())
def test_an_instant_is_open_or_comes_before_the_next_opening(
    schedule: Schedule, instant: datetime
) -> None:
    found, following = schedule.opening_at(instant), schedule.next_opening(instant)
    assert found == schedule.opening_at(instant.astimezone(PARIS))
    assert following is not None
    assert following > instant
    assert schedule.opening_at(following) is not None
    if found:
        assert found[0] <= instant < found[1]
        assert schedule.closing_after(instant) == schedule.day_of(instant).closes_at >= found[1]
