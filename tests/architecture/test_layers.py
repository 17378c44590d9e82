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

# What else commits, and why it is not a ``service.py``.
OTHER_COMMITTERS = {
    "shared/store/db.py": "the unit of work",
    "shared/accounts/password_links.py": "the verbs of one-time links, over either service's",
    "shared/accounts/two_factor.py": "the verbs of the second step, over either service's tables",
    "shared/accounts/failed_passwords.py": "the count of wrong passwords, over either's table",
    "shared/mail/queue.py": "the verbs of e-mail, over either service's table",
    "shared/ops/jobs.py": "ends the transaction that holds the leader's lock",
    "node/desk/showings.py": "which codes were good here",
    "node/desk/recording.py": "what a door writes down",
    "node/desk/reconcile_visits.py": "what is told again, and how long it can be",
    "node/passes/reconcile_passes.py": "the stricter of two words on a pass",
    "node/bookings/restore.py": "bookings that partners tell us of again",
    "node/hub/outbox.py": "messages to the hub",
    "node/hub/checkpoint.py": "what is remembered with the hub",
    "node/hub/hub_registration.py": "what the hub says against an address",
    "node/reconcile.py": "the sheets, published anew",
    "node/desk/corrections.py": "the host's answers",
    "node/desk/incidents.py": "the desk's notes",
    "node/passes/cards.py": "the verbs of paper cards",
    "node/passes/digits.py": "the verbs of six digits",
    "node/passes/host_requests.py": "which requests of hosts were used",
    "node/hub/contact.py": "notes who was last heard of",
    "node/console/diagnostics.py": "the verbs of “check my node”",
    "node/members/changes.py": "the verbs of a subscription, which reach the passes",
    "node/members/plans.py": "the verbs of plans",
    "node/members/importing.py": "the verbs of a list that is imported",
    "node/exports/importing.py": "the verb that takes an export in",
    "node/adapters/importing.py": "the verbs of lists of events, prices and rooms",
    "node/bookings/hosted.py": "the verbs of places that are kept here",
    "node/bookings/telling.py": "what of bookings the homes were told",
    "node/bookings/ending.py": "calls off what is booked beyond a subscription",
    "node/bookings/outgoing.py": "the verbs of what our members ask of hosts",
    "node/desk/idempotency.py": "the verbs of remembered answers",
    "node/desk/hub_messages.py": "what is taken over from the hub",
    "node/visits/seats.py": "holding a place",
    "node/visits/presence.py": "the verbs that end a visit",
    "node/cli.py": "makes the first admin and the first space",
}
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


def test_only_services_commit() -> None:
    committers = {
        name(path)
        for path in modules("charter", "shared", "federation", "node")
        if any(method == "commit" for method, _ in called_methods(path))
    }
    others = {path for path in committers if Path(path).name != "service.py"}
    assert others == set(OTHER_COMMITTERS)


def test_the_hub_begins_commits_and_undoes_by_the_unit_of_work_alone() -> None:
    wrong = {
        f"{name(path)}:{line} calls {called}()"
        for path in modules("federation")
        for called, line in calls(path)
        if called in ("begin_write", "commit", "rollback")
    }
    assert not wrong


def _is_an_edge(path: Path) -> bool:
    """Tell whether a module has routes, forms, schemas or tables: it asks services to write."""
    return path.stem in EDGES or path.stem.endswith(("_api", "_pages"))


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


def test_the_hub_s_pages_and_apis_hold_no_sql() -> None:
    wrong = set()
    for path in modules("federation"):
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
