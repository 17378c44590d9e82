"""By when somebody who waits is to be answered: one deadline for all that is asked meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ends: ContextVar[float] = ContextVar("ends", default=float("inf"))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give whatever this thread asks of others that long in all; an earlier end stays."""
    before = _ends.set(min(_ends.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _ends.reset(before)


def left(most: float) -> float:
    """Return for how many seconds one may still wait, up to ``most``; 0 when none are left."""
    return max(0.0, min(most, _ends.get() - time.monotonic()))
