"""Running Alembic inside a service, on either kind of database."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy.types import TypeEngine

from shared.db import UTCDateTime


def _render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Migrations stand alone: they name SQLAlchemy's own types, not ours."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def _same_type(
    _context: Any, _column: Any, _meta: Any, found: TypeEngine[Any], ours: Any
) -> bool | None:
    del found
    return False if isinstance(ours, UTCDateTime) else None


def run() -> None:
    extension = current_app.extensions["migrate"]
    engine, metadata = extension.db.engine, extension.db.metadata
    with engine.connect().execution_options(writes=True) as connection:
        context.configure(
            connection=connection,
            target_metadata=metadata,
            render_as_batch=True,
            render_item=_render,
            compare_type=_same_type,
        )
        with context.begin_transaction():
            context.run_migrations()
