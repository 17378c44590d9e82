"""What a space says of itself to a door and to a booking: its columns, its day and its hours."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from marshmallow import ValidationError
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from charter.hours import Schedule
from node.spaces import hours
from node.spaces.models import Space

# The columns that a door looks at; rooms and prices are for the page.
_SPACE = select(
    Space.id,
    Space.timezone,
    Space.week,
    Space.special_days,
    Space.imported,
    Space.closed_on_holidays,
    Space.holidays_region,
    Space.until,
    Space.project,
    Space.paused,
    Space.paused_on,
    Space.guest_cap,
    Space.conditions,
    Space.capacity,
    Space.services,
    Space.welcome_fr,
    Space.welcome_en,
).where(Space.id == bindparam("space"))


def find_space(session: Session, space_id: str) -> Any:
    """Return the space a request names, as a row. Raises ValidationError."""
    space = session.connection().execute(_SPACE, {"space": space_id}).first()
    if space is None:
        raise ValidationError({"space": ["This node has no such space."]})
    return space


def as_document(space: Any, today: date) -> dict[str, Any]:
    """Return a space's row as its document has it, as far as a door looks at it."""
    document = dict(space._mapping)  # noqa: SLF001 - a row's public name for it
    if space.special_days:
        document["capacities"] = hours.capacities(space, today)
    return document


_schedules: dict[bytes, Schedule] = {}
_SCHEDULES_KEPT = 256


def local_day(space: Any, now: datetime) -> date:
    """Return what day it is at a space."""
    return now.astimezone(ZoneInfo(space.timezone)).date()


def schedule_of(space: Any, now: datetime) -> Schedule:
    """Return a space's hours. Holidays take long to work out: once for the same hours and day."""
    today = local_day(space, now)
    key = orjson.dumps([*(getattr(space, name) for name in hours.COLUMNS), today])
    if key not in _schedules:
        if len(_schedules) >= _SCHEDULES_KEPT:
            _schedules.clear()
        _schedules[key] = hours.schedule(space, today)
    return _schedules[key]
