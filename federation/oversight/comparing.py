"""When a host's visits of a month stand out: a simple rule, written down.

A host is *out of line* in a month of at least ``LEAST_VISITS`` visits if one of the ``MEASURES``

- is at its floor or above, and if it is a share, at least ``LEAST_CASES`` visits make it up;
- is at least ``times`` the median of the other hosts in the same month; and
- is at least ``times`` what it was in the host's own three months before, taken together. From
  half of the visits on (``BY_ITSELF``), its own past excuses no share.

Who had fewer than ``LEAST_VISITS`` visits is compared with nobody. Where there is neither a past
nor anybody else to compare with, only a share from half of the visits on stands out.

Nothing follows from it but that people look: who is cut off by a power failure stands out, too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from statistics import median

LEAST_VISITS, LEAST_CASES = 5, 3
MONTHS_BEFORE = 3
BY_ITSELF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Figures:
    """What a host told in a month, in numbers.

    ``visits`` are those that stand or are held, by one who undid them or for want of proof;
    ``counted`` those that stand. ``late``: told later than the charter's article on doors without
    network lets anybody wait; ``offline``: let in without the network; ``flagged``: the hub would
    have refused them; ``unclosed``: over, and nobody said when. ``half_days`` are those of
    ``counted``; ``passes`` those that were shown, over several months as often as in each.
    """

    visits: int = 0
    counted: int = 0
    late: int = 0
    offline: int = 0
    flagged: int = 0
    held: int = 0
    unclosed: int = 0
    passes: int = 0
    half_days: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def __sub__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, f.name) - getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure by another, with the floor and the factor from which it stands out."""

    name: str
    of: str
    floor: Fraction
    times: Fraction

    @property
    def is_share(self) -> bool:
        return self.of == "visits"

    def value(self, figures: Figures | None) -> Fraction | None:
        """Return the share, or how many there are of each; None where that would say nothing."""
        if figures is None or figures.visits < LEAST_VISITS:
            return None
        whole = getattr(figures, self.of)
        return Fraction(getattr(figures, self.name), whole) if whole else None


_FIFTH, _TWICE = Fraction(1, 5), Fraction(2)
MEASURES = (
    Measure("late", "visits", _FIFTH, _TWICE),
    Measure("offline", "visits", _FIFTH, _TWICE),
    Measure("flagged", "visits", _FIFTH, _TWICE),
    Measure("held", "visits", _FIFTH, _TWICE),
    Measure("unclosed", "visits", _FIFTH, _TWICE),
    # No visit has more than the two half-days of its day.
    Measure("half_days", "counted", Fraction(3, 2), Fraction(3, 2)),
    Measure("visits", "passes", Fraction(4), _TWICE),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A measure by which a host is out of line; ``elsewhere`` are all other hosts together."""

    measure: Measure
    here: Figures
    before: Figures | None
    elsewhere: Figures | None


def medians(month: Mapping[str, Figures]) -> dict[str, Fraction | None]:
    """Return the median of each measure over the hosts that have enough visits."""
    known = {measure: _values(measure, month) for measure in MEASURES}
    return {each.name: median(values) if values else None for each, values in known.items()}


def findings(
    month: Mapping[str, Figures], before: Mapping[str, Figures]
) -> dict[str, list[Finding]]:
    """Return the hosts that are out of line, and by what; ``before`` are the three months before.

    By host; who has nothing there has no past.
    """
    everybody = sum(month.values(), Figures())
    known = {measure: _values(measure, month) for measure in MEASURES}
    found = dict[str, list[Finding]]()
    for host, here in month.items():
        own, others = before.get(host), everybody - here
        for measure in MEASURES:
            typical = _typical(known[measure], measure, here)
            if stands_out(measure, here, measure.value(own), typical):
                finding = Finding(measure, here, own, others if others.visits else None)
                found.setdefault(host, []).append(finding)
    return found


def _values(measure: Measure, month: Mapping[str, Figures]) -> list[Fraction]:
    return sorted(value for each in month.values() if (value := measure.value(each)) is not None)


def _typical(values: list[Fraction], measure: Measure, here: Figures) -> Fraction | None:
    """Return the median of the sorted values without the host's own."""
    own, count = measure.value(here), len(values) - 1
    if own is None or not count:
        return None
    at = bisect_left(values, own)
    middle = {(count - 1) // 2, count // 2}
    return median(values[i if i < at else i + 1] for i in middle)


def stands_out(
    measure: Measure, here: Figures, before: Fraction | None, elsewhere: Fraction | None
) -> bool:
    """Apply the rule to one measure; None is nothing to compare with."""
    value = measure.value(here)
    if value is None or value < measure.floor:
        return False
    if measure.is_share and getattr(here, measure.name) < LEAST_CASES:
        return False
    above_others = elsewhere is None or value >= measure.times * elsewhere
    above_before = before is None or value >= measure.times * before
    if measure.is_share and value >= BY_ITSELF:
        return above_others
    return above_others and above_before and not (before is None and elsewhere is None)
