"""Addresses of peers: looked up in time, judged by what they are, and each of them tried."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from urllib3.util.connection import create_connection

# Whose last 32 bits are an IPv4 address: mapped, compatible, translated (RFC 2765), and behind a
# translator (RFC 6052).
_EMBEDDING = tuple(
    map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
# Not the internet's, whatever the version of Python at hand knows of them.
_RESERVED = tuple(
    map(ipaddress.IPv6Network, ("fec0::/10", "64:ff9b:1::/48", "5f00::/16", "3fff::/20"))
)


def _read(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an address, or the IPv4 address for which it stands."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in network for network in _EMBEDDING):
            return ipaddress.IPv4Address(ip.packed[-4:])
        return ip.sixtofour or ip
    return ip


def is_public(address: str) -> bool:
    """Tell whether an address is the internet's, also one that stands for an IPv4 address."""
    ip = _read(address)
    return ip.is_global and not ip.is_multicast and not any(ip in each for each in _RESERVED)


def is_no_secret(address: str) -> bool:
    """Tell whether an address may be asked in a trial: not where clouds keep their secrets."""
    return not _read(address).is_link_local


_under_way: dict[tuple[str, int], Future[list[str]]] = {}
_lock = threading.Lock()


def look_up(host: str, port: int, seconds: float) -> list[str]:
    """Return a name's addresses. Raises TimeoutError, or OSError for a name that has none.

    The system's resolver takes as long as it likes: a thread waits for it, one for each name.
    """
    host = host.strip("[]")
    if _is_address(host):
        return [host]
    with _lock:
        found = _under_way.get((host, port))
        if found is None:
            found = _under_way[host, port] = Future()
            arguments = (host, port, found)
            threading.Thread(target=_resolve, args=arguments, daemon=True, name="dns").start()
    return found.result(seconds)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _resolve(host: str, port: int, found: Future[list[str]]) -> None:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
    except BaseException as error:  # noqa: BLE001 - it is the caller's
        del _under_way[host, port]
        found.set_exception(error)
    else:
        del _under_way[host, port]
        found.set_result(addresses)


def connect(found: Sequence[str], port: int, ends: float, **options: Any) -> socket.socket:
    """Return a connection to the first address that answers; each has its share of the time.

    Raises the last one's OSError.
    """
    for number, address in enumerate(found):
        share = max(0.001, (ends - time.monotonic()) / (len(found) - number))
        try:
            return create_connection((address, port), share, **options)
        except OSError:
            if number == len(found) - 1:
                raise
    raise OSError("no address")
