"""The audit log: adding to it, within whatever is noted; and the names of who and what is in it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from federation.audit.models import AuditEntry

JOBS, CLI = "jobs", "cli"


def audit(
    session: Session, now: datetime, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Add a line to the audit log, within the caller's transaction."""
    session.add(AuditEntry(at=now, actor=actor, action=action, subject=subject, detail=detail))
