"""What operators see of requests: one line and one measure each, and a correlation id."""

from __future__ import annotations

import logging
import re
import secrets
import sys

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")

REQUESTS = Counter(
    "passerelle_requests_total", "Requests answered", ["service", "endpoint", "status"]
)
SECONDS = Histogram(
    "passerelle_request_seconds",
    "Time to answer, in seconds",
    ["service", "endpoint"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.25, 0.5, 1, 2, 5),
)


def configure_logging(level: str, service: str) -> None:
    """Log JSON lines to standard error, each with service and correlation id."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)


log = structlog.get_logger()


def request_id(given: str) -> str:
    """Return a request's correlation id: the one it came with, or one of its own."""
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def note(
    service: str, endpoint: str, method: str, status: int, seconds: float, given: str
) -> dict[str, str]:
    """Note a request that was answered; returns the headers that tell its id and its time."""
    REQUESTS.labels(service, endpoint, status).inc()
    SECONDS.labels(service, endpoint).observe(seconds)
    milliseconds = round(seconds * 1000, 2)
    log.info(
        "request",
        service=service,
        request_id=given,
        method=method,
        endpoint=endpoint,
        status=status,
        ms=milliseconds,
    )
    return {REQUEST_ID_HEADER: given, "Server-Timing": f"app;dur={milliseconds:.2f}"}


def exposition() -> tuple[bytes, str]:
    """Return what all processes of this service measured, and its content type."""
    if values.ValueClass is values.MutexValue:
        return generate_latest(), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
