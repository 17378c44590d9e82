"""What is known about one pass at one host at one instant: the input of ``decide``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """Something the pass's verification found: one of the ``pass_*`` or ``home_*`` codes.

    Or ``offline_budget``, of a paper card whose home did not answer.
    """

    code: str
    detail: str = ""


NOT_YET = Fault("pass_malformed", "not_yet")
"""The first day that a pass names is not reached. Where seniority is asked for, it says why."""


@dataclass(frozen=True, slots=True)
class Facts:
    """None means unknown: a rule that needs an unknown fact is left out, and said to be.

    Three exceptions. Without a home, or without a plan where the charter names plans, nobody
    is admitted; and ``home_half_days`` None is a plan without limit.

    Counts of half-days are of the calendar month of the visit, in the space's zone, without
    the visit being decided; ``counted_already`` says that this very half-day at this host
    is among them. Ages are in seconds. A space whose hours are not known is not called closed:
    whoever is at the desk knows. ``closed_date`` is given on a date that the host closes to
    visitors: which one of its month it is, from 1. ``faults`` may be in any order.
    """

    # the pass, and the person's standing at home
    faults: tuple[Fault, ...] = ()
    plan: str | None = None
    usable_from: datetime | None = None
    paper: bool = False
    member_since: date | None = None
    # the home
    home: str | None = None
    home_state: str | None = None
    home_signed: str | None = None
    home_half_days: int | None = None
    # the host
    host: str = ""
    host_state: str = "connected"
    host_signed: str | None = None
    space: str = ""
    paused: bool = False
    closed_date: int | None = None
    hours_known: bool = True
    opening: tuple[datetime, datetime] | None = None
    next_opening: datetime | None = None
    timezone: str = "Europe/Paris"
    guests_present: int = 0
    guest_cap: int = 0
    people_present: int = 0
    capacity: int | None = None
    services: tuple[str, ...] = ()
    # what was used this month
    used_host: int | None = 0
    used_network: int | None = 0
    counted_already: bool = False
    # the network
    online: bool = True
    trust_list_age: int | None = None
    offline_visits: int = 0


def _plain(value: Any) -> Any:
    if isinstance(value, Fault):
        return {"code": value.code, "detail": value.detail}
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def facts_to_json(facts: Facts) -> dict[str, Any]:
    """Return plain JSON values; fields that have their default are left out."""
    return {
        field.name: _plain(getattr(facts, field.name))
        for field in fields(Facts)
        if getattr(facts, field.name) != field.default
    }


def facts_from_json(document: Mapping[str, Any]) -> Facts:
    """Rebuild what ``facts_to_json`` wrote. Raises KeyError, TypeError or ValueError."""
    values = dict(document)
    for name in ("usable_from", "next_opening"):
        if values.get(name) is not None:
            values[name] = datetime.fromisoformat(values[name])
    if values.get("member_since") is not None:
        values["member_since"] = date.fromisoformat(values["member_since"])
    if values.get("opening") is not None:
        start, end = values["opening"]
        values["opening"] = (datetime.fromisoformat(start), datetime.fromisoformat(end))
    values["faults"] = tuple(Fault(**fault) for fault in values.get("faults", ()))
    values["services"] = tuple(values.get("services", ()))
    return Facts(**values)
