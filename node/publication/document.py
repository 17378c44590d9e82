"""A space's published document, as its columns have it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from node.spaces import hours, osm
from node.spaces.models import Space
from shared.wire.spaces import MOST_PRICES

# What is published as it is kept.
_SPACE = (
    *("id", "name", "description", "latitude", "longitude", "timezone", "week", "capacity"),
    *("area_m2", "about", "access", "legal_form", "transport", "website", "email", "project"),
    *("guest_cap", "conditions", "paused", "services", "values"),
)
_ROOM = ("name", "kind", "seats", "area_m2", "half_days")
_PRICE = ("label", "cents", "currency", "unit", "quantity", "audience")


def _columns(row: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def document(
    row: Space,
    today: date,
    node_url: str,
    events: Sequence[Mapping[str, Any]] = (),
    photos: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a space's published document; this year's and next year's holidays are spelled out."""
    return {
        **_columns(row, _SPACE),
        "address": {
            "street": row.street,
            "postcode": row.postcode,
            "town": row.town,
            "country": "FR",
        },
        "exceptions": hours.exceptions(row, today),
        "occasions": hours.labels(row, today),
        "opening_hours": osm.write(row, today),
        "until": row.until and row.until.isoformat(),
        "capacities": hours.capacities(row, today),
        "rooms": [_columns(room, _ROOM) for room in row.rooms],
        "prices": _prices(row),
        "stories": [
            {"value": name, "text": row.stories[name]}
            for name in row.values
            if row.stories.get(name)
        ],
        "assessments": [
            _columns(each, ("year", "value", "level", "evidence")) for each in row.assessments
        ],
        "events": list(events),
        "photos": list(photos),
        "page": f"{node_url}/spaces/{row.id}",
    }


def _prices(row: Space) -> list[dict[str, Any]]:
    """Return what was typed, then what the space's sources have brought."""
    typed = [_columns(price, _PRICE) for price in row.prices]
    return [*typed, *(row.imported or {}).get("prices", [])][:MOST_PRICES]
