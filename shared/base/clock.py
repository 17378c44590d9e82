"""Two clocks: what day it is for people, and what time it is for signatures.

They differ only in a demonstration or a test, where the day can be set so that hours,
holidays and months can be tried while tokens go on being judged by real time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """``still`` is the real time at which the clock stands, to judge something as of then."""

    offset: timedelta = timedelta()
    still: datetime | None = None

    def now(self) -> datetime:
        """Return the aware time by which hours, visits and months are reckoned."""
        return self.real() + self.offset

    def real(self) -> datetime:
        """Return the aware time by which tokens and signatures are judged."""
        return self.still or datetime.now(UTC)

    def standing(self, at: datetime) -> Clock:
        """Return this clock as it was at a real time."""
        return replace(self, still=at.astimezone(UTC))

    def fresh(self, issued_at: float, tolerance: int) -> bool:
        """Tell whether a Unix time is within ``tolerance`` seconds of now, by either clock."""
        try:
            age = self.real().timestamp() - issued_at
        except OverflowError:  # an integer that no float can hold
            return False
        return abs(age) <= tolerance or abs(age + self.offset.total_seconds()) <= tolerance


def parse_clock(text: str) -> Clock:
    """Read ``2026-11-24T10:00:00+01:00@1790000000``: that instant was now at that Unix time.

    Without ``@…`` it is now when this is read. Raises ValueError.
    """
    instant, _, anchor = text.partition("@")
    start = datetime.fromisoformat(instant)
    if start.tzinfo is None:
        raise ValueError("the time needs an offset, as in 2026-11-24T10:00:00+01:00")
    return Clock(start - datetime.fromtimestamp(float(anchor or time.time()), UTC))
