"""Answers that any program on any site may read."""

from __future__ import annotations

import hashlib

from flask import Response, request

from shared.web.compression import compressible


def open_data(body: bytes, mimetype: str, *, seconds: int = 5, etag: str = "") -> Response:
    """Return public data: open to every origin, its licence stated, 304 when unchanged.

    It may be kept for so many seconds before it is asked for again. ``etag`` is the same for
    what says the same; without it, for the same bytes.
    """
    response = Response(body, mimetype=mimetype)
    response.set_etag(etag or hashlib.sha256(body).hexdigest()[:32], weak=True)
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    response.headers["Link"] = (
        '<https://www.etalab.gouv.fr/licence-ouverte-open-licence>; rel="license"'
    )
    response.make_conditional(request)
    return compressible(response)
