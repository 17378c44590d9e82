"""How many places are taken when: pure, over spans of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from charter.conditions import NOON

Span = tuple[datetime, datetime]
"""From an aware instant, up to but without another."""


def most_at_once(spans: Iterable[Span], within: Span) -> int:
    """Return the highest number of spans that are under way at one instant of ``within``."""
    start, end = within
    changes = []
    for a, b in spans:
        first, last = max(a, start), min(b, end)
        if first < last:
            changes += [(first, 1), (last, -1)]
    here = most = 0
    for _, change in sorted(changes):  # at one instant, who leaves goes before who comes
        here += change
        most = max(most, here)
    return most


def by_day(span: Span, zone: ZoneInfo) -> Iterator[tuple[date, Span]]:
    """Yield each local day that a span touches, with the part of the span that is in it."""
    start, end = span
    day = start.astimezone(zone).date()
    while True:
        following = datetime.combine(day + timedelta(1), time(), zone)
        part = max(start, datetime.combine(day, time(), zone)), min(end, following)
        if part[0] < part[1]:
            yield day, part
        if following >= end:
            return
        day += timedelta(1)


def by_half_day(span: Span, zone: ZoneInfo) -> Iterator[tuple[date, bool, Span]]:
    """Yield each half-day that a span touches: its day, whether it is the afternoon, the part."""
    for day, (start, end) in by_day(span, zone):
        noon = datetime.combine(day, NOON, zone)
        for afternoon, a, b in ((False, start, min(end, noon)), (True, max(start, noon), end)):
            if a < b:
                yield day, afternoon, (a, b)


def around(span: Span) -> Span:
    """Return a span that holds all the months that another touches, in whatever zone."""
    first, last = (each.replace(day=1, hour=0, minute=0) for each in span)
    return first - timedelta(days=2), last + timedelta(days=34)
