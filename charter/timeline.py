"""One person's visits in order: when each one ends, and which half-days they touch. Pure.

Whatever happens (a visit is told, late or not; somebody leaves; a visit is undone; two people turn
out to be one) changes a fact of one visit. All ends follow from all facts anew, so that nothing
depends on the order in which hosts tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from charter.halfdays import HalfDay, half_days
from charter.hours import Opening

# Hosts that were cut off have so long to tell how a visit ended before its closing is believed.
GRACE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Stay:
    """A visit as far as the account looks at it; all instants are aware.

    ``day``, ``openings`` and ``closes_at`` are those of ``charter.hours.OpeningDay``, as published
    then. ``left_at`` is the earliest end that was told. A visit that was undone does not
    ``stand``, and still ``cuts`` the one before; one that is held, or was disputed with success,
    does neither. ``end`` follows from the others: None while the visit goes on.
    """

    id: str
    host: str
    space: str
    zone: ZoneInfo
    start: datetime
    shown_at: datetime
    day: date
    openings: tuple[Opening, ...] | None
    closes_at: datetime
    left_at: datetime | None = None
    stands: bool = True
    cuts: bool = True
    end: datetime | None = None

    def half_days(self, split: time) -> tuple[HalfDay, ...]:
        """Return what the visit touches, whether it stands or not."""
        return half_days(self.start, self.end, self.day, self.openings, self.zone, split)


def place(stays: Iterable[Stay], now: datetime) -> tuple[Stay, ...]:
    """Return one person's visits in order of their start, each with its end.

    A visit ends at the earliest of the end that was told, the start of the next one, and the
    closing as published: the closing alone is believed only a day later. It never ends before it
    began, and an end that is told later than another cut changes nothing.
    """
    following: datetime | None = None
    placed = []
    for stay in sorted(stays, key=_order, reverse=True):
        end = _end(stay, following, now)
        placed.append(stay if end == stay.end else replace(stay, end=end))
        if stay.cuts:
            following = stay.start
    return tuple(reversed(placed))


def _order(stay: Stay) -> tuple[datetime, datetime, str]:
    return stay.start.astimezone(UTC), stay.shown_at.astimezone(UTC), stay.id


def _end(stay: Stay, following: datetime | None, now: datetime) -> datetime | None:
    told = [each.astimezone(UTC) for each in (stay.left_at, following) if each is not None]
    start, closes_at = stay.start.astimezone(UTC), stay.closes_at.astimezone(UTC)
    if not told and now.astimezone(UTC) < closes_at + GRACE:
        return None
    return max(start, min([*told, closes_at]))


def counted(stays: Iterable[Stay], split: time) -> dict[tuple[str, HalfDay], tuple[Stay, ...]]:
    """Return by operator and half-day the visits that touch it and stand, the earliest first.

    Each such half-day counts once, however many visits of the person at the operator's spaces
    touch it. The visits are ``place``d.
    """
    found: dict[tuple[str, HalfDay], tuple[Stay, ...]] = {}
    for stay in sorted(stays, key=_order):
        if stay.stands:
            for half_day in stay.half_days(split):
                key = stay.host, half_day
                found[key] = (*found.get(key, ()), stay)
    return found
