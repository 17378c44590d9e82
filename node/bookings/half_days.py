"""Half-days of a booking as rows keep them: ``2026-11-25-am``. They sort as they follow."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time

from charter.halfdays import half_day_at, touched
from charter.hours import Schedule


def codes(schedule: Schedule, start: datetime, end: datetime, split: time) -> list[str]:
    """Return the half-days between two instants on which the space is open."""
    return sorted(f"{each.day}-{each.half}" for each in touched(schedule, start, end, split))


def code_at(schedule: Schedule, instant: datetime, split: time) -> str:
    found = half_day_at(instant, schedule.day_of(instant).day, schedule.zone, split)
    return f"{found.day}-{found.half}"


def day_of(code: str) -> date:
    return date.fromisoformat(code[:10])


def by_month(codes: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for code in codes:
        found.setdefault(code[:7], set()).add(code)
    return found
