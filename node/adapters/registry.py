"""Which adapters there are: ours, and those that installed packages offer."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import structlog

from node.adapters import ical
from node.adapters.interface import Adapter

GROUP = "passerelle.adapters"
OURS: dict[str, Any] = {
    "ical-events": ical.Events,
    "ical-closings": ical.Closings,
    "ical-hours": ical.Hours,
}
log = structlog.get_logger()


def adapters() -> dict[str, Adapter]:
    """Return all adapters by name; one that cannot be loaded is logged and left out.

    Ours cannot be replaced by a package that takes their name.
    """
    found: dict[str, Adapter] = {name: make() for name, make in OURS.items()}
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found or len(entry.name) > 60:
            continue
        try:
            found[entry.name] = entry.load()()
        except Exception as error:  # noqa: BLE001 - other people's code, loaded by name
            log.warning("adapter.not-loaded", adapter=entry.name, error=type(error).__name__)
    return found
