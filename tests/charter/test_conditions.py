"""House conditions are read or refused whole, and held against the charter in force."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import pytest

from charter import model_sources, read_charter
from charter.conditions import Breach, ConditionsError, breaches, read_conditions

RULES = read_charter("1", model_sources()).rules


def read(**conditions: Any) -> Any:
    return read_conditions({"guest_cap": 4, "conditions": conditions})


def test_a_space_without_conditions_takes_visitors_every_day_with_all_services() -> None:
    found = read_conditions({"guest_cap": 4})
    assert found.guests_on(date(2026, 12, 25)) == (4, 4)
    assert found.closed_on(date(2026, 12, 25)) is None
    assert (found.notice_hours, found.included) == (0, None)
    assert list(breaches(RULES, found)) == []


def test_a_weekday_may_have_places_of_its_own() -> None:
    found = read(guests={"mo": 9, "su": [0, 2]})
    days = [found.guests_on(date(2026, 11, 23 + n)) for n in (0, 1, 6)]
    assert days == [(9, 9), (4, 4), (0, 2)]


def test_free_places_go_back_to_the_house_at_the_time_it_says_half_day_by_half_day() -> None:
    found = read(guests={"mo": [3, 2]}, release=["10:00", None])
    monday = date(2026, 11, 23)
    times = [time(9, 59), time(10), time(12, 59), time(13), time(23)]
    assert [found.guests_at(datetime.combine(monday, at)) for at in times] == [3, 0, 0, 2, 2]
    assert found.guests_on(monday) == (3, 2)  # for who books ahead


def test_a_closed_date_is_numbered_within_its_month_whatever_the_order_it_was_written_in() -> None:
    found = read(closed=["2026-12-24", "2026-11-30", "2026-12-01", "2026-12-24"])
    days = [date(2026, 11, 30), date(2026, 12, 1), date(2026, 12, 24), date(2026, 12, 25)]
    assert [found.closed_on(day) for day in days] == [1, 1, 2, None]


@pytest.mark.parametrize(
    ("conditions", "where"),
    [
        ({"guests": {"monday": 1}}, "guests"),
        ({"guests": {"mo": -1}}, "guests"),
        ({"guests": {"mo": True}}, "guests"),
        ({"guests": {"mo": "3"}}, "guests"),
        ({"guests": {"mo": [1]}}, "guests"),
        ({"guests": {"mo": [1, "2"]}}, "guests"),
        ({"guests": {"mo": [1, 2, 3]}}, "guests"),
        ({"release": ["13:00", None]}, "release"),
        ({"release": ["10:00+02:00", None]}, "release"),
        ({"release": [None, "17:00Z"]}, "release"),
        ({"release": [None, "12:59"]}, "release"),
        ({"release": ["soon", None]}, "release"),
        ({"release": ["10:00"]}, "release"),
        ({"release": 10}, "release"),
        ({"guests": []}, None),
        ({"guests": [1]}, "guests"),
        ({"closed": ["24/12/2026"]}, "closed"),
        ({"closed": [20261224]}, "closed"),
        ({"closed": "2026-12-24"}, "closed"),
        ({"closed": ["2026-12-24"] * 401}, "closed"),
        ({"notice_hours": 721}, "notice_hours"),
        ({"notice_hours": 1.5}, "notice_hours"),
        ({"included": "Wi-Fi"}, "included"),
        ({"included": [1]}, "included"),
    ],
)
def test_what_cannot_be_read_is_named(conditions: dict[str, Any], where: str | None) -> None:
    if where is None:  # nothing was given
        read(**conditions)
        return
    with pytest.raises(ConditionsError, match=f"^{where}: "):
        read(**conditions)


def test_what_goes_beyond_the_charter_is_told_with_its_article() -> None:
    four = [f"2026-12-{day:02}" for day in range(1, 5)]
    assert list(breaches(RULES, read(closed=[*four, "2026-11-30"], notice_hours=24))) == []
    found = breaches(RULES, read(closed=[*four, "2026-12-31"], notice_hours=25, guests={"sa": 0}))
    assert list(found) == [
        Breach("sa", 6, 1),
        Breach("closed", 6, 4),
        Breach("notice_hours", 6, 24),
    ]
    none = replace(RULES, guest_cap=None, house_conditions=None)
    assert list(breaches(none, read(closed=[*four, "2026-12-31"], guests={"sa": 0}))) == []
    asked = read_conditions({"guest_cap": 0})
    assert list(breaches(RULES, asked)) == [Breach("guests", 6, 1)]
