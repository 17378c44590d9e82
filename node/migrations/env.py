"""Alembic's entry point; the work is the same for both services."""

from shared.store.migrations import run

run()
