"""Answers that any program on any site may read."""

from __future__ import annotations

import hashlib

from flask import Response, request

from shared.web.compression import compressible

LICENCE_URL = "https://www.etalab.gouv.fr/licence-ouverte-open-licence"


def open_data(body: bytes, mimetype: str, *, seconds: int = 5, etag: str = "") -> Response:
    """Return public data, to be kept for so many seconds before it is asked for again.

    ``etag`` is the same for what says the same; without it, for the same bytes.
    """
    return share(Response(body, mimetype=mimetype), seconds=seconds, etag=etag)


def share(response: Response, *, seconds: int, etag: str = "") -> Response:
    """Make an answer public data: open to every origin, its licence stated, 304 when unchanged."""
    digest = etag or hashlib.sha256(response.get_data()).hexdigest()[:32]
    response.set_etag(digest, weak=True)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.headers["Link"] = f'<{LICENCE_URL}>; rel="license"'
    response.make_conditional(request)
    return compressible(response)
