"""Who may import whom, who commits, and who may look at the clock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, called_methods, imports, modules, name

# What else commits, and why it is not a ``service.py``.
OTHER_COMMITTERS = {
    "shared/store/db.py": "the unit of work",
    "shared/accounts/password_links.py": "the verbs of one-time links, over either service's",
    "shared/accounts/two_factor.py": "the verbs of the second step, over either service's tables",
    "federation/identity/people.py": "the verbs of the desk's accounts",
    "shared/accounts/failed_passwords.py": "the count of wrong passwords, over either's table",
    "shared/mail/queue.py": "the verbs of e-mail, over either service's table",
    "shared/ops/jobs.py": "ends the transaction that holds the leader's lock",
    "federation/nodes/enrolment.py": "the verbs by which a node comes in",
    "federation/nodes/keys.py": "the verbs by which a node's keys are added and withdrawn",
    "federation/trust/trust_list.py": "the signed list, when something in it has changed",
    "federation/trust/leaving.py": "the verbs by which a node leaves",
    "federation/nodes/rollback_detection.py": "what nodes remember, to tell who forgot something",
    "federation/nodes/url_change.py": "the verb by which a node's address changes",
    "federation/charters/adoption.py": "what jobs do at a vote's deadline and a version's effect",
    "federation/charters/proposals.py": "the verbs of a proposal's life",
    "federation/charters/votes.py": "voting",
    "federation/trust/suspension.py": "the verbs by which a coordinator suspends and takes back",
    "federation/nodes/join_requests.py": "the verbs of those who ask to join",
    "federation/spaces/harvest.py": "who was heard, and who is asked again when",
    "federation/trust/offline_alerts.py": "of whom people were told that they are silent",
    "federation/spaces/publications.py": "the verbs by which spaces are published",
    "federation/spaces/availability.py": "the verb by which free places are told",
    "federation/listings/importing.py": "the verbs of a list that is imported",
    "federation/listings/fetching.py": "the verb that reads a list again each day",
    "federation/listings/spaces.py": "the verbs of one listed space",
    "federation/moderation/changes.py": "the verbs of looking at what changed",
    "federation/moderation/hiding.py": "the verbs that keep a space off the map",
    "federation/moderation/reports.py": "the verbs of a report's life",
    "federation/statistics/admission_rate.py": "what nodes say of their figures, and of hosts",
    "federation/statistics/page_views.py": "adds views up",
    "federation/spaces/published_hours.py": "forgets hours that no report is judged by",
    "federation/statements/claims.py": "which lines a month takes, in short transactions",
    "federation/statements/disputes.py": "contesting a visit, and settling it",
    "federation/statements/host_disputes.py": "contesting all that a host counts",
    "federation/statements/documents.py": "a month's document, kept as it was signed",
    "federation/statements/logs.py": "what a host's own log was found to be",
    "federation/visits/changes.py": "the verbs by which a visit changes",
    "federation/visits/showings.py": "showings that made no visit",
    "federation/visits/passes.py": "a home's word on its passes",
    "federation/visits/corrections.py": "what visitors ask, and hosts answer",
    "federation/webhooks/delivery.py": "what became of a message that was sent",
    "federation/webhooks/events.py": "what was told last",
    "federation/cli.py": "makes the first coordinator",
}
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


def test_routes_and_tables_leave_the_transaction_to_services() -> None:
    wrong = {
        f"{name(path)}:{line} calls {method}()"
        for path in modules("shared", "federation", "node")
        if path.name in ("api.py", "pages.py", "models.py", "account_pages.py")
        for method, line in called_methods(path)
        if method in ("commit", "flush")
    }
    assert not wrong
