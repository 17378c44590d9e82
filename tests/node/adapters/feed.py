"""Another tool's address: serves what a test gives it, and answers 304 while that is the same."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Feed:
    """``asked`` holds the status of each answer; ``headers`` are added to answers."""

    url: str = ""
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    def calendar(self, *entries: str, head: str = "") -> None:
        """Serve a calendar of these entries, each the lines of a VEVENT."""
        self.body = calendar(*entries, head=head)


def calendar(*entries: str, head: str = "") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//", *head.splitlines()]
    for entry in entries:
        lines += ["BEGIN:VEVENT", *entry.splitlines(), "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


@contextmanager
def serve() -> Iterator[Feed]:
    feed = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, etag = feed.body, f'"{hashlib.sha256(feed.body).hexdigest()[:16]}"'
            unchanged = self.headers.get("If-None-Match") == etag and feed.status == 200
            status = 304 if unchanged else feed.status
            feed.asked.append(status)
            self.send_response(status)
            self.send_header("ETag", etag)
            for name, value in feed.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0" if unchanged else str(len(body)))
            self.end_headers()
            if not unchanged:
                self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    feed.url = f"http://127.0.0.1:{server.server_address[1]}/calendar.ics"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield feed
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
