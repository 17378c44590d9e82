"""Nothing that counts fewer than five people is published, nor follows from what is."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.statistics.suppression import LEAST, TOTAL, Cell, Place, Table, few, publish

PEOPLE = st.frozensets(st.integers(0, 12), min_size=1, max_size=8)
CELLS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("wxyz")),
    st.builds(lambda people, more: (len(people) + more, people), PEOPLE, st.integers(0, 9)),
    min_size=1,
)
Given = dict[Place, tuple[int, frozenset[int]]]


def _whole(given_: Given) -> Given:
    """Return the cells with their totals, and everybody who is counted in each."""
    whole: Given = {}
    for (row, column), (value, people) in given_.items():
        for place in {(row, column), (row, TOTAL), (TOTAL, column), (TOTAL, TOTAL)}:
            before = whole.get(place, (0, frozenset()))
            whole[place] = before[0] + value, before[1] | people
    return whole


def _table(given_: Given, *, known: bool = False) -> Table:
    cells = {place: Cell(value, few(people)) for place, (value, people) in given_.items()}
    rows, columns = sorted({row for row, _ in cells}), sorted({column for _, column in cells})
    return publish(rows, columns, cells, total_row_is_known=known)


def _determined(unknown: list[Place]) -> set[Place]:
    """Return which unknown figures the equations of rows and columns determine: elimination.

    Each row's cells less its total are zero, each column's too; only unknown figures remain on
    the left.
    """
    index = {place: n for n, place in enumerate(unknown)}
    equations = []
    for side in (0, 1):
        for name in {place[side] for place in unknown}:
            line = [Fraction(0)] * len(unknown)
            for place in unknown:
                if place[side] == name:
                    line[index[place]] = Fraction(-1 if place[1 - side] == TOTAL else 1)
            equations.append(line)
    pivots = dict[int, list[Fraction]]()
    for equation in equations:
        line = equation
        for column, pivot in pivots.items():
            factor = line[column]
            line = [a - factor * b for a, b in zip(line, pivot, strict=True)]
        lead = next((n for n, value in enumerate(line) if value), None)
        if lead is not None:
            factor = line[lead]
            line = [value / factor for value in line]
            for column, pivot in pivots.items():
                factor = pivot[lead]
                pivots[column] = [a - factor * b for a, b in zip(pivot, line, strict=True)]
            pivots[lead] = line
    return {unknown[n] for n, line in pivots.items() if sum(map(bool, line)) == 1}


def _check(given_: Given, *, known: bool = False) -> None:
    whole, table = _whole(given_), _table(given_, known=known)
    hidden = [place for place, shown in table.cells.items() if shown.value is None]
    for place, (value, people) in whole.items():
        fixed = known and place[0] == TOTAL
        if place not in hidden:
            assert fixed or len(people) >= LEAST, "a small group is shown"
            assert table.cells[place].value == value, "what is shown is exact"
        else:
            assert table.cells[place].few == (len(people) < LEAST)
    assert not _determined(hidden), "a figure can be computed from the others"
    for side in (0, 1):
        for name in {place[side] for place in hidden}:
            together = frozenset[int]().union(
                *(whole[place][1] for place in hidden if place[side] == name)
            )
            rest = [p for p in whole if p[side] == name and p not in hidden]
            assert len(together) >= LEAST or all(known and p[0] == TOTAL for p in rest)
    if all(len(people) >= LEAST for _, people in given_.values()):
        assert not hidden, "nothing is kept back without need"


@settings(deadline=None, max_examples=150)
@given(CELLS)
def test_no_small_group_is_shown_or_follows_from_what_is(given_: Given) -> None:
    _check(given_)


@settings(deadline=None, max_examples=60)
@given(CELLS)
def test_it_holds_too_where_everybody_knows_what_columns_sum_to(given_: Given) -> None:
    # Each flow is given by one and received by another.
    balances: Given = {}
    for (row, month), (value, people) in given_.items():
        for node, signed in ((row, value), (f"{row}'s partner", -value)):
            before = balances.get((node, month), (0, frozenset()))
            balances[node, month] = before[0] + signed, before[1] | people
    _check(balances, known=True)


def test_the_smallest_other_figure_goes_with_a_small_one() -> None:
    everybody = [frozenset(range(n, n + 6)) for n in (0, 10, 20)]
    table = _table(
        {
            ("a", "w"): (3, frozenset({99})),
            ("b", "w"): (40, everybody[0]),
            ("c", "w"): (50, everybody[1]),
            ("d", "w"): (60, everybody[2]),
        }
    )
    assert table.at("a", "w").few
    assert table.at("b", "w").value is None
    assert not table.at("b", "w").few
    assert table.at("c", "w").value == 50
    assert table.at(TOTAL, "w").value == 153


def test_two_hundred_operators_are_published_at_once() -> None:
    cells = {
        (f"n{a:03}", f"n{b:03}"): Cell((a * b) % 17 + 1, few(range((a + b) % 9 + 1)))
        for a in range(50)
        for b in range(50)
        if (a * 7 + b) % 5
    }
    rows = [f"n{a:03}" for a in range(50)]
    assert publish(rows, rows, cells).kept_back > 0
