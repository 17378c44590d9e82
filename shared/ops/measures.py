"""What ``/metrics`` tells: what all workers counted, and how the service of one application is.

How it is, is found out when somebody asks (``sources``): it costs no request anything. What only a
worker itself knows, it notes every few seconds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import structlog
from flask import Flask
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Gauge,
    generate_latest,
    multiprocess,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.exc import SQLAlchemyError

from shared.ops.metrics_folder import VARIABLE, forget_ended

log = structlog.get_logger()

Source = Callable[[], Iterable[Metric]]
NOTED_EVERY_SECONDS = 5.0

POOL_SIZE = Gauge(
    "passerelle_database_pool_size",
    "Connections to the database that the workers keep, at most",
    ["service"],
    multiprocess_mode="livesum",
)
POOL_IN_USE = Gauge(
    "passerelle_database_pool_in_use",
    "Connections to the database in use, in all workers",
    ["service"],
    multiprocess_mode="livesum",
)
CIRCUIT = Gauge(
    "passerelle_circuit_open",
    "1 while a worker takes a partner for away, and calls it no more",
    ["service", "partner"],
    multiprocess_mode="livemax",
)


class Measures:
    """How one application is; kept at ``app.extensions["measures"]``.

    ``sources`` are asked in its context. ``partners`` tells, by a name of a few, whether the calls
    to it are cut short. ``labels`` are those that tell this application from others in its process.
    """

    def __init__(
        self,
        app: Flask,
        labels: Mapping[str, str],
        sources: Sequence[Source],
        partners: Callable[[], Mapping[str, bool]] = dict,
    ) -> None:
        self._app, self._labels, self._partners = app, labels, partners
        self._service = labels["service"]
        self._sources = sources
        app.extensions["measures"] = self

    def note(self) -> None:
        """Note what this process alone knows."""
        with self._app.app_context():
            pool: Any = self._app.extensions["sqlalchemy"].engine.pool
        POOL_SIZE.labels(self._service).set(pool.size())
        POOL_IN_USE.labels(self._service).set(pool.checkedout())
        for name, away in self._partners().items():
            CIRCUIT.labels(self._service, name).set(away)

    def keep_noting(self) -> None:
        """Note it every few seconds, as long as this process lives."""

        def go_on() -> None:
            while True:
                try:
                    self.note()
                except Exception as error:  # noqa: BLE001 - it is only a measure
                    log.warning("measures.not-noted", error=type(error).__name__)
                time.sleep(NOTED_EVERY_SECONDS)

        threading.Thread(target=go_on, daemon=True, name="measures").start()

    def collect(self) -> Iterable[Metric]:
        """Return the state of the service, as far as its database answers."""
        answers, found = 1.0, list[Metric]()
        try:
            with self._app.app_context():
                for source in self._sources:
                    found += source()
        except SQLAlchemyError as error:
            answers = 0.0
            log.warning("measures.not-found", error=type(error).__name__)
        words = "1 if the database answers"
        for metric in (GaugeMetricFamily("passerelle_database_up", words, answers), *found):
            labels = {**self._labels, **self._app.extensions.get("log_fields", {})}
            metric.samples = [
                sample._replace(labels={**labels, **sample.labels}) for sample in metric.samples
            ]
            yield metric


class _Together:
    """The state of several applications of one process: each measure once, with all its samples."""

    def __init__(self, apps: Sequence[Flask]) -> None:
        self._apps = apps

    def collect(self) -> Iterable[Metric]:
        found: dict[str, Metric] = {}
        for app in self._apps:
            for metric in app.extensions["measures"].collect():
                found.setdefault(metric.name, metric)
                if found[metric.name] is not metric:
                    found[metric.name].samples += metric.samples
        return found.values()


def exposition(*apps: Flask) -> tuple[bytes, str]:
    """Return all measures, in the text form of Prometheus, and its content type."""
    for app in apps:
        app.extensions["measures"].note()
    registry = CollectorRegistry()
    folder = os.environ.get(VARIABLE)
    counted: bytes
    if folder is None:
        counted = generate_latest(REGISTRY)
    else:
        forget_ended(Path(folder))
        multiprocess.MultiProcessCollector(registry, folder)
        counted = generate_latest(registry)
    state = CollectorRegistry()
    state.register(_Together(apps))
    return counted + generate_latest(state), CONTENT_TYPE_LATEST
