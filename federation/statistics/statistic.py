"""A picture: what it shows in a sentence, as a drawing, as a table, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from flask_babel import gettext, ngettext

from federation.statistics.chart_shapes import Drawing
from federation.statistics.suppression import LEAST, Shown
from shared.web.formats import number

Value = Shown | int | float | str | None


@dataclass(frozen=True, slots=True)
class Picture:
    """``columns`` are pairs of a code (for programs) and a label, of the CSV's ``rows``.

    On the page there is another table, where ``heads`` and ``shown`` say so. Values are words,
    whole numbers, shares from 0 to 1 (floats), figures that may be kept back, or None where
    nothing is known. ``replies`` are what operators say to it: name, month, words; ``total`` is
    its figure as a whole, where it has one that may be shown.
    """

    name: str
    title: str
    sentence: str
    drawing: Drawing | None
    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Value]]
    notes: Sequence[str] = ()
    heads: Sequence[str] = ()
    shown: Sequence[Sequence[Value]] = ()
    replies: Sequence[tuple[str, str, str]] = ()
    total: Shown = Shown(None)

    @property
    def page_heads(self) -> Sequence[str]:
        return self.heads or [label for _, label in self.columns]

    @property
    def page_rows(self) -> Sequence[Sequence[Value]]:
        return self.shown if self.heads else self.rows

    @property
    def wide(self) -> bool:
        """Whether the table needs the page's whole width."""
        return len(self.page_heads) > 7

    @property
    def kept_back(self) -> bool:
        return any(
            isinstance(value, Shown) and value.value is None
            for row in (*self.rows, *self.shown)
            for value in row
        )


def written(value: Value) -> str:
    """Return a value as people read it."""
    if isinstance(value, Shown):
        if value.value is not None:
            return _whole(value.value)
        return gettext("fewer than %(number)s", number=LEAST) if value.few else gettext("withheld")
    if value is None:
        return "–"
    if isinstance(value, float):
        return percent(value)
    return _whole(value) if isinstance(value, int) else value


def _whole(value: int) -> str:
    return number(value)


def brief(value: Value) -> str:
    """Return a value as it is written where there is little room."""
    if isinstance(value, Shown) and value.value is None:
        return f"<{LEAST}" if value.few else "…"
    return written(value)


def percent(share: float) -> str:
    return gettext("%(number)s %%", number=number(round(100 * share)))


def counted(shown: Shown) -> str:
    """Return a number of half-days within a sentence."""
    if shown.value is None:
        return gettext("a few half-days")
    return half_days(shown.value)


def half_days(count: int) -> str:
    return ngettext("%(number)s half-day", "%(number)s half-days", count, number=number(count))


def as_csv(picture: Picture) -> str:
    """Return all rows: ``<5`` and ``withheld`` for what is kept back, nothing for the unknown.

    A cell that a spreadsheet would take for a formula is quoted with an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([code for code, _ in picture.columns])
    for row in picture.rows:
        writer.writerow([_plain(value) for value in row])
    return out.getvalue()


def _plain(value: Value) -> str | int:
    if isinstance(value, Shown):
        if value.value is not None:
            return value.value
        return f"<{LEAST}" if value.few else "withheld"
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def in_order(names: Iterable[str], shown: Callable[[str], Shown]) -> list[str]:
    """Return names by the figure that is shown, the largest first.

    Those kept back come last, by name: their place must not say how large they are.
    """

    def key(name: str) -> tuple[bool, int, str]:
        value = shown(name).value
        return value is None, -abs(value or 0), name

    return sorted(names, key=key)


def largest(sums: Iterable[tuple[str, int]], most: int) -> list[str]:
    """Return the names with the largest figures, the largest first."""
    ordered = sorted(sums, key=lambda item: (-item[1], item[0]))
    return [name for name, _ in ordered[:most]]
