"""A small load generator: prepared requests over raw sockets, so many at once.

One loop over epoll in one process; nothing is made while the clock runs. Every answer's time
counts from before the connection is made, where the server closes it after each answer.
"""

from __future__ import annotations

import gc
import os
import re
import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ANSWER_SECONDS = 30
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_TIMING = re.compile(rb"\r\nserver-timing: app;dur=([0-9.]+)\r\n", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: close\r\n", re.IGNORECASE)


class LoadError(Exception):
    """The server did not answer as it must; the message says what it said."""


@dataclass
class Measured:
    """Times in milliseconds: ``waited`` as the client saw it, ``served`` as the server said."""

    seconds: float = 0.0
    own_cpu: float = 0.0
    server_cpu: float = 0.0
    waited: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.waited) / self.seconds

    @property
    def own_share(self) -> float:
        """Tell how much of one core the generator itself took."""
        return self.own_cpu / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Tell how much processor time the servers took for one request, in milliseconds."""
        return self.server_cpu / len(self.waited) * 1000


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def post(path: str, body: bytes, token: str = "") -> bytes:
    """Return the bytes of a request with a JSON body."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{bearer}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, headers: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()


class _Connection:
    """One caller, who sends the next request when the last one is answered."""

    def __init__(self, port: int, poll: select.epoll) -> None:
        self._address = ("127.0.0.1", port)
        self._poll = poll
        self._socket: socket.socket | None = None
        self._answer = b""
        self._sent_at = 0.0

    def send(self, request: bytes) -> int:
        """Send, over the kept connection if there is one; returns the descriptor."""
        self._answer = b""
        self._sent_at = time.perf_counter()
        if self._socket is None:
            self._socket = socket.create_connection(self._address)
            self._poll.register(self._socket.fileno(), select.EPOLLIN)
        self._socket.sendall(request)
        return self._socket.fileno()

    def receive(self, measured: Measured, status: int) -> bool:
        """Read what is there; tells whether the answer is complete. Raises LoadError."""
        assert self._socket is not None  # noqa: S101 - it was found readable
        chunk = self._socket.recv(65536)
        self._answer += chunk
        head, blank, body = self._answer.partition(b"\r\n\r\n")
        if blank:
            head += b"\r\n"
            length = _LENGTH.search(head)
            bare = head[9:12] == b"304"
            if bare or (length and len(body) >= int(length[1])):
                self._finish(head, status, measured)
                return True
        if not chunk:
            raise LoadError(f"the connection was closed after {self._answer[:200]!r}")
        return False

    def _finish(self, head: bytes, status: int, measured: Measured) -> None:
        measured.waited.append((time.perf_counter() - self._sent_at) * 1000)
        if int(head[9:12]) != status:
            raise LoadError(f"{status} was expected: {self._answer.decode(errors='replace')[:900]}")
        timing = _TIMING.search(head)
        if timing:
            measured.served.append(float(timing[1]))
        if _CLOSE.search(head):
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._poll.unregister(self._socket.fileno())
            self._socket.close()
            self._socket = None


def run(
    port: int,
    requests: Sequence[bytes],
    connections: int,
    status: int,
    servers: Sequence[int] = (),
) -> Measured:
    """Send all requests, so many at once. Raises LoadError for any answer of another status.

    ``servers`` are the process ids whose processor time is to be noted.
    """
    measured = Measured(server_cpu=-cpu_seconds(servers))
    waiting: dict[int, _Connection] = {}
    left = iter(requests)
    gc.collect()
    gc.freeze()  # the prepared requests are many: collecting must not stop the clock's loop
    with select.epoll() as poll:
        callers = [_Connection(port, poll) for _ in range(connections)]
        cpu, started = time.process_time(), time.perf_counter()
        try:
            for caller in callers:
                _next(caller, left, waiting)
            while waiting:
                ready = poll.poll(ANSWER_SECONDS)
                if not ready:
                    raise LoadError(f"no answer within {ANSWER_SECONDS} s")
                for descriptor, _ in ready:
                    caller = waiting[descriptor]
                    if caller.receive(measured, status):
                        del waiting[descriptor]
                        _next(caller, left, waiting)
            measured.seconds = time.perf_counter() - started
            measured.own_cpu = time.process_time() - cpu
            measured.server_cpu += cpu_seconds(servers)
        finally:
            for caller in callers:
                caller.close()
            gc.unfreeze()
    return measured


def _next(caller: _Connection, left: Iterator[bytes], waiting: dict[int, _Connection]) -> None:
    request = next(left, None)
    if request is not None:
        waiting[caller.send(request)] = caller


def cpu_seconds(owners: Sequence[int]) -> float:
    """Return the processor time used so far by these processes' groups and children (Linux)."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) in owners or int(fields[2]) in owners:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
