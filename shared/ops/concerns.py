"""What whoever runs a service is told of it on a page: nothing, when all is well.

The rules of the alerts (``deploy/watch/alerts.yml``) say the same of the measures.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from shared.ops.watch import CERTIFICATE, Watch, is_silent

DAYS_AHEAD = 14
# A disk is nearly full with less than a tenth left, and less than five gigabytes.
LEAST_SHARE, LEAST_BYTES = 0.1, 5e9
# A job may miss some of its turns: a partner was slow, the database was started again.
TURNS_MISSED, GRACE = 5, timedelta(minutes=15)
OLD_TRUST_LIST = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class FailingJob:
    name: str
    since: datetime
    fault: str | None


@dataclass(frozen=True, slots=True)
class Concerns:
    """``jobs_at``: when the jobs process was last at work. Days are below 0 once it has ended."""

    url: str
    jobs_silent: bool
    jobs_at: datetime | None
    failing: tuple[FailingJob, ...]
    certificate_days: int | None
    certificate_fault: str | None
    free_megabytes: int | None
    trust_list_at: datetime | None = None

    @property
    def any(self) -> bool:
        return bool(
            self.jobs_silent
            or self.failing
            or self.certificate_days is not None
            or self.certificate_fault
            or self.free_megabytes is not None
            or self.trust_list_at
        )


def concerns(
    session: Session,
    watch: Watch,
    folder: Path,
    url: str,
    now: datetime,
    trust_list_at: datetime | None = None,
) -> Concerns:
    """Return what is amiss with a service, as the jobs process and the disk tell it."""
    alive_at, seen = watch.alive_at(session), watch.seen(session, CERTIFICATE)
    silent = is_silent(alive_at, now)
    ends = datetime.fromtimestamp(seen.value, UTC) if seen and seen.value else None
    days = (ends - now).days if ends else None
    room = shutil.disk_usage(folder)
    old = trust_list_at if trust_list_at and now - trust_list_at > OLD_TRUST_LIST else None
    return Concerns(
        url,
        silent,
        alive_at,
        () if silent else tuple(_failing(watch.records(session), now)),
        days if days is not None and days < DAYS_AHEAD else None,
        seen.fault if seen else None,
        room.free // 1_000_000 if is_nearly_full(room.free, room.total) else None,
        old,
    )


def is_nearly_full(free: float, total: float) -> bool:
    return free < min(LEAST_SHARE * total, LEAST_BYTES)


def _failing(records: list[Any], now: datetime) -> list[FailingJob]:
    """Return the jobs that have not come to their end for long."""
    found = []
    for row in records:
        since = row.succeeded_at or row.since
        patience = TURNS_MISSED * timedelta(seconds=row.every_seconds) + GRACE
        if now - since > patience:
            failed = row.failed_at is not None and row.failed_at > since
            found.append(FailingJob(row.name, since, row.fault if failed else None))
    return found
