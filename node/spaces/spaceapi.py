"""A space as SpaceAPI, version 15, which directories and telephones of many countries read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from charter.hours import Schedule

# From so many people on, how many are here tells nothing of anybody.
FEWEST_COUNTED = 5
_LOOK_BACK_DAYS = 14
_INTERVALS = {"hour": "hourly", "day": "daily", "month": "monthly"} | {
    "quarter": "quarterly",
    "year": "yearly",
}
_OTHERS = {"half_day": "half-day", "pack": "half-day ticket"}


def space_api(
    document: Mapping[str, Any], schedule: Schedule, now: datetime, people: int, node_url: str
) -> dict[str, Any]:
    """Return a published document as SpaceAPI has it. What is not known is left out.

    Without known hours there is no ``state``: software would show the space as closed.
    """
    page = document["page"]
    found: dict[str, Any] = {
        "api_compatibility": ["15"],
        "space": document["name"],
        "logo": f"{node_url}/static/icons/icon-512.png",
        "url": document["website"] or page,
        "location": _location(document),
        "contact": {"email": document["email"]} if document["email"] else {},
        "feeds": {"calendar": {"type": "ical", "url": f"{page}/events.ics"}},
        "links": [{"name": "Passerelle", "url": page}],
        "membership_plans": [_plan(price) for price in document["prices"]],
    }
    if schedule.known and not document["project"]:
        found["state"] = _state(schedule, now)
    if people >= FEWEST_COUNTED:
        found["sensors"] = {"people_now_present": [{"value": people}]}
    return found


def _location(document: Mapping[str, Any]) -> dict[str, Any]:
    address = document["address"]
    town = f"{address['postcode'] or ''} {address['town']}".strip()
    found = {
        "address": ", ".join(filter(None, (address["street"], town, "France"))),
        "timezone": document["timezone"],
        "country_code": address["country"],
    }
    if document["latitude"] is not None and document["longitude"] is not None:
        found |= {"lat": document["latitude"], "lon": document["longitude"]}
    if document["transport"]:
        found["hint"] = document["transport"]
    areas = [
        {"name": room["name"], "square_meters": room["area_m2"]}
        for room in document["rooms"]
        if room["area_m2"] is not None
    ]
    return found | ({"areas": areas} if areas else {})


def _state(schedule: Schedule, now: datetime) -> dict[str, Any]:
    opening = schedule.opening_at(now)
    changed = opening[0] if opening else _last_closing(schedule, now)
    since = {"lastchange": int(changed.timestamp())} if changed else {}
    return {"open": opening is not None, **since}


def _last_closing(schedule: Schedule, now: datetime) -> datetime | None:
    """Return when the space last closed, if it was within two weeks."""
    today = now.astimezone(schedule.zone).date()
    ends = [
        closes
        for day in (today - timedelta(n) for n in range(_LOOK_BACK_DAYS))
        for _, closes in schedule.openings(day)
    ]
    return max((end for end in ends if end <= now), default=None)


def _plan(price: Mapping[str, Any]) -> dict[str, Any]:
    found = {
        "name": price["label"],
        "value": price["cents"] / 100,
        "currency": price["currency"],
        "billing_interval": "other",
    }
    unit, quantity = price["unit"], price["quantity"]
    if unit in _INTERVALS and quantity == 1:
        found["billing_interval"] = _INTERVALS[unit]
    else:
        found["description"] = f"{quantity} × {_OTHERS.get(unit, unit)}"
    return found
