"""What a space has that people look for, as its published document says it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from federation.text_search import plain_name

FACETS = ("accessible", "transport", "fablab", "meeting_room")
_MEETING = re.compile(r"\b(salles? de reunions?|meeting rooms?)\b")
_FABLAB = re.compile(r"\bfab ?labs?\b")


def facets(document: Mapping[str, Any]) -> set[str]:
    """Return which of ``FACETS`` a document says; what is not said is not known.

    ``accessible``: its entrance is step-free. ``transport``: how to come is said. ``fablab``: it is
    one, or has one. ``meeting_room``: among its rooms or services.
    """
    return set(_found(document))


def _found(document: Mapping[str, Any]) -> Iterator[str]:
    rooms = document.get("rooms") or ()
    services = " | ".join(map(plain_name, document.get("services") or ()))
    named = " | ".join((services, *(plain_name(room["name"]) for room in rooms)))
    if "step_free" in ((document.get("access") or {}).get("features") or ()):
        yield "accessible"
    if (document.get("transport") or "").strip():
        yield "transport"
    if (document.get("about") or {}).get("kind") == "fablab" or _FABLAB.search(named):
        yield "fablab"
    if any(room["kind"] == "meeting" for room in rooms) or _MEETING.search(services):
        yield "meeting_room"
