"""Calls to peers: bounded in time and size, to public addresses only, TLS verified.

Every URL that came from outside is fetched through ``PeerSession``. A name is looked up once, in
time, and those very addresses are connected to, so a second look-up cannot lead elsewhere.
"""

from __future__ import annotations

import io
import json as standard_json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import structlog
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
)
from urllib3.exceptions import (
    TimeoutError as TookTooLong,
)

from shared.base import deadline
from shared.base.urls import http_url
from shared.base.version import VERSION
from shared.net import addresses, authorities
from shared.net.causes import PRIVATE, cause_of

log = structlog.get_logger()

MAX_BYTES = 4 << 20
CONNECT_SECONDS = 2.0
USER_AGENT = f"Passerelle/{VERSION}"
KEPT_HOSTS, KEPT_OF_A_HOST = 64, 16


class PeerError(Exception):
    """A peer could not be asked, or answered what cannot be used. ``reason`` is a code.

    ``cause`` is one of ``shared.net.causes``, where that is known, and ``host`` whom it is about.
    """

    def __init__(self, reason: str, detail: str = "", *, host: str = "", cause: str = "") -> None:
        super().__init__(f"{reason} {detail}".strip())
        self.reason = reason
        self.detail = detail
        self.host = host
        self.cause = cause


class Unreachable(PeerError):
    """No answer was had: whether the peer got the request is not known."""


class Away(Unreachable):
    """Nobody was there in time: no address, a refused connection, or silence."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the JSON document. Raises PeerError("not-json")."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise PeerError("not-json") from None


def check_url(url: str, *, allow_private: bool) -> str:
    """Return the URL of a peer as ``http_url`` reads it. Raises PeerError."""
    try:
        return http_url(url, plain=allow_private)
    except ValueError as error:
        raise PeerError(str(error)) from None


class PrivateAddress(PeerError):
    def __init__(self, host: str = "") -> None:
        super().__init__("address-not-public", host=host, cause=PRIVATE)


class _Checked:
    """Connects to an address that was checked, never to a name looked up again."""

    allowed = staticmethod(addresses.is_public)

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        ends = time.monotonic() + connection.timeout
        try:
            host = connection._dns_host  # noqa: SLF001 - what urllib3 itself looks up
            found = addresses.look_up(host, connection.port, connection.timeout)
            if not found or not all(map(self.allowed, found)):
                raise PrivateAddress(host)
            return addresses.connect(
                found,
                connection.port,
                ends,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, "connecting took too long") from error
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(connection, str(error)) from error


class _InTime(io.RawIOBase):
    """Reads a socket until a deadline: its own time-out begins anew with every byte."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._raw: Any = connected.makefile("rb", buffering=0)
        self._deadline = time.monotonic() + (connected.gettimeout() or 0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("too slow")
        self._socket.settimeout(left)
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _ResponseInTime(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_InTime(sock))


class _HTTP(_Checked, HTTPConnection):
    response_class = _ResponseInTime


class _HTTPS(_Checked, HTTPSConnection):
    response_class = _ResponseInTime


class _AnyHTTP(_HTTP):
    allowed = staticmethod(addresses.is_no_secret)


class _AnyHTTPS(_HTTPS):
    allowed = staticmethod(addresses.is_no_secret)


def _no_answer(kind: type[Unreachable], url: str, error: Exception) -> Unreachable:
    host = str(urlsplit(url).hostname)
    return kind("unreachable", type(error).__name__, host=host, cause=cause_of(error))


def _pools(http: type[HTTPConnection], https: type[HTTPSConnection]) -> dict[str, Any]:
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": http}),
        "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
    }


def _number() -> dict[str, str]:
    """Return the header that names the request of which this call is part, if it is of one."""
    number = structlog.contextvars.get_contextvars().get("request_id")
    return {"X-Request-ID": number} if number else {}


class PeerSession:
    """Kept-alive connections to peers, safe to use from several threads.

    Those of the ``keep`` hosts that were asked last stay open. The authorities of ``ca_file`` are
    trusted beside the system's.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        max_bytes: int = MAX_BYTES,
        keep: int = KEPT_HOSTS,
        ca_file: Path | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._trusted = authorities.for_peers(ca_file)
        self._max_bytes = max_bytes
        self._manager = PoolManager(
            keep,
            {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            maxsize=KEPT_OF_A_HOST,
            ssl_context=self._trusted,
        )
        self._manager.pool_classes_by_scheme = (
            _pools(_AnyHTTP, _AnyHTTPS) if allow_private else _pools(_HTTP, _HTTPS)
        )

    def request(
        self,
        method: str,
        url: str,
        *,
        timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
        max_bytes: int | None = None,
        json: Any = None,
        data: bytes | None = None,
    ) -> Answer:
        """Ask a peer, within ``timeout`` seconds in all, and what is left of ``deadline.within``.

        The name's look-up is part of them. Redirects are not followed.

        ``max_bytes`` is for one that may answer more than others; ``json`` becomes the body,
        ``data`` is one.

        Raises Unreachable when there was no answer (Away: nobody was there in time), PeerError
        when it may not be asked or answered more than is accepted.
        """
        check_url(url.partition("?")[0], allow_private=self._allow_private)
        sent = {**self._manager.headers, **_number(), **(headers or {})}
        body = data
        if json is not None:
            body = standard_json.dumps(json, allow_nan=False).encode()
            sent["Content-Type"] = "application/json"
        seconds = deadline.left(timeout)
        if not seconds:
            raise Unreachable("late")
        try:
            response = self._open(method, url, sent, body, seconds)
            try:
                content = self._read(response, max_bytes or self._max_bytes)
            except BaseException:
                response.close()  # what is left of it is nobody's
                raise
            response.release_conn()
            return Answer(response.status, response.headers, content)
        except TookTooLong as error:  # also: no address, or refused
            raise _no_answer(Away, url, error) from error
        except (HTTPError, HTTPException, ValueError) as error:
            raise _no_answer(Unreachable, url, error) from error

    def _open(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> BaseHTTPResponse:
        """Send the request, and a GET once more: the peer may end a kept connection just then."""
        started = time.monotonic()
        try:
            return self._send(method, url, headers, body, seconds)
        except ProtocolError as error:
            left = started + seconds - time.monotonic()
            ended = isinstance(error.args[-1], ConnectionError)
            if method != "GET" or not ended or left < seconds / 2:
                raise
        return self._send(method, url, headers, body, left)

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, seconds: float
    ) -> BaseHTTPResponse:
        return self._manager.urlopen(
            method,
            url,
            body=body,
            headers=headers,
            redirect=False,
            retries=False,
            timeout=Timeout(seconds, connect=min(seconds, CONNECT_SECONDS)),
            preload_content=False,
            decode_content=False,
        )

    def certificate_end(self, url: str, *, timeout: float = 5.0) -> datetime:
        """Return when the certificate of an https address ends, once it is verified.

        Raises Unreachable when it is not good or nobody answers, PeerError as ``request`` does.
        """
        parts = urlsplit(check_url(url, allow_private=False))
        made = _AnyHTTPS if self._allow_private else _HTTPS
        connection = made(
            str(parts.hostname),
            parts.port or 443,
            timeout=timeout,
            ssl_context=self._trusted,
        )
        try:
            connection.connect()
            found: Any = connection.sock
            ends = ssl.cert_time_to_seconds(found.getpeercert()["notAfter"])
        except (OSError, HTTPError, KeyError) as error:
            raise _no_answer(Unreachable, url, error) from error
        finally:
            connection.close()
        return datetime.fromtimestamp(ends, UTC)

    def _read(self, response: BaseHTTPResponse, max_bytes: int) -> bytes:
        if "Content-Encoding" in response.headers:
            raise PeerError("encoding-refused")
        body = bytearray()
        while chunk := response.read1(65536):
            body += chunk
            if len(body) > max_bytes:
                raise PeerError("answer-too-large")
        return bytes(body)


class Circuit:
    """Remembers that a peer is away, so that only the first caller waits for the time-out.

    While open, ``probe`` is tried in the background every ``pause`` seconds until it succeeds;
    one that raises has not.
    """

    def __init__(self, probe: Callable[[], bool], pause: float = 1.0) -> None:
        self._probe = probe
        self._pause = pause
        self._closed = threading.Event()
        self._closed.set()
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        return not self._closed.is_set()

    def trip(self) -> None:
        """Say that the peer did not answer."""
        with self._lock:
            if self.open:
                return
            self._closed.clear()
            try:
                threading.Thread(target=self._watch, daemon=True, name="circuit").start()
            except RuntimeError:  # no more threads: the next caller finds out for itself
                self._closed.set()

    def _watch(self) -> None:
        while self.open:
            time.sleep(self._pause)
            try:
                if self._probe():
                    self._closed.set()
            except Exception:
                log.exception("circuit.probe")
