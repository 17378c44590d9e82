"""Public texts in fewer bytes: gzip, for those who take it.

Static files and open data, and pages that say so, as long as nobody is logged in: what holds a
secret beside what the address said is sent as it is (BREACH).
"""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from functools import lru_cache
from threading import Lock
from typing import Final

from flask import Flask, Response, g, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

SMALLEST: Final = 500
KEPT_BYTES: Final = 8 << 20
_TEXTS = frozenset(
    {
        "application/geo+json",
        "application/javascript",
        "application/json",
        "application/manifest+json",
        "application/wasm",
        "image/svg+xml",
        "text/calendar",
        "text/css",
        "text/csv",
        "text/html",
        "text/javascript",
        "text/plain",
    }
)


class _Kept:
    """What was compressed lately, by hash; the oldest goes when there is no room."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes, self._lock = 0, Lock()

    def get(self, key: bytes) -> bytes | None:
        with self._lock:
            if key in self._bodies:
                self._bodies.move_to_end(key)
            return self._bodies.get(key)

    def put(self, key: bytes, body: bytes) -> None:
        if len(body) > KEPT_BYTES // 4:
            return
        with self._lock:
            self._bytes += len(body) - len(self._bodies.pop(key, b""))
            self._bodies[key] = body
            while self._bytes > KEPT_BYTES:
                self._bytes -= len(self._bodies.popitem(last=False)[1])


_kept = _Kept()


@lru_cache(maxsize=256)
def takes_gzip(accepted: str) -> bool:
    """Tell whether one who sends this ``Accept-Encoding`` reads gzip."""
    return bool(parse_accept_header(accepted, Accept)["gzip"])


def is_worth_it(mimetype: str | None, length: int) -> bool:
    return mimetype in _TEXTS and length >= SMALLEST


def gzipped(plain: bytes, level: int = 5) -> bytes:
    """Return the body compressed; what is asked for again is compressed once."""
    key = hashlib.blake2b(plain, digest_size=16).digest()  # an ETag may be of another moment
    body = _kept.get(key)
    if body is None:
        body = gzip.compress(plain, level, mtime=0)
        _kept.put(key, body)
    return body


def compressible(response: Response) -> Response:
    """Say of an answer that it holds no secret; it is compressed unless somebody is logged in."""
    g.compressible = True
    return response


def install(app: Flask) -> None:
    """Compress what may be, after everything else was done to the answer."""

    @app.after_request
    def _compress(response: Response) -> Response:
        public = g.get("compressible") and g.get("principal") is None
        static = (request.endpoint or "").rpartition(".")[2] == "static"
        if response.mimetype not in _TEXTS or not (public or static):
            return response
        response.vary.add("Accept-Encoding")
        if (
            response.status_code != 200
            or "Content-Encoding" in response.headers
            or not takes_gzip(request.headers.get("Accept-Encoding", ""))
            or not is_worth_it(response.mimetype, response.content_length or SMALLEST)
        ):
            return response
        _shorten(response, lasting=static)
        return response


def _shorten(response: Response, *, lasting: bool) -> None:
    """Replace the body; files are compressed as well as can be, once, others fast."""
    response.direct_passthrough = False
    source = response.response
    plain = response.get_data()
    if hasattr(source, "close"):  # a file is read to its end
        source.close()
    response.set_data(gzipped(plain, 9 if lasting else 5))
    response.headers["Content-Encoding"] = "gzip"
    response.headers.pop("Accept-Ranges", None)
    etag, _ = response.get_etag()
    if etag:  # the same to a reader, not byte for byte
        response.set_etag(etag, weak=True)
