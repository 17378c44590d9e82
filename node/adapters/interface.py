"""What reads another tool for a space: the whole interface, for adapters from elsewhere too.

``deploy/adapters.md`` explains it with a worked example. An adapter reads and returns; it neither
writes to the database nor opens a connection of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Protocol

from charter.hours import Schedule


class Unreadable(Exception):
    """Nothing of a source can be used. Its message is an English sentence that the admin reads."""


class Unchanged(Exception):
    """Raised by ``Fetch`` when nothing changed since what was taken last. Let it pass."""


@dataclass(frozen=True, slots=True)
class Source:
    """What to read, and for which space. ``now`` and ``until`` are aware: nothing later is needed.

    ``hours`` is what the sheet says, before any source; its zone is the space's.
    """

    url: str
    name: str
    street: str
    hours: Schedule
    now: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEvent:
    """``key`` stays the same when the event is moved or renamed. Times are aware."""

    key: str
    title: str
    starts_at: datetime
    ends_at: datetime
    description: str = ""
    place: str = ""
    url: str = ""
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class FoundDay:
    """The hours of one date, in place of the week's, in the space's zone; none: closed.

    An end that is not after its start is of the next day.
    """

    day: date
    hours: Sequence[tuple[time, time]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPrice:
    """``unit`` is one of ``shared.spaces.PRICE_UNITS``: 9000 cents for a ``pack`` of 10."""

    label: str
    cents: int
    unit: str
    quantity: int = 1
    currency: str = "EUR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Everything that a source has now: what was there before and is not here is withdrawn.

    ``faults`` are sentences about entries that were left out.
    """

    events: Sequence[FoundEvent] = ()
    days: Sequence[FoundDay] = ()
    prices: Sequence[FoundPrice] = ()
    faults: Sequence[str] = ()


class Fetch(Protocol):
    """Get an address: public, https, within seconds and megabytes, redirects not followed.

    The source's own address is asked for only if it changed (else ``Unchanged`` is raised), unless
    ``always``. Raises Unreadable.
    """

    def __call__(self, url: str, *, always: bool = False) -> bytes: ...


class Adapter(Protocol):
    """``title`` is what the admin chooses it by; ``hint`` says what address it wants."""

    title: str
    hint: str

    def read(self, source: Source, fetch: Fetch) -> Found:
        """Return what the source holds. Raises Unreadable."""
        ...
