"""Peers that mean harm, or are broken: servers that answer whatever a test has them answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\n"


def answer(body: bytes, *headers: str, status: bytes = OK) -> bytes:
    """Return a whole HTTP answer."""
    lines = [f"Content-Length: {len(body)}", "Connection: close", *headers]
    return status + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


@dataclass
class Hostile:
    """``asked`` holds the first lines of the requests; ``stop`` is set when the test is over."""

    url: str
    asked: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def hostile(act: Callable[[Hostile, socket.socket], None] | bytes) -> Iterator[Hostile]:
    """Serve on a loopback port; ``act`` does with each connection what it likes."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Hostile(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def handle(connection: socket.socket) -> None:
        with connection:
            try:
                server.asked.append(connection.recv(65536).split(b"\r\n")[0].decode())
                if isinstance(act, bytes):
                    connection.sendall(act)
                else:
                    act(server, connection)
            except OSError:
                return  # the other side had enough

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server
    finally:
        server.stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def never(server: Hostile, _connection: socket.socket) -> None:
    """Take the request, and say nothing."""
    server.stop.wait(30)


def without_end(_server: Hostile, connection: socket.socket) -> None:
    """Send a body that does not end, as fast as it is taken."""
    connection.sendall(OK + b"Content-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65536)


def drop_by_drop(head: bytes) -> Callable[[Hostile, socket.socket], None]:
    """Send this at once, and then one byte at a time for ever."""

    def act(server: Hostile, connection: socket.socket) -> None:
        connection.sendall(head)
        while not server.stop.wait(0.02):
            connection.sendall(b"a")

    return act
