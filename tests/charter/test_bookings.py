"""Half-days that are booked ahead, under the model charter's six at a host and sixteen in all."""

from __future__ import annotations

from dataclasses import replace

from charter import model_sources, read_charter
from charter.bookings import beyond, left_unasked, over_host_month

RULES = read_charter("1", model_sources()).rules
NO_LIMITS = replace(RULES, half_days=None)
WEEK = [f"2026-12-{day:02}{half}" for day in (7, 8, 9) for half in ("am", "pm")]


def against(asked: list[str], booked: set[tuple[str, str]], **left: int | None) -> list[str]:
    given = {"host": 5, "network": 15, **left}
    return [reason.code for reason in beyond(RULES, "troquet", asked, booked, given)]


def test_what_is_left_where_nobody_was_asked_is_the_charters_or_the_plans() -> None:
    assert left_unasked(RULES, None) == {"host": 5, "network": 15}
    assert left_unasked(RULES, 4) == {"host": 5, "network": 3}
    assert left_unasked(replace(NO_LIMITS, reciprocity_floor=None), 4) == {
        "host": None,
        "network": None,
    }


def test_a_booking_uses_what_is_left_beside_those_that_are_there() -> None:
    assert against(WEEK, set()) == []
    assert against([*WEEK, "2026-12-10am"], set()) == ["quota_host"]
    assert against(WEEK, {("troquet", "2026-12-01am")}) == ["quota_host"]
    assert against(WEEK, {("troquet", WEEK[0])}) == [], "its own half-day is no other"
    assert against(WEEK, {("usine", "2026-12-01am")}, network=5) == ["quota_network"]
    assert against(WEEK, set(), host=None, network=None) == []


def test_the_reason_says_how_many_were_asked_and_are_left() -> None:
    [reason] = beyond(RULES, "troquet", WEEK, set(), {"host": 2, "network": 15})
    assert reason.params == {"limit": 6, "used": 3, "asked": 6, "left": 3}


def test_a_host_counts_the_months_that_a_booking_touches() -> None:
    assert not over_host_month(RULES, set(WEEK), {"2026-11-30am"})
    assert over_host_month(RULES, set(WEEK), {"2026-12-01am"})
    assert not over_host_month(RULES, {"2027-01-04am"}, {*WEEK, "2026-12-01am"})
    assert not over_host_month(NO_LIMITS, set(WEEK), {"2026-12-01am"})
