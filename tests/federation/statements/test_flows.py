"""The picture of a month shows every half-day of the matrix, to scale and within its frame."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.statements.flows import GAP, LEAST_HEIGHT, MOST, OTHERS, picture

nodes = st.sampled_from([f"n{n}" for n in range(20)])
matrices = st.dictionaries(st.tuples(nodes, nodes), st.integers(-3, 200), max_size=60)


@settings(deadline=None)
@given(matrices)
def test_every_half_day_that_counts_is_drawn_once(matrix: dict[tuple[str, str], int]) -> None:
    drawn = picture(matrix)
    counted = sum(count for count in matrix.values() if count > 0)
    if drawn is None:
        assert counted == 0
        return
    assert sum(ribbon.half_days for ribbon in drawn.ribbons) == counted
    for side, name in ((drawn.homes, "home"), (drawn.hosts, "host")):
        assert len(side) <= MOST
        assert sum(bar.half_days for bar in side) == counted
        for bar in side:
            flows = [r.half_days for r in drawn.ribbons if getattr(r, name) == bar.id]
            assert sum(flows) == bar.half_days
            assert bar.height >= LEAST_HEIGHT
            assert bar.y + bar.height <= drawn.height + 0.1
        tops = [bar.y for bar in side]
        assert all(b - a >= LEAST_HEIGHT + GAP - 0.1 for a, b in itertools.pairwise(tops))


def test_beyond_a_dozen_the_smallest_are_drawn_together() -> None:
    drawn = picture({(f"h{n:02}", "host"): n + 1 for n in range(20)})
    assert drawn is not None
    assert [bar.id for bar in drawn.homes][-1] == OTHERS
    assert drawn.homes[-1].half_days == sum(range(1, 10))
    assert len(drawn.homes) == MOST


def test_a_month_in_which_nothing_counts_has_no_picture() -> None:
    assert picture({}) is None
    assert picture({("a", "b"): 0, ("b", "a"): -2}) is None
