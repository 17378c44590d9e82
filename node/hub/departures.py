"""Who leaves the network and when, by the hub's trust list: it alone is believed, also of us."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.crypto.trust_list import TrustList


def last_day(trust: TrustList | None, node_id: str) -> date | None:
    """Return the last day that an operator announced, or None. An unknown one has none."""
    entry = trust.nodes.get(node_id) if trust is not None else None
    try:
        return date.fromisoformat(str(entry["leaving_on"])) if entry is not None else None
    except (KeyError, ValueError):
        return None


def is_after(ends_at: datetime, zone: ZoneInfo, last: date | None) -> bool:
    """Tell whether what ends then goes on past a last day; midnight is still of the day before."""
    return last is not None and (ends_at - timedelta(seconds=1)).astimezone(zone).date() > last


def has_left(trust: TrustList | None, node_id: str) -> bool:
    entry = trust.nodes.get(node_id) if trust is not None else None
    return entry is not None and entry["state"] == "left"
