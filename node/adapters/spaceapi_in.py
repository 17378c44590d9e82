"""A space's SpaceAPI document (versions 0.13 to 15), as far as a sheet has the same facts.

Its ``state`` is not used: it says that somebody is there, not that the space is open to visitors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from node.adapters.ical_text import find_zone
from node.adapters.interface import Unreadable
from node.adapters.validation import clean
from shared.base.mail_server import is_address
from shared.wire.events import is_web_address

# As French addresses are written: 1 rue du Port, 69001 Lyon, France
_ADDRESS = re.compile(r"(?P<street>.*?)[\s,]*\b(?P<postcode>\d{5})\s+(?P<town>[^,\n]+)", re.ASCII)


def read(content: bytes) -> dict[str, Any]:
    """Return the columns of a sheet that a document fills; what is not usable is left out.

    Raises Unreadable.
    """
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    versions = ("api", "api_compatibility")
    if not isinstance(found, dict) or not any(name in found for name in versions):
        raise Unreadable("What came is not a SpaceAPI document.")
    location, contact = (_part(found, name) for name in ("location", "contact"))
    values: dict[str, Any] = {
        "name": _line(found.get("space"), 120),
        **_address(_line(location.get("address"), 400)),
        **_place(location),
        "transport": _line(location.get("hint"), 500),
        "email": _line(contact.get("email"), 254),
        "website": _line(found.get("url"), 300),
    }
    if not is_address(values["email"]):
        del values["email"]
    if not is_web_address(values["website"]):
        del values["website"]
    zone = find_zone(_line(location.get("timezone"), 40) or "-")
    if zone is not None:
        values["timezone"] = zone.key
    return {name: value for name, value in values.items() if value not in ("", None)}


def _part(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _line(value: Any, longest: int) -> str:
    """Return a text in one line; one that does not fit is none."""
    text = " ".join(clean(value, longest + 1).split()) if isinstance(value, str) else ""
    return text if len(text) <= longest else ""


def _address(text: str) -> dict[str, str]:
    found = _ADDRESS.match(text)
    if not found:
        return {}
    parts = {name: value.strip(" ,") for name, value in found.groupdict().items()}
    return parts if len(parts["street"]) <= 200 and len(parts["town"]) <= 120 else {}


def _place(location: Mapping[str, Any]) -> dict[str, float]:
    """Return where it is, if both numbers are degrees."""
    pair = location.get("lat"), location.get("lon")
    said = [each for each in pair if isinstance(each, int | float) and not isinstance(each, bool)]
    if len(said) < len(pair):
        return {}
    latitude, longitude = map(float, said)
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180) or latitude == longitude == 0:
        return {}
    return {"latitude": round(latitude, 6), "longitude": round(longitude, 6)}
