"""Who may import whom, who commits, and who may look at the clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import (
    ROOT,
    called_methods,
    calls,
    calls_of_session,
    imports,
    modules,
    name,
)

UNIT_OF_WORK = "shared/store/db.py"
EDGES = ("api", "pages", "forms", "models", "schemas")
CLOCK_MODULES = {"time", "random", "secrets", "uuid"}
OUTSIDE_MODULES = {"socket", "subprocess", "urllib", "http", "sqlite3", "threading", "os"}
CLOCK_CALLS = {"now", "utcnow", "today", "monotonic", "perf_counter", "time_ns"}


def test_the_contracts_of_import_linter_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_charter_imports_the_standard_library_and_itself_only() -> None:
    wrong = {
        f"{name(path)} imports {module}"
        for path in modules("charter")
        for module in imports(path)
        if module.partition(".")[0] not in sys.stdlib_module_names | {"charter"}
    }
    assert not wrong


def test_the_charter_reads_no_clock_and_reaches_nothing_outside() -> None:
    wrong = set()
    for path in modules("charter"):
        for module in imports(path):
            if module.partition(".")[0] in CLOCK_MODULES | OUTSIDE_MODULES:
                wrong.add(f"{name(path)} imports {module}")
        for method, line in called_methods(path):
            if method in CLOCK_CALLS:
                wrong.add(f"{name(path)}:{line} calls {method}()")
    assert not wrong


@pytest.mark.parametrize(("one", "other"), [("federation", "node"), ("node", "federation")])
def test_hub_and_node_know_each_other_by_the_wire_alone(one: str, other: str) -> None:
    wrong = {
        f"{name(path)} imports {module}"
        for path in modules(one)
        for module in imports(path)
        if module.partition(".")[0] == other
    }
    assert not wrong


def test_the_unit_of_work_alone_begins_commits_and_undoes() -> None:
    wrong = {
        f"{name(path)}:{line} calls {called}()"
        for path in modules("charter", "shared", "federation", "node")
        if name(path) != UNIT_OF_WORK and "migrations" not in name(path)
        for called, line in calls(path)
        if called in ("begin_write", "commit", "rollback")
    }
    assert not wrong


def _is_an_edge(path: Path) -> bool:
    """Tell whether a module has routes, forms, schemas or tables: it asks services to write."""
    return path.stem.rpartition("_")[2] in EDGES


def test_routes_forms_and_tables_leave_the_transaction_to_services() -> None:
    wrong = {
        f"{name(path)}:{line} calls {called}()"
        for path in modules("shared", "federation", "node")
        if _is_an_edge(path)
        for called, line in calls(path)
        if called in ("commit", "flush")
        or (called in ("write", "begin_write") and "shared.store.db" in imports(path))
    }
    assert not wrong


def test_pages_and_apis_hold_no_sql() -> None:
    wrong = set()
    for path in modules("federation", "node"):
        if not _is_an_edge(path) or path.stem == "models":
            continue
        wrong |= {
            f"{name(path)} imports {module}"
            for module in imports(path)
            if module.startswith("sqlalchemy") and module != "sqlalchemy.orm"
        }
        wrong |= {
            f"{name(path)}:{line} asks the database: {call}"
            for call, line in calls_of_session(path)
        }
    assert not wrong
