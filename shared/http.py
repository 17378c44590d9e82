"""Calls to peers: bounded in time and size, to public addresses only, TLS verified.

Every URL that came from outside is fetched through ``PeerSession``. The address is looked up
once and that very address is connected to, so a second look-up cannot lead elsewhere.
"""

from __future__ import annotations

import io
import ipaddress
import json as standard_json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import orjson
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, HTTPSConnectionPool, PoolManager, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
)
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

MAX_BYTES = 4 << 20
CONNECT_SECONDS = 2.0
VERSION = "0.1.0"  # that of the distribution
USER_AGENT = f"Passerelle/{VERSION}"
KEPT_HOSTS, KEPT_OF_A_HOST = 64, 16


class PeerError(Exception):
    """A peer could not be asked, or answered what cannot be used. ``reason`` is a code."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} {detail}".strip())
        self.reason = reason
        self.detail = detail


class Unreachable(PeerError):
    """No answer was had: whether the peer got the request is not known."""


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
    """Return the URL of a peer, without a trailing slash. Raises PeerError.

    https only, and no user, query or fragment; plain http where private peers are allowed.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise PeerError("url-malformed") from None
    if parts.scheme not in (("https", "http") if allow_private else ("https",)):
        raise PeerError("url-not-https")
    if not parts.hostname or parts.username or parts.query or parts.fragment or port == 0:
        raise PeerError("url-malformed")
    if _is_link_local(parts.hostname):  # where clouds keep their secrets, in a trial too
        raise PrivateAddress
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _is_link_local(host: str) -> bool:
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return (getattr(ip, "ipv4_mapped", None) or ip).is_link_local


# Whose last 32 bits are an IPv4 address: mapped, compatible, and behind a translator (RFC 6052).
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::/96", "64:ff9b::/96")))


def is_public(address: str) -> bool:
    """Tell whether an address is the internet's, also one that stands for an IPv4 address."""
    ip = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _EMBEDDING):
            ip = ipaddress.IPv4Address(ip.packed[-4:])
        elif ip.sixtofour:
            ip = ip.sixtofour
    return ip.is_global and not ip.is_multicast


class _PublicOnly:
    """Connects to the address that was checked, never to a name looked up again."""

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        try:
            found = socket.getaddrinfo(
                connection._dns_host,  # noqa: SLF001 - what urllib3 itself looks up
                connection.port,
                type=socket.SOCK_STREAM,
            )
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(connection, "name not found") from error
        addresses = [str(entry[4][0]) for entry in found]
        if not addresses or not all(is_public(address) for address in addresses):
            raise PrivateAddress
        try:
            return create_connection(
                (addresses[0], connection.port),
                connection.timeout,
                source_address=connection.source_address,
                socket_options=connection.socket_options,
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, "connecting took too long") from error
        except OSError as error:
            raise NewConnectionError(connection, str(error)) from error


class PrivateAddress(PeerError):
    def __init__(self) -> None:
        super().__init__("address-not-public")


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


class _HTTP(HTTPConnection):
    response_class = _ResponseInTime


class _HTTPS(HTTPSConnection):
    response_class = _ResponseInTime


class _PublicHTTP(_PublicOnly, _HTTP):
    pass


class _PublicHTTPS(_PublicOnly, _HTTPS):
    pass


def _pools(http: type[HTTPConnection], https: type[HTTPSConnection]) -> dict[str, Any]:
    return {
        "http": type("Pool", (HTTPConnectionPool,), {"ConnectionCls": http}),
        "https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": https}),
    }


@cache
def _trusting() -> ssl.SSLContext:
    """Return what every https connection is made with: reading the authorities takes 20 ms."""
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    return context


class PeerSession:
    """Kept-alive connections to peers, safe to use from several threads.

    Those of the ``keep`` hosts that were asked last stay open.
    """

    def __init__(
        self, *, allow_private: bool, max_bytes: int = MAX_BYTES, keep: int = KEPT_HOSTS
    ) -> None:
        self._allow_private = allow_private
        self._max_bytes = max_bytes
        self._manager = PoolManager(
            keep,
            {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
            maxsize=KEPT_OF_A_HOST,
            ssl_context=_trusting(),
        )
        self._manager.pool_classes_by_scheme = (
            _pools(_HTTP, _HTTPS) if allow_private else _pools(_PublicHTTP, _PublicHTTPS)
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
        """Ask a peer, within ``timeout`` seconds in all. Redirects are not followed.

        ``max_bytes`` is for one that may answer more than others; ``json`` becomes the body,
        ``data`` is one.

        Raises Unreachable when there was no answer, PeerError when it may not be asked or
        answered more than is accepted.
        """
        check_url(url.partition("?")[0], allow_private=self._allow_private)
        sent = {**self._manager.headers, **(headers or {})}
        body = data
        if json is not None:
            body = standard_json.dumps(json, allow_nan=False).encode()
            sent["Content-Type"] = "application/json"
        try:
            response = self._open(method, url, sent, body, timeout)
            try:
                content = self._read(response, max_bytes or self._max_bytes)
            except BaseException:
                response.close()  # what is left of it is nobody's
                raise
            response.release_conn()
            return Answer(response.status, response.headers, content)
        except (HTTPError, HTTPException, ValueError) as error:
            raise Unreachable("unreachable", type(error).__name__) from error

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
            timeout=Timeout(connect=min(seconds, CONNECT_SECONDS), read=seconds),
            preload_content=False,
            decode_content=False,
        )

    def certificate_end(self, url: str, *, timeout: float = 5.0) -> datetime:
        """Return when the certificate of an https address ends, once it is verified.

        Raises Unreachable when it is not good or nobody answers, PeerError as ``request`` does.
        """
        parts = urlsplit(check_url(url, allow_private=False))
        made = _HTTPS if self._allow_private else _PublicHTTPS
        connection = made(
            str(parts.hostname),
            parts.port or 443,
            timeout=timeout,
            cert_reqs="CERT_REQUIRED",
            ca_certs=DEFAULT_CA_BUNDLE_PATH,
        )
        try:
            connection.connect()
            found: Any = connection.sock
            ends = ssl.cert_time_to_seconds(found.getpeercert()["notAfter"])
        except (OSError, HTTPError, KeyError) as error:
            raise Unreachable("unreachable", type(error).__name__) from error
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

    While open, ``probe`` is tried in the background every ``pause`` seconds until it succeeds.
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
            threading.Thread(target=self._watch, daemon=True, name="circuit").start()

    def _watch(self) -> None:
        while self.open:
            time.sleep(self._pause)
            if self._probe():
                self._closed.set()
