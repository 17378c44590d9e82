"""How many places are taken at once, and which days a span touches."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from node.bookings.occupancy import Span, by_day, most_at_once

PARIS = ZoneInfo("Europe/Paris")
START = datetime(2026, 11, 24, 8, tzinfo=UTC)


def hour(a: float, b: float) -> Span:
    return START + timedelta(hours=a), START + timedelta(hours=b)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=12))
def test_the_most_at_once_is_what_counting_at_every_half_hour_finds(
    spans: list[tuple[int, int]],
) -> None:
    taken = [hour(a, a + length) for a, length in spans]
    within = hour(3, 15)
    instants = [within[0] + timedelta(minutes=30 * n) for n in range(24)]
    counted = max(sum(a <= at < b for a, b in taken) for at in instants)
    assert most_at_once(taken, within) == counted


def test_who_leaves_makes_room_for_who_comes() -> None:
    assert most_at_once([hour(0, 2), hour(2, 4)], hour(0, 4)) == 1


def test_a_span_is_cut_at_the_spaces_midnight_on_the_day_when_clocks_go_back_too() -> None:
    span = (
        datetime(2026, 10, 24, 22, tzinfo=PARIS),
        datetime(2026, 10, 26, 9, tzinfo=PARIS),
    )
    parts = list(by_day(span, PARIS))
    assert [day for day, _ in parts] == [date(2026, 10, 24), date(2026, 10, 25), date(2026, 10, 26)]
    lengths = [
        (b.astimezone(UTC) - a.astimezone(UTC)).total_seconds() / 3600 for _, (a, b) in parts
    ]
    assert lengths == [2, 25, 9]
    assert list(by_day(hour(0, 1), PARIS)) == [(date(2026, 11, 24), hour(0, 1))]
