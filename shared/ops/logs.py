"""Log lines: one JSON object each, on standard error, whoever in the process has said it."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog


def configure_logging(level: str, service: str) -> None:
    """Log JSON lines, each with service and correlation id, and the name of the job.

    Libraries, gunicorn and APScheduler among them, log through Python's own logging: those lines
    get the same form.
    """
    said: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _service(service),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    written: list[Any] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*said, *written],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*said, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, getattr(logging, level)))  # gunicorn sets its own
    logging.captureWarnings(capture=True)


def _service(service: str) -> Any:
    """Say it in every thread: what was bound in one is not known in another."""

    def add(_logger: Any, _method: str, line: dict[str, Any]) -> dict[str, Any]:
        line.setdefault("service", service)
        return line

    return add
