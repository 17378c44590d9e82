"""What a listed space's row holds, made of its facts and of what was edited by hand. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from federation.spaces.models import LISTED_PREFIX
from shared.base.names import slug

ZONE = "Europe/Paris"
_SLUG = 40


def space_id(source_id: int, key: str, name: str) -> str:
    """Return the id of a listed space: the same whenever its row is imported for the first time."""
    mark = sha256(f"{source_id}:{key}".encode()).hexdigest()[:10]
    return f"{LISTED_PREFIX}{slug(name)[:_SLUG].strip('-')}-{mark}"


def merged(facts: Mapping[str, Any], edits: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts with the edits over them; an edit that is None takes its fact away."""
    both = {**facts, **edits}
    return {name: value for name, value in both.items() if value is not None}


def columns(listed_id: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a listed space's columns are, by its merged facts."""
    return {
        "name": facts["name"],
        "town": facts.get("town", ""),
        "latitude": facts.get("latitude"),
        "longitude": facts.get("longitude"),
        "document": document(listed_id, facts),
    }


def document(listed_id: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the fields of a published one; hours stay text, and unknown."""
    return {
        "id": listed_id,
        "name": facts["name"],
        "description": facts.get("description", ""),
        "address": {
            "street": facts.get("street"),
            "postcode": facts.get("postcode"),
            "town": facts.get("town", ""),
            "country": facts.get("country", "FR"),
        },
        "latitude": facts.get("latitude"),
        "longitude": facts.get("longitude"),
        "timezone": ZONE,
        "week": {},
        "opening_hours": facts.get("opening_hours", ""),
        "capacity": facts.get("capacity"),
        "website": facts.get("website", ""),
        "email": facts.get("email", ""),
        "services": facts.get("services", []),
        "values": [],
        "guest_cap": 0,
    }
