"""Calls to the hub: authenticated, bounded, and given up at once while it is known to be away."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from flask import g, has_request_context
from requests import RequestException

from shared import jose
from shared.http import Answer, Circuit, PeerError, PeerSession, Unreachable
from shared.keys import KeyRing

TIMEOUT_SECONDS = 1.5
_RENEW_BEFORE = 60
TRIED_KEYS = 3
_DOWN = (500, 502, 503, 504)


class NodeAssertionAuth(PrivateKeyJWT):  # type: ignore[misc]
    """Signs the client assertion with the node's key, named by ``kid``; lives one minute."""

    def __init__(self, token_endpoint: str, ring: KeyRing) -> None:
        super().__init__(token_endpoint, headers={"kid": ring.kid}, alg=jose.SIGN_WITH)

    def sign(self, auth: Any, token_endpoint: str) -> str:
        self.claims = {"exp": int(time.time()) + 60}
        self.headers = {"kid": self.headers["kid"]}
        return str(super().sign(auth, token_endpoint))


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
        self._circuit = Circuit(self._answers)

    @property
    def away(self) -> bool:
        """Tell whether the hub did not answer lately."""
        return self._circuit.open

    def _answers(self) -> bool:
        try:
            return self._peers.request("GET", f"{self.url}/readyz", timeout=1.0).status == 200
        except PeerError:
            return False

    def get(
        self, path: str, *, timeout: float = 5.0, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Fetch one of the hub's public documents; 304 if ``headers`` ask so. Raises PeerError."""
        answer = self._peers.request("GET", self.url + path, timeout=timeout, headers=headers)
        if answer.status not in ((200, 304) if headers else (200,)):
            raise PeerError("status", str(answer.status))
        return answer

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Call the hub as this node. Raises Unreachable, at once while the hub is away.

        To one that is suspended the hub gives no token: that is answered as by the hub itself.
        """
        if self._circuit.open:
            raise Unreachable("away")
        try:
            answer = self._send(method, path, json, timeout, self._access_token())
            if answer.status == 401:
                answer = self._send(method, path, json, timeout, self._access_token(renew=True))
        except Unreachable:
            self._circuit.trip()
            raise
        except _Suspended:
            return _refused(self.url)
        if answer.status in _DOWN:
            self._circuit.trip()
            raise Unreachable("status", str(answer.status))
        if answer.body and "json" not in answer.headers.get("Content-Type", ""):
            self._circuit.trip()
            raise Unreachable("not-json")  # something else answers at the hub's address
        return answer

    def download(self, path: str, *, timeout: float = 120.0, max_bytes: int = 1 << 29) -> bytes:
        """Fetch a file of any kind as this node; for a person who waits. Raises PeerError."""
        headers = {"Authorization": f"Bearer {self._access_token()}", "Accept-Language": "en"}
        answer = self._peers.request(
            "GET", self.url + path, headers=headers, timeout=timeout, max_bytes=max_bytes
        )
        if answer.status != 200:
            raise PeerError("status", str(answer.status))
        return answer.body

    def _send(self, method: str, path: str, json: Any, timeout: float, token: str) -> Answer:
        # Its words are kept in English, and translated for whoever reads them.
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        headers.update(_correlation())
        return self._peers.request(
            method, self.url + path, json=json, headers=headers, timeout=timeout
        )

    def _access_token(self, *, renew: bool = False) -> str:
        with self._lock:
            if not renew and time.time() < self._expires - _RENEW_BEFORE:
                return self._token
            node_id = self._node_id()
            if node_id is None:
                raise Unreachable("not-enrolled")
            self._token, self._expires = self._find_token(node_id)
            return self._token

    def _find_token(self, node_id: str) -> tuple[str, float]:
        """Fetch a token by the key that signs, else by one before it: the hub may have lost it."""
        refused: PeerError | None = None
        for kid, key in self._ring.keys[:TRIED_KEYS]:
            try:
                return self._fetch_token(node_id, KeyRing(((kid, key),)))
            except (Unreachable, _Suspended):
                raise
            except PeerError as error:
                refused = refused or error
        assert refused is not None  # noqa: S101 - a ring is never empty
        raise refused

    def _fetch_token(self, node_id: str, ring: KeyRing) -> tuple[str, float]:
        endpoint = f"{self.url}/oauth/token"
        session = OAuth2Session(
            node_id, ring.current, token_endpoint_auth_method=NodeAssertionAuth.name
        )
        session.trust_env = False
        session.register_client_auth_method(NodeAssertionAuth(endpoint, ring))
        try:
            token: Mapping[str, Any] = session.fetch_token(
                endpoint,
                grant_type="client_credentials",
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            return str(token["access_token"]), time.time() + int(token["expires_in"])
        except OAuthError as error:
            if error.description == "node-suspended":
                raise _Suspended("not-authenticated", "suspended") from None
            raise PeerError("not-authenticated", f"{error.error}: {error.description}") from None
        except (RequestException, ValueError, KeyError) as error:
            raise Unreachable("unreachable", type(error).__name__) from error
        finally:
            session.close()


def _correlation() -> dict[str, str]:
    if has_request_context() and g.get("request_id"):
        return {"X-Request-ID": g.request_id}
    return {}
