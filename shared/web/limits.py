"""How much one reader may ask for in a minute, so that there is enough for all.

Counted in each server process by itself: what is promised is the least that anybody gets, and
nothing is shared or written for it. A reader that is told "unchanged" (304) has asked for a tenth.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable, Sequence

from flask import Flask, Response, g, request

from shared.web.guards import FindPrincipal, Principal, given_bearer
from shared.wire.problems import Problem

WINDOW_SECONDS = 60
UNITS = 10  # of one request
UNCHANGED_UNITS = 1
WITH_TOKEN = 10  # times as much
_EXPOSED = "ETag, Link, RateLimit, RateLimit-Policy, Retry-After"


class RateLimiter:
    """What each reader has asked for in the window that is under way."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._window = 0
        self._spent: dict[str, int] = {}
        self._lock = threading.Lock()

    def spend(self, reader: str, units: int) -> tuple[int, int]:
        """Add to what a reader has asked for; return that, and the seconds until it is forgotten.

        Units are tenths of a request; adding nothing only asks.
        """
        now = self._clock()
        window = int(now // WINDOW_SECONDS)
        with self._lock:
            if window != self._window:
                self._window, self._spent = window, {}
            spent = self._spent[reader] = self._spent.get(reader, 0) + units
        return spent, max(1, round((window + 1) * WINDOW_SECONDS - now))


def address_of(remote: str | None) -> str:
    """Return who a reader without a token is: an address, of IPv6 the network that it is in."""
    try:
        ip = ipaddress.ip_address((remote or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((ip, 64), strict=False))
    return str(ip)


def install(
    app: Flask, blueprints: Sequence[str], readers: RateLimiter, find_principal: FindPrincipal
) -> None:
    """Let the readers of these blueprints ask for so much, and tell each how much is left.

    A token's owner may ask for ten times as much, a node for everything.
    """

    def ask() -> None:
        if request.method == "OPTIONS":
            return
        bearer = given_bearer()
        g.reader = _reader(readers.per_minute, find_principal(bearer) if bearer else None)
        if g.reader is not None:
            name, most = g.reader
            if readers.spend(name, 0)[0] >= most * UNITS:
                raise Problem("too-many-requests")

    def tell(response: Response) -> Response:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        if request.method == "OPTIONS":  # a browser asks before it sends these
            response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = "Authorization, If-None-Match"
            response.headers["Access-Control-Max-Age"] = "86400"
        if g.get("reader") is None:
            return response
        name, most = g.reader
        units = {429: 0, 304: UNCHANGED_UNITS}.get(response.status_code, UNITS)
        spent, seconds = readers.spend(name, units)
        left = max(0, most - -(-spent // UNITS))
        response.headers["RateLimit-Policy"] = f'"reader";q={most};w={WINDOW_SECONDS}'
        response.headers["RateLimit"] = f'"reader";r={left};t={seconds}'
        if response.status_code == 429:
            response.headers["Retry-After"] = str(seconds)
        return response

    for name in blueprints:
        app.before_request_funcs.setdefault(name, []).append(ask)
        app.after_request_funcs.setdefault(name, []).append(tell)


def _reader(per_minute: int, principal: Principal | None) -> tuple[str, int] | None:
    """Return who asks and how much they may, None where nobody counts."""
    if not per_minute or (principal is not None and principal.kind == "node"):
        return None
    if principal is not None:
        return f"account:{principal.id}", per_minute * WITH_TOKEN
    return address_of(request.remote_addr), per_minute
