"""Each request's correlation id, line and measure; and whether the service is well."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, g, request

from shared.ops import metrics
from shared.web.guards import allow
from shared.wire.problems import Problem


def install(app: Flask, service: str, ready: Callable[[], list[str]]) -> None:
    """Add correlation ids, request lines, ``/healthz``, ``/readyz`` and ``/metrics``.

    ``ready`` returns what is wrong, in words for an operator; nothing when all is well.
    """

    @app.before_request
    def _start() -> None:
        g.started = time.perf_counter()
        g.request_id = metrics.request_id(request.headers.get(metrics.REQUEST_ID_HEADER, ""))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(service=service, request_id=g.request_id)
        # Whose request it is, where one service holds several operators' nodes.
        structlog.contextvars.bind_contextvars(**app.extensions.get("log_fields", {}))

    @app.after_request
    def _finish(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        status, given = response.status_code, g.get("request_id", "")
        response.headers.update(
            metrics.note(service, endpoint, request.method, status, seconds, given)
        )
        return response

    @app.get("/healthz")
    @allow("public")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    @allow("public")
    def readyz() -> tuple[dict[str, Any], int]:
        faults = ready()
        return {"status": "ok" if not faults else "not ready", "faults": faults}, (
            503 if faults else 200
        )

    @app.get("/metrics", endpoint="metrics")
    @allow("public")
    def measures() -> Response:
        address = request.remote_addr
        if not address or ipaddress.ip_address(address).is_global:
            raise Problem("not-found")
        body, content_type = metrics.exposition()
        return Response(body, content_type=content_type)
