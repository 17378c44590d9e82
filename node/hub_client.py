"""Calls to the hub: authenticated, bounded, and given up at once while it is known to be away.

What counts as its answer is what it says in its own words. Anything else that comes from its
address, of a gateway, a captive portal or a page of maintenance, is no answer.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import orjson
from flask import g, has_request_context

from shared.base import deadline
from shared.crypto.keys import KeyRing
from shared.net.http import Answer, Away, Circuit, PeerError, PeerSession, Unreachable

# Of a call in all: the token, the name's look-up, and a second try with a new token.
TIMEOUT_SECONDS = 1.5
_RENEW_BEFORE = 60
TRIED_KEYS = 3
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 60
_REQUEST_ID = "X-Request-ID"
_CLOCK = re.compile(r"clock is about ([+-][0-9]+) s off")


class Refused(PeerError):
    """The hub says itself that it knows this node or its key not, or no longer."""


class ClocksDiffer(Unreachable):
    """The hub takes nothing that our key signs, since one of the two clocks is wrong."""


class _Suspended(PeerError):
    """The hub knows this node, and gives it no token."""


def _refused(hub_url: str) -> Answer:
    """Return what the hub answers to a suspended node whose token is still good."""
    problem = {"type": f"{hub_url}/problems/node-suspended", "status": 403}
    headers = {"Content-Type": "application/problem+json"}
    return Answer(403, headers, orjson.dumps(problem))


class HubClient:
    """``node_id`` is asked for at each new token: a node that is not enrolled has none."""

    def __init__(
        self, url: str, ring: KeyRing, peers: PeerSession, node_id: Callable[[], str | None]
    ) -> None:
        self.url = url
        self._ring = ring
        self._peers = peers
        self._node_id = node_id
        self._lock = threading.Lock()
        self._token = ""
        self._expires = 0.0
        # By how many seconds this machine's clock is before the hub's, when it last said so.
        self.ahead = 0
        self.wrong_clock: Literal["hub", "node"] | None = None
        self._circuit = Circuit(self.is_ready)

    @property
    def away(self) -> bool:
        """Tell whether the hub did not answer lately."""
        return self._circuit.open

    def is_ready(self) -> bool:
        """Ask the hub whether it takes requests."""
        try:
            answer = self._peers.request("GET", f"{self.url}/readyz", timeout=1.0)
            document = answer.json()
        except PeerError:
            return False
        return answer.status == 200 and isinstance(document, dict) and document.get("faults") == []

    def get(
        self, path: str, *, timeout: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Fetch one of the hub's public documents; 304 if ``headers`` ask so. Raises PeerError."""
        try:
            answer = self._peers.request("GET", self.url + path, timeout=timeout, headers=headers)
        except Away:
            self._circuit.trip()
            raise
        if answer.status not in ((200, 304) if headers else (200,)):
            raise PeerError("status", str(answer.status))
        return answer

    def call(
        self, method: str, path: str, *, json: Any = None, timeout: float | None = None
    ) -> Answer:
        """Call the hub as this node, within so many seconds in all; returns what it says itself.

        Raises Unreachable when it says nothing, at once while it is away, and Refused. To a node
        that is suspended it gives no token: that is answered as by the hub itself.
        """
        if self._circuit.open:
            raise Unreachable("away")
        sent = _correlation()
        try:
            with deadline.within(timeout or TIMEOUT_SECONDS):
                answer = self._send(method, path, json, sent)
                if answer.status == 401:
                    answer = self._send(method, path, json, sent, renew=True)
        except Away:
            self._circuit.trip()
            raise
        except _Suspended:
            return _refused(self.url)
        except (Unreachable, Refused):
            raise
        except PeerError as error:
            raise Unreachable(error.reason, error.detail) from error
        if not self._is_own(answer, sent[_REQUEST_ID]):
            raise Unreachable("foreign", _start_of(answer))
        if answer.status >= 500:
            raise Unreachable("status", _start_of(answer))
        return answer

    def _is_own(self, answer: Answer, request_id: str) -> bool:
        """Tell whether the hub itself gave an answer: JSON, a problem of its own, or an empty 204.

        The last has nothing but our request's number to show.
        """
        if answer.status == 204:
            return answer.headers.get(_REQUEST_ID) == request_id
        try:
            document = answer.json()
        except PeerError:
            return False
        if 200 <= answer.status < 300:
            return "json" in answer.headers.get("Content-Type", "")
        kind = document.get("type") if isinstance(document, dict) else None
        return answer.status >= 400 and str(kind).startswith(f"{self.url}/problems/")

    def download(self, path: str, *, timeout: float = 120.0, max_bytes: int = 1 << 29) -> bytes:
        """Fetch a file of any kind as this node; for a person who waits. Raises PeerError."""
        headers = {"Authorization": f"Bearer {self._access_token()}", "Accept-Language": "en"}
        answer = self._peers.request(
            "GET", self.url + path, headers=headers, timeout=timeout, max_bytes=max_bytes
        )
        if answer.status != 200:
            raise PeerError("status", str(answer.status))
        return answer.body

    def _send(
        self, method: str, path: str, json: Any, sent: Mapping[str, str], *, renew: bool = False
    ) -> Answer:
        # Its words are kept in English, and translated for whoever reads them.
        token = self._access_token(renew=renew)
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en", **sent}
        return self._peers.request(
            method, self.url + path, json=json, headers=headers, timeout=float("inf")
        )

    def _access_token(self, *, renew: bool = False) -> str:
        """Return a token; who finds another thread fetching one waits for it in time."""
        if not self._lock.acquire(timeout=deadline.left(TIMEOUT_SECONDS)):
            raise Unreachable("late")
        try:
            if self._circuit.open:
                raise Unreachable("away")
            if renew or time.time() >= self._expires - _RENEW_BEFORE:
                node_id = self._node_id()
                if node_id is None:
                    raise Unreachable("not-enrolled")
                self._token, self._expires = self._find_token(node_id)
            return self._token
        finally:
            self._lock.release()

    def _find_token(self, node_id: str) -> tuple[str, float]:
        """Fetch a token by the key that signs, else by one before it: the hub may have lost it."""
        refused: Refused | None = None
        for kid, key in self._ring.keys[:TRIED_KEYS]:
            try:
                return self._fetch_token(node_id, KeyRing(((kid, key),)))
            except Refused as error:
                refused = refused or error
        assert refused is not None  # noqa: S101 - a ring is never empty
        raise refused

    def _fetch_token(self, node_id: str, ring: KeyRing) -> tuple[str, float]:
        """Ask for a token with an assertion that lives one minute (RFC 7523)."""
        endpoint, now = f"{self.url}/oauth/token", int(time.time())
        claims = {"iss": node_id, "sub": node_id, "aud": endpoint, "iat": now}
        claims |= {"exp": now + _ASSERTION_SECONDS, "jti": secrets.token_urlsafe(18)}
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": ring.sign(claims, "JWT"),
        }
        answer = self._peers.request(
            "POST",
            endpoint,
            data=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            timeout=deadline.left(TIMEOUT_SECONDS),
        )
        document = answer.json()
        if not isinstance(document, dict):
            raise Unreachable("foreign", _start_of(answer))
        if answer.status != 200:
            raise self._why(answer, document)
        try:
            found = str(document["access_token"]), now + int(document["expires_in"])
        except (KeyError, TypeError, ValueError):
            raise Unreachable("foreign", _start_of(answer)) from None
        self.ahead = 0
        return found

    def _why(self, answer: Answer, document: Mapping[str, Any]) -> PeerError:
        """Return why there is no token, where the hub says so itself."""
        if not str(document.get("error_uri")).startswith(f"{self.url}/problems/"):
            return Unreachable("foreign", _start_of(answer))
        said = str(document.get("error_description"))
        if said == "node-suspended":
            return _Suspended("not-authenticated", "suspended")
        if clock := _CLOCK.search(said):
            self.ahead = int(clock[1])
            return ClocksDiffer("clock", said)
        return Refused("not-authenticated", said)


def _correlation() -> dict[str, str]:
    """Return the header that names what this call is part of; the hub says it again."""
    of_request = has_request_context() and g.get("request_id")
    return {_REQUEST_ID: of_request or secrets.token_hex(8)}


def _start_of(answer: Answer) -> str:
    """Return what was answered, for whoever is to find out why."""
    return f"{answer.status} {answer.body[:200].decode(errors='replace')}".strip()
