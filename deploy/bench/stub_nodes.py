"""Nodes that are no more than their publication: thousands on loopback, each at its own address.

One process serves many with one loop, connections kept; another is nodes that are dead, slow or
mean harm. They end when whoever started them does.
"""

from __future__ import annotations

import contextlib
import multiprocessing as processes
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

PORT = 18_900
_spawning = processes.get_context("spawn")


def address(n: int, block: int = 1) -> str:
    return f"127.{block}.{n >> 8}.{n & 255}"


def url(n: int, block: int = 1) -> str:
    return f"http://{address(n, block)}:{PORT}"


class Stubs:
    """``numbers`` of nodes in one process; ``tell`` gives them what they publish from now on."""

    def __init__(self, numbers: range) -> None:
        self._pipe, theirs = _spawning.Pipe()
        self.process = _spawning.Process(target=_serve, args=(numbers, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self._pipe.recv()

    def tell(self, published: Mapping[int, tuple[str, bytes]]) -> None:
        """Take ETag and body by number of the node."""
        self._pipe.send(published)
        self._pipe.recv()

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def _listen(n: int, block: int) -> socket.socket:
    return socket.create_server((address(n, block), PORT), backlog=16, reuse_port=False)


def _serve(numbers: range, pipe: Connection) -> None:
    listeners = {one.fileno(): (n, one) for n, one in ((n, _listen(n, 1)) for n in numbers)}
    callers: dict[int, tuple[int, socket.socket]] = {}
    answers: dict[int, tuple[bytes, bytes, bytes]] = {}
    poll = select.epoll()
    for descriptor in (*listeners, pipe.fileno()):
        poll.register(descriptor, select.EPOLLIN)
    pipe.send(None)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == pipe.fileno():
                try:
                    told = pipe.recv()
                except EOFError:
                    return
                answers.update({n: _answers(*each) for n, each in told.items()})
                pipe.send(None)
            elif descriptor in listeners:
                n, listener = listeners[descriptor]
                caller, _peer = listener.accept()
                callers[caller.fileno()] = n, caller
                poll.register(caller.fileno(), select.EPOLLIN)
            else:
                n, caller = callers[descriptor]
                asked = b""
                with contextlib.suppress(OSError):
                    asked = caller.recv(65536)
                if not asked:
                    poll.unregister(descriptor)
                    callers.pop(descriptor)[1].close()
                    continue
                etag, whole, unchanged = answers[n]
                caller.sendall(unchanged if etag in asked else whole)


def _answers(etag: str, body: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the quoted ETag, the whole answer, and the answer to who has it."""
    common = (
        f'ETag: "{etag}"\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: no-cache\r\n'
        "Server: stub\r\nDate: Tue, 24 Nov 2026 09:00:00 GMT\r\n"
        "Strict-Transport-Security: max-age=31536000\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    ).encode()
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/jwt\r\n"
        f"Content-Length: {len(body)}\r\n".encode()
    )
    return f'"{etag}"'.encode(), head + common + body, b"HTTP/1.1 304 NOT MODIFIED\r\n" + common


# Those that give trouble


def _silent(_caller: socket.socket, _n: int) -> None:
    time.sleep(60)


def _byte_by_byte(caller: socket.socket, _n: int) -> None:
    caller.sendall(_OK + b"Content-Type: application/jwt\r\nContent-Length: 4000\r\n\r\n")
    for _ in range(60):
        caller.sendall(b"e")
        time.sleep(1)


def _ten_gigabytes(caller: socket.socket, _n: int) -> None:
    caller.sendall(_OK + b"Content-Type: application/jwt\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        caller.sendall(b" " * 65536)


def _redirect(caller: socket.socket, n: int) -> None:
    head = f"HTTP/1.1 302 Found\r\nLocation: {url(n, 2)}/again\r\nContent-Length: 0\r\n\r\n"
    caller.sendall(head.encode())


def _web_page(caller: socket.socket, _n: int) -> None:
    caller.sendall(_OK + b"Content-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>a")


def _zip_bomb(caller: socket.socket, _n: int) -> None:
    head = b"Content-Type: application/jwt\r\nContent-Encoding: gzip\r\nContent-Length: 65536\r\n"
    caller.sendall(_OK + head + b"\r\n" + b"\x1f\x8b" + b"\0" * 65534)


_OK = b"HTTP/1.1 200 OK\r\n"
_PRIVATE = "http://10.255.255.1:18900"
Act = Callable[[socket.socket, int], None]
HOSTILE: tuple[Act, ...] = (_ten_gigabytes, _redirect, _web_page, _zip_bomb)


class Trouble:
    """So many dead nodes, half of them silent and half gone; slow ones; and hostile ones."""

    def __init__(self, dead: int, slow: int) -> None:
        acts: list[Act | None] = [None if n % 2 else _silent for n in range(dead)]
        acts += [_byte_by_byte] * slow
        acts += HOSTILE
        self.urls = [url(n, 2) for n in range(len(acts))] + [_PRIVATE]
        self._pipe, theirs = _spawning.Pipe()
        self.process = _spawning.Process(target=_trouble, args=(acts, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self._pipe.recv()

    def end(self) -> None:
        self.process.kill()
        self.process.join()


def _trouble(acts: list[Act | None], pipe: Connection) -> None:
    for n, act in enumerate(acts):
        if act is not None:
            threading.Thread(target=_accept, args=(_listen(n, 2), act, n), daemon=True).start()
    pipe.send(None)
    with contextlib.suppress(EOFError):
        pipe.recv()


def _accept(listener: socket.socket, act: Act, n: int) -> None:
    def answer(caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            caller.recv(65536)
            act(caller, n)

    while True:
        caller: Any = listener.accept()[0]
        threading.Thread(target=answer, args=(caller,), daemon=True).start()
