"""Who did what to the network. The database itself refuses to change or remove a line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DDL, String, event
from sqlalchemy.orm import Mapped, mapped_column

from federation.db import Model


class AuditEntry(Model):
    """``actor`` is ``account:3``, ``node:<id>``, ``jobs`` (the hub by itself) or ``cli``.

    ``detail`` may have ``before`` and ``after``, of one value or of several by name.
    """

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(160))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(160))
    detail: Mapped[dict[str, Any]]


# Migration 0013 does the same. Making this table anew, as SQLite changes a column, loses them.
APPEND_ONLY = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_entry_no_{verb} BEFORE {verb} ON audit_entry "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END"
        for verb in ("update", "delete")
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION audit_entry_append_only() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$",
        "CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON audit_entry "
        "FOR EACH ROW EXECUTE FUNCTION audit_entry_append_only()",
        "CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON audit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_append_only()",
    ),
}
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        event.listen(
            AuditEntry.__table__, "after_create", DDL(_statement).execute_if(dialect=_dialect)
        )
