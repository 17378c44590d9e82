"""A space's own house conditions, and the bounds that the charter sets to them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from charter.hours import WEEKDAYS, local_time
from charter.rules import Rules

MOST_PLACES, MOST_DATES, MOST_HOURS = 1000, 400, 720
CANCEL_HOURS, RELEASE_MINUTES, MOST_MINUTES = 2, 60, 1440
# Where the day is parted in two: a house's afternoon begins, whatever the charter counts by.
NOON = time(13)


class ConditionsError(ValueError):
    """The conditions cannot be read; the message names the place."""


@dataclass(frozen=True, slots=True)
class HouseConditions:
    """What a space asks of visitors.

    ``guests`` is how many it takes at once, ``by_weekday`` what differs (``mo`` to ``su``), in
    the morning and in the afternoon. At the times of ``release`` (morning's, afternoon's) places
    that no visitor has taken or booked go back to the house's own.
    ``closed`` are dates in order, on which it is open but not to visitors. ``notice_hours``
    is asked for, never enforced. ``included`` are the services that visitors have; None: all.
    Who cancels a booking less than ``cancel_hours`` ahead is late; a place that nobody came for
    is free again ``release_minutes`` after its time.
    """

    guests: int
    by_weekday: Mapping[str, tuple[int, int]]
    closed: tuple[date, ...]
    notice_hours: int
    included: tuple[str, ...] | None
    cancel_hours: int = CANCEL_HOURS
    release_minutes: int = RELEASE_MINUTES
    release: tuple[time | None, time | None] = (None, None)

    def guests_on(self, day: date) -> tuple[int, int]:
        """Return how many visitors may book, in the morning and in the afternoon of a day."""
        return self.by_weekday.get(WEEKDAYS[day.weekday()], (self.guests, self.guests))

    def guests_at(self, local: datetime) -> int:
        """Return how many places visitors who have not booked find at a local time."""
        half = int(local.time() >= NOON)
        released = self.release[half]
        return 0 if released and local.time() >= released else self.guests_on(local.date())[half]

    def closed_on(self, day: date) -> int | None:
        """Return which of its month's closed dates this is, from 1; None if it is not one."""
        if day not in self.closed:
            return None
        return _of_month(self.closed, day).index(day) + 1


def _of_month(dates: tuple[date, ...], day: date) -> list[date]:
    return [each for each in dates if (each.year, each.month) == (day.year, day.month)]


def guest_places(rules: Rules, declared: int) -> int | None:
    """Return how many visitors a host takes at once; None where the charter sets no such limit.

    It is what the host declares, and no fewer than the charter asks for.
    """
    return max(declared, rules.guest_cap.at_least) if rules.guest_cap else None


@dataclass(frozen=True, slots=True)
class Breach:
    """Where conditions go beyond the charter: the field, the article, and the article's figure."""

    field: str
    article: int
    limit: int


def breaches(rules: Rules, conditions: HouseConditions) -> Iterator[Breach]:
    """Yield what the charter does not let a house set.

    The door does not execute it either: see ``decide``.
    """
    cap, house = rules.guest_cap, rules.house_conditions
    if cap:
        if conditions.guests < cap.at_least:
            yield Breach("guests", cap.article, cap.at_least)
        for name, places in conditions.by_weekday.items():
            if min(places) < cap.at_least:
                yield Breach(name, cap.article, cap.at_least)
    if house:
        if any(
            len(_of_month(conditions.closed, day)) > house.closed_dates for day in conditions.closed
        ):
            yield Breach("closed", house.article, house.closed_dates)
        if conditions.notice_hours > house.notice_hours:
            yield Breach("notice_hours", house.article, house.notice_hours)


def read_conditions(document: Mapping[str, Any]) -> HouseConditions:
    """Read a space's published ``guest_cap`` and ``conditions``. Raises ConditionsError.

    ``conditions`` is ``{"guests": {"mo": 3, "tu": [3, 0]}, "closed": ["2026-12-24"],
    "notice_hours": 24, "included": ["Wi-Fi"], "release": ["10:00", null]}``, each of them optional.
    """
    given = document.get("conditions") or {}
    if not isinstance(given, Mapping):
        raise ConditionsError("conditions: a table is expected")
    included = given.get("included")
    return HouseConditions(
        guests=document["guest_cap"],
        by_weekday=_places(given.get("guests") or {}),
        closed=_dates(given.get("closed") or []),
        notice_hours=_whole("notice_hours", given.get("notice_hours") or 0, MOST_HOURS),
        included=None if included is None else _services(included),
        cancel_hours=_whole("cancel_hours", given.get("cancel_hours", CANCEL_HOURS), MOST_HOURS),
        release_minutes=_whole(
            "release_minutes", given.get("release_minutes", RELEASE_MINUTES), MOST_MINUTES
        ),
        release=_release(given.get("release") or [None, None]),
    )


def _whole(where: str, value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ConditionsError(f"{where}: a whole number from 0 to {most} is expected")
    return value


def _places(given: Any) -> dict[str, tuple[int, int]]:
    if not isinstance(given, Mapping) or set(given) - set(WEEKDAYS):
        raise ConditionsError("guests: places by weekday, mo to su, are expected")
    return {name: _half_days(given[name]) for name in WEEKDAYS if name in given}


def _half_days(given: Any) -> tuple[int, int]:
    """Read one number for the day, or two: the morning's and the afternoon's."""
    both = given if isinstance(given, list) else [given, given]
    if len(both) != 2:
        raise ConditionsError("guests: a number, or the morning's and the afternoon's, is expected")
    morning, afternoon = (_whole("guests", each, MOST_PLACES) for each in both)
    return morning, afternoon


def _release(given: Any) -> tuple[time | None, time | None]:
    try:
        morning, afternoon = (each and local_time(each) for each in given)
    except (TypeError, ValueError):
        raise ConditionsError("release: two times like 10:00, or null, are expected") from None
    if (morning and morning >= NOON) or (afternoon and afternoon < NOON):
        raise ConditionsError("release: the first is before 13:00, the second is not")
    return morning or None, afternoon or None


def _dates(given: Any) -> tuple[date, ...]:
    if not isinstance(given, list) or len(given) > MOST_DATES:
        raise ConditionsError(f"closed: at most {MOST_DATES} dates are expected")
    try:
        return tuple(sorted({date.fromisoformat(each) for each in given}))
    except (TypeError, ValueError):
        raise ConditionsError("closed: dates like 2026-12-24 are expected") from None


def _services(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ConditionsError("included: a list of services is expected")
    return tuple(given)
