"""Each request's correlation id, line and measure; and whether the service is well."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any

import structlog
from flask import Flask, Response, g, request

from shared.ops import measures, metrics
from shared.store.revisions import Readiness
from shared.web import guards
from shared.web.guards import allow
from shared.wire.problems import Problem


def install(app: Flask, service: str, ready: Callable[[], Readiness]) -> None:
    """Add correlation ids, request lines, ``/healthz``, ``/readyz`` and ``/metrics``.

    ``ready`` returns what is wrong, and what else an operator should know.
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

    @app.teardown_request
    def _end(_error: BaseException | None) -> None:
        structlog.contextvars.clear_contextvars()  # what is said next is of no request

    @app.get("/healthz")
    @allow("public")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    @allow("public")
    def readyz() -> tuple[dict[str, Any], int]:
        found = ready()
        status = "not ready" if found.faults else "ok"
        said = {"status": status, "faults": [*found.faults], "notes": [*found.notes]}
        return said, 503 if found.faults else 200

    @app.get("/metrics", endpoint="metrics")
    @allow("public")
    def tell_measures() -> Response:
        """Tell them to who has the token; the port of their own is the server's matter."""
        wanted, given = app.extensions["settings"].metrics_token, guards.given_bearer() or ""
        if not wanted:
            raise Problem("not-found")
        if not hmac.compare_digest(wanted.encode(), given.encode()):
            raise Problem("unauthenticated")
        body, content_type = measures.exposition(app)
        return Response(body, content_type=content_type)
