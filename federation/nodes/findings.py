"""What is found when a node is called: how it is said, and what every look has in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.net.http import PeerError, PeerSession
from shared.ops.concerns import DAYS_AHEAD

STATES = ("passed", "warning", "failed", "skipped")
SECONDS = 4.0
# What a signature is given; a call to the hub is refused a little later.
CLOCK_SECONDS, CLOCK_WORST_SECONDS = 20, 60


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    state: str
    code: str = "ok"
    params: dict[str, Any] = field(default_factory=dict)


def certificate(peers: PeerSession, url: str, real: datetime) -> Finding:
    """Look at the certificate of an address."""
    if url.startswith("http://"):
        return Finding("certificate", "warning", "plain-http")
    try:
        days = (peers.certificate_end(url, timeout=SECONDS) - real).days
    except PeerError as error:
        return Finding("certificate", "failed", "invalid", {"detail": error.detail})
    if days < DAYS_AHEAD:
        return Finding("certificate", "warning", "ends-soon", {"days": days})
    return Finding("certificate", "passed", params={"days": days})


def clock(issued: Any, real: datetime) -> Finding:
    """Compare a Unix time that a node has just given with ours."""
    if isinstance(issued, bool) or not isinstance(issued, int) or not 0 <= issued < 1 << 33:
        return Finding("clock", "failed", "unreadable")
    seconds = issued - int(real.timestamp())
    params = {"seconds": seconds}
    if abs(seconds) > CLOCK_WORST_SECONDS:
        return Finding("clock", "failed", "wrong", params)
    if abs(seconds) > CLOCK_SECONDS:
        return Finding("clock", "warning", "wrong", params)
    return Finding("clock", "passed", params=params)
