"""Small groups are not shown, nor can they be computed from what is. Pure.

A figure that counts fewer than ``LEAST`` people is kept back. A table has totals, so a figure that
stands alone in its row or column could be had by subtraction: others are kept back with it, the
smallest first, until no total gives any of them away. Totals are figures like the others: they are
one more row and one more column, and may be kept back themselves. What is shown is never altered.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

LEAST = 5
TOTAL: Final = "Σ"  # no id of a node, a space or a month

Place = tuple[str, str]
Vertex = tuple[str, str]  # ("row" or "column", its name)


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, and whom it is made of: at most ``LEAST`` of them, enough to know if they are few.

    Of two that are added up no more need be known: either one has ``LEAST`` people, or both are
    complete.
    """

    value: int
    people: frozenset[Hashable]

    def __add__(self, other: Cell) -> Cell:
        return Cell(self.value + other.value, few(self.people | other.people))

    @property
    def empty(self) -> bool:
        return not self.value and not self.people

    @property
    def small(self) -> bool:
        return not self.empty and len(self.people) < LEAST


NOTHING = Cell(0, frozenset())


def few(people: Iterable[Hashable]) -> frozenset[Hashable]:
    """Return at most ``LEAST`` of these."""
    found = frozenset(people)
    return found if len(found) <= LEAST else frozenset(list(found)[:LEAST])


def uncounted(key: Hashable, times: int) -> Cell:
    """Return the cell of something that nobody is noted of: each time stands for one person."""
    return Cell(times, frozenset((key, n) for n in range(min(times, LEAST))))


@dataclass(frozen=True, slots=True)
class Shown:
    """What is published at one place of a table: ``value`` is None where it is kept back.

    ``few`` where it counts fewer than ``LEAST`` people itself; else it protects another.
    """

    value: int | None
    few: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it may be published. Rows and columns are in the order that they were given."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: Mapping[Place, Shown]

    def at(self, row: str, column: str = TOTAL) -> Shown:
        return self.cells.get((row, column), Shown(0))

    @property
    def kept_back(self) -> int:
        """How many figures are not shown, totals aside."""
        inner = (place for place in self.cells if TOTAL not in place)
        return sum(self.cells[place].value is None for place in inner)


def publish(
    rows: Iterable[str],
    columns: Iterable[str],
    cells: Mapping[Place, Cell],
    *,
    total_row_is_known: bool = False,
) -> Table:
    """Return a table with its totals, less what must be kept back.

    ``total_row_is_known`` where anybody knows what each column sums to (balances: zero); then it
    is shown, and protects nothing.
    """
    rows, columns = tuple(rows), tuple(columns)
    whole = _with_totals(cells)
    fixed = {place for place in whole if total_row_is_known and place[0] == TOTAL}
    graph = _Graph(whole, fixed)
    hidden = {place for place, cell in whole.items() if cell.small and place not in fixed}
    while True:
        more = graph.protect(hidden) or graph.enlarge(hidden)
        if not more:
            break
        hidden |= more
    shown = {
        place: Shown(None, cell.small) if place in hidden else Shown(cell.value)
        for place, cell in whole.items()
    }
    return Table(rows, columns, shown)


def _with_totals(cells: Mapping[Place, Cell]) -> dict[Place, Cell]:
    sums: defaultdict[Place, Cell] = defaultdict(lambda: NOTHING)
    for (row, column), cell in cells.items():
        for place in ((row, column), (row, TOTAL), (TOTAL, column), (TOTAL, TOTAL)):
            sums[place] += cell
    return {place: cell for place, cell in sums.items() if not cell.empty}


class _Graph:
    """Rows and columns are vertices, figures edges: a kept-back one on no circle can be computed.

    Each row and column says what its figures sum to. Such equations determine an unknown exactly
    if its edge is a bridge of the graph of the unknown ones.
    """

    def __init__(self, cells: Mapping[Place, Cell], fixed: set[Place]) -> None:
        self._cells = cells
        self._edges: defaultdict[Vertex, list[tuple[Vertex, Place]]] = defaultdict(list)
        for place in cells:
            if place not in fixed:
                row, column = ("row", place[0]), ("column", place[1])
                self._edges[row].append((column, place))
                self._edges[column].append((row, place))

    def protect(self, hidden: set[Place]) -> set[Place]:
        """Return what closes a circle around one bridge; nothing if there is no bridge left."""
        for bridge in sorted(self._bridges(hidden)):
            more = self._cheapest_way(bridge, hidden) - hidden
            if more:
                return more
        return set()

    def enlarge(self, hidden: set[Place]) -> set[Place]:
        """Return the next of a row or column whose kept-back figures together count too few."""
        lines = defaultdict(list)
        for place in sorted(hidden):
            lines["row", place[0]].append(place)
            lines["column", place[1]].append(place)
        for vertex, places in lines.items():
            together: frozenset[Hashable] = frozenset()
            for place in places:
                together |= self._cells[place].people
            others = [place for _, place in self._edges[vertex] if place not in hidden]
            if len(together) < LEAST and others:
                return {min(others, key=lambda place: (self._cost(place), place))}
        return set()

    def _cost(self, place: Place) -> int:
        return 1 + abs(self._cells[place].value)

    def _bridges(self, hidden: set[Place]) -> Iterator[Place]:
        """Yield the kept-back figures that are on no circle of kept-back ones."""
        order: dict[Vertex, int] = {}
        low: dict[Vertex, int] = {}
        for start in {("row", place[0]) for place in hidden}:
            if start in order:
                continue
            order[start] = low[start] = len(order)
            stack: list[tuple[Vertex, Place | None, Iterator[tuple[Vertex, Place]]]]
            stack = [(start, None, iter(self._edges[start]))]
            while stack:
                vertex, came_by, around = stack[-1]
                for other, place in around:
                    if place not in hidden or place == came_by:
                        continue
                    if other in order:
                        low[vertex] = min(low[vertex], order[other])
                        continue
                    order[other] = low[other] = len(order)
                    stack.append((other, place, iter(self._edges[other])))
                    break
                else:
                    stack.pop()
                    if stack and came_by is not None:
                        before = stack[-1][0]
                        low[before] = min(low[before], low[vertex])
                        if low[vertex] > order[before]:
                            yield came_by

    def _cheapest_way(self, bridge: Place, hidden: set[Place]) -> set[Place]:
        """Return the figures of the least that, with the bridge, form a circle."""
        start, goal = ("row", bridge[0]), ("column", bridge[1])
        best: dict[Vertex, int] = {start: 0}
        came: dict[Vertex, tuple[Vertex, Place]] = {}
        queue: list[tuple[int, Vertex]] = [(0, start)]
        while queue:
            cost, vertex = heapq.heappop(queue)
            if vertex == goal:
                break
            if cost > best[vertex]:
                continue
            for other, place in self._edges[vertex]:
                there = cost + (0 if place in hidden else self._cost(place))
                if place != bridge and there < best.get(other, there + 1):
                    best[other], came[other] = there, (vertex, place)
                    heapq.heappush(queue, (there, other))
        way = set()
        while goal in came and goal != start:
            goal, place = came[goal]
            way.add(place)
        return way
