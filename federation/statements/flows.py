"""The month as a picture: half-days flow from homes, on the left, to hosts, on the right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

WIDTH, LABELS, BAR, GAP = 360.0, 130.0, 8.0, 6.0
TALL = 460.0
LEAST_HEIGHT = 16.0  # of a bar: its name stands beside it
MOST = 12
OTHERS = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One node on one side; ``id`` is empty for all the others taken together."""

    id: str
    half_days: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Ribbon:
    """Half-days of one home's members at one host, from their top at the one to that at the other.

    ``hue`` is 0 to 5.
    """

    home: str
    host: str
    half_days: int
    hue: int
    at_home: float
    at_host: float
    thick: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Lengths are in the units of a view box that is ``WIDTH`` wide."""

    height: float
    homes: tuple[Bar, ...]
    hosts: tuple[Bar, ...]
    ribbons: tuple[Ribbon, ...]


def picture(matrix: Mapping[tuple[str, str], int]) -> Picture | None:
    """Draw half-days by (home, host); None where there is nothing to draw.

    Beyond ``MOST`` nodes on a side, the smallest are drawn together. What was reversed on balance
    is not drawn: the table beside says it.
    """
    flows = {pair: count for pair, count in matrix.items() if count > 0}
    if not flows:
        return None
    kept = [_largest(flows, side) for side in (0, 1)]
    together = Counter[tuple[str, str]]()
    for (home, host), count in flows.items():
        together[home if home in kept[0] else OTHERS, host if host in kept[1] else OTHERS] += count
    # Enough for the smallest flow's bar to hold its name, and no higher than it must be; of
    # many half-days, each is thinner.
    count = sum(together.values())
    scale = min(LEAST_HEIGHT, max(260.0 / count, min(2.0, TALL / count)))
    homes, hosts = (_bars(together, side, scale) for side in (0, 1))
    height = max(bar.y + bar.height for bar in (*homes, *hosts))
    return Picture(height, homes, hosts, _ribbons(together, homes, hosts, scale))


def _largest(flows: Mapping[tuple[str, str], int], side: int) -> set[str]:
    sums = Counter[str]()
    for pair, count in flows.items():
        sums[pair[side]] += count
    most = MOST if len(sums) <= MOST else MOST - 1
    return {node for node, _ in sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:most]}


def _bars(together: Mapping[tuple[str, str], int], side: int, scale: float) -> tuple[Bar, ...]:
    sums = Counter[str]()
    for pair, count in together.items():
        sums[pair[side]] += count
    bars, y = list[Bar](), 0.0
    for node in sorted(sums, key=lambda node: (node == OTHERS, -sums[node], node)):
        height = max(LEAST_HEIGHT, sums[node] * scale)
        bars.append(Bar(node, sums[node], round(y, 1), round(height, 1)))
        y += height + GAP
    return tuple(bars)


def _ribbons(
    together: Mapping[tuple[str, str], int],
    homes: tuple[Bar, ...],
    hosts: tuple[Bar, ...],
    scale: float,
) -> tuple[Ribbon, ...]:
    # Flows begin in the middle of a bar that is higher than they are.
    at_home = {bar.id: bar.y + (bar.height - bar.half_days * scale) / 2 for bar in homes}
    at_host = {bar.id: bar.y + (bar.height - bar.half_days * scale) / 2 for bar in hosts}
    found = []
    for n, home in enumerate(homes):
        for host in hosts:
            count = together.get((home.id, host.id), 0)
            if not count:
                continue
            thick, a, b = count * scale, at_home[home.id], at_host[host.id]
            at_home[home.id], at_host[host.id] = a + thick, b + thick
            found.append(Ribbon(home.id, host.id, count, n % 6, a, b, thick))
    return tuple(found)
