"""Repetitions: as another library works them out, and bounded where that one is not."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from node.adapters.interface import Unreadable
from node.adapters.recurrence import WEEKDAYS, Budget, limit, recurring

START = datetime(2024, 2, 29, 18, 30)  # noqa: DTZ001 - by the clock on the wall
UNTIL = datetime(2029, 1, 1)  # noqa: DTZ001
NUMBERS = {
    "BYMONTH": st.integers(1, 12),
    "BYMONTHDAY": st.one_of(st.integers(1, 31), st.integers(-31, -1)),
    "BYYEARDAY": st.one_of(st.integers(1, 366), st.integers(-366, -1)),
    "BYWEEKNO": st.one_of(st.integers(1, 53), st.integers(-53, -1)),
}


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.integers(1, 7))}"]
    allowed = {"DAILY": ["BYMONTH", "BYMONTHDAY"], "WEEKLY": ["BYMONTH"]}.get(
        freq, ["BYMONTH", "BYMONTHDAY", "BYYEARDAY"]
    )
    for name in draw(st.sets(st.sampled_from(allowed), max_size=1)):
        numbers = draw(st.lists(NUMBERS[name], min_size=1, max_size=4, unique=True))
        parts.append(f"{name}={','.join(map(str, numbers))}")
    if draw(st.booleans()):
        # Which of its weekdays, or each of them: the other library cannot mix the two.
        counted = freq in ("MONTHLY", "YEARLY") and draw(st.booleans())
        nth = st.sampled_from(["1", "2", "5", "-1", "-3"] if counted else [""])
        days = st.tuples(nth, st.sampled_from(WEEKDAYS)).map("".join)
        parts.append(f"BYDAY={','.join(draw(st.lists(days, min_size=1, max_size=3, unique=True)))}")
    if freq in ("MONTHLY", "YEARLY") and draw(st.booleans()):
        parts.append(f"BYSETPOS={draw(st.sampled_from(['1', '-1', '2,3']))}")
    if freq == "WEEKLY":
        parts.append(f"WKST={draw(st.sampled_from(['MO', 'SU']))}")
    return ";".join(parts)


def ours(rule: str, start: datetime = START, until: datetime = UNTIL) -> list[datetime]:
    return list(recurring(rule, start, until, Budget(10**6)))


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(rules(), st.integers(0, 800))
def test_what_recurs_is_what_another_library_says(rule: str, later: int) -> None:
    start = START + timedelta(days=later)
    # That library searches on where nothing matches: an end keeps it short.
    theirs = [start]
    other = rrulestr(f"RRULE:{rule};UNTIL=20290101T000000", dtstart=start)
    theirs += [moment for moment in islice(other, 5000) if moment != start]
    assert ours(rule, start) == theirs


@settings(max_examples=200, deadline=None)
@given(rules(), st.integers(0, 1500))
def test_beginning_later_leaves_out_only_what_is_before(rule: str, later: int) -> None:
    since = START + timedelta(days=later)
    found = list(recurring(rule, START, UNTIL, Budget(10**6), since))
    assert [m for m in found if m >= since] == [m for m in ours(rule) if m >= since]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=YEARLY", ["2024-02-29", "2028-02-29"]),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", ["2024-02-29", "2024-03-29", "2024-04-26"]),
        ("FREQ=DAILY;COUNT=2", ["2024-02-29", "2024-03-01"]),
        ("FREQ=MONTHLY;COUNT=1", ["2024-02-29"]),
        (
            "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3",
            ["2024-02-29", "2024-05-13", "2025-05-12"],
        ),
    ],
)
def test_what_recurs_is_told_by_days(rule: str, days: list[str]) -> None:
    assert [moment.date().isoformat() for moment in ours(rule)] == days


@pytest.mark.parametrize(
    "rule",
    [
        *("", "FREQ=", "FREQ=SECONDLY", "FREQ=MINUTELY", "FREQ=HOURLY", "FREQ=ALWAYS"),
        *("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=-1", "FREQ=DAILY;INTERVAL=x"),
        *("FREQ=DAILY;COUNT=0", "FREQ=DAILY;BYSECOND=1", "FREQ=DAILY;BYHOUR=1,2,3"),
        *("FREQ=WEEKLY;BYDAY=1MO", "FREQ=WEEKLY;BYDAY=XX", "FREQ=DAILY;RSCALE=HEBREW"),
        *("FREQ=DAILY;WKST=XX", "FREQ=YEARLY;BYWEEKNO=1;WKST=SU"),
    ],
)
def test_a_rule_that_is_not_understood_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        ours(rule)


@pytest.mark.parametrize("freq", ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_a_rule_that_never_matches_ends(freq: str) -> None:
    began = time.monotonic()
    assert ours(f"FREQ={freq};BYMONTH=2;BYMONTHDAY=30") == [START]
    assert time.monotonic() - began < 2


def test_a_rule_without_end_is_cut_off_by_the_budget() -> None:
    with pytest.raises(Unreadable):
        list(recurring("FREQ=DAILY", datetime(1, 1, 1), UNTIL, Budget(100_000)))  # noqa: DTZ001


def test_the_end_of_a_rule_is_told() -> None:
    assert limit("FREQ=DAILY;UNTIL=20261231") == "20261231"
    assert limit("FREQ=DAILY") is None
