"""The state of a service as measures: what both hub and node tell on ``/metrics``."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from alembic.migration import MigrationContext
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import Metric
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.base.version import VERSION
from shared.mail.queue import Mailbox
from shared.ops.watch import CERTIFICATE, JOBS, Watch, is_silent
from shared.store.outbox import DEAD, PENDING


def gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(f"passerelle_{name}", words, float(value))


def gauges(name: str, words: str, label: str, values: Mapping[str, float]) -> Metric:
    found = GaugeMetricFamily(f"passerelle_{name}", words, labels=[label])
    for key, value in values.items():
        found.add_metric([key], float(value))
    return found


def info(session: Session) -> Iterable[Metric]:
    """Which version runs, on which revision of the tables."""
    revision = MigrationContext.configure(session.connection()).get_current_revision()
    about = {"version": VERSION, "revision": revision or "none"}
    yield InfoMetricFamily("passerelle", "Version of the software, revision of the tables", about)


def disk(folder: Path) -> Iterable[Metric]:
    found = shutil.disk_usage(folder)
    yield gauge("data_disk_free_bytes", "Room left where the data folder is", found.free)
    yield gauge("data_disk_size_bytes", "Size of the disk where the data folder is", found.total)


def jobs(session: Session, watch: Watch, now: datetime) -> Iterable[Metric]:
    """How the jobs process is, and each job. The label is not ``job``: Prometheus has its own."""
    seen = watch.seen(session, JOBS)
    words = "When the jobs process last wrote down what it did; 0: never"
    yield gauge("jobs_alive_timestamp_seconds", words, seen.at.timestamp() if seen else 0)
    words = "1 while a jobs process leads, and is at work"
    yield gauge("jobs_leader", words, not is_silent(seen.at if seen else None, now))
    ran = SummaryMetricFamily(
        "passerelle_job_duration_seconds", "Runs of a job, and how long they took", labels=["task"]
    )
    failed = CounterMetricFamily(
        "passerelle_job_failures", "Runs of a job that failed", labels=["task"]
    )
    succeeded, every = dict[str, float](), dict[str, float]()
    for row in watch.records(session):
        ran.add_metric([row.name], row.runs, row.seconds)
        failed.add_metric([row.name], row.failures)
        succeeded[row.name] = (row.succeeded_at or row.since).timestamp()
        every[row.name] = row.every_seconds
    yield from (ran, failed)
    words = "When a job last came to its end without a fault; when it was first due, if never"
    yield gauges("job_last_success_timestamp_seconds", words, "task", succeeded)
    yield gauges("job_interval_seconds", "How often a job is run", "task", every)


def certificate(session: Session, watch: Watch) -> Iterable[Metric]:
    """The certificate of our own address, once it was seen."""
    seen = watch.seen(session, CERTIFICATE)
    if seen is None:
        return
    words = "1 if the certificate of our address held when it was last looked at"
    yield gauge("certificate_valid", words, seen.fault is None)
    words = "When our address's certificate was last looked at"
    yield gauge("certificate_seen_timestamp_seconds", words, seen.at.timestamp())
    if seen.value is not None:
        words = "When the certificate of our address ends"
        yield gauge("certificate_expiry_timestamp_seconds", words, seen.value)


def letters(session: Session, mailbox: Mailbox, now: datetime) -> Iterable[Metric]:
    mail: Any = mailbox.mail
    waiting = select(func.count()).where(mail.state == PENDING)
    given_up = select(func.count()).where(mail.state == DEAD, mail.to != "")
    counts = {"waiting": session.scalar(waiting) or 0, "dead": session.scalar(given_up) or 0}
    yield gauges("letters", "E-mail that waits to be sent, or was given up", "state", counts)
    # the row's number, which the index has: not its time, which it has not
    first = select(func.min(mail.id)).where(mail.state == PENDING).scalar_subquery()
    oldest = session.scalar(select(mail.created_at).where(mail.id == first))
    words = "Age of the oldest e-mail that waits"
    yield gauge("letters_oldest_age_seconds", words, age(oldest, now))


def age(since: datetime | None, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds()) if since is not None else 0.0
