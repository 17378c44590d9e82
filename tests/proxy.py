"""A proxy as operators put before a node: a page of its own where the node does not answer."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BAD_GATEWAY = (502, "text/html", b"<html><body><h1>502 Bad Gateway</h1><hr>nginx</body></html>")
Said = tuple[int, str, bytes]
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


class Proxy:
    """``instead`` are answers to give in the node's place, by how the path begins."""

    def __init__(self, target: int) -> None:
        proxy, self.instead, self.asked = self, dict[str, Said](), list[tuple[str, bytes]]()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_args: Any) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.asked.append((self.path, body))
                found = [
                    said for start, said in proxy.instead.items() if self.path.startswith(start)
                ]
                if found:
                    self.say(found[0][0], {"Content-Type": found[0][1]}, found[0][2])
                    return
                try:
                    node = http.client.HTTPConnection("127.0.0.1", target, timeout=20)
                    node.request(self.command, self.path, body, dict(self.headers))
                    said = node.getresponse()
                    content, headers = said.read(), said.getheaders()
                except OSError:
                    self.say(BAD_GATEWAY[0], {"Content-Type": BAD_GATEWAY[1]}, BAD_GATEWAY[2])
                    return
                self.say(said.status, headers, content)

            def say(self, status: int, headers: Any, content: bytes) -> None:
                pairs = headers.items() if isinstance(headers, dict) else headers
                self.send_response_only(status)
                for name, value in pairs:
                    if name.lower() not in _HOP_BY_HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_DELETE = do_PUT = answer  # noqa: N815 - as the library names them

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def told(self, path: str) -> list[bytes]:
        """Return the bodies of what was asked at a path."""
        return [body for asked, body in self.asked if asked == path]

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        yield self
        self._server.shutdown()
        self._server.server_close()
