"""The benchmark of the account runs, small: what it measures is what the hub does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.bench import statement as bench
from tests.databases import Databases, PostgresServer


@pytest.fixture
def url(tmp_path: Path, postgres_server: PostgresServer) -> Iterator[str]:
    databases = Databases(tmp_path, postgres_server)
    yield databases.new()
    databases.drop()


@pytest.mark.both_databases
@pytest.mark.postgres
def test_a_small_month_is_issued_and_recomputed(tmp_path: Path, url: str) -> None:
    app = bench.app_for(url, tmp_path)
    bench.fill(app, nodes=5, visits=200)
    assert "signed" in bench._issue(url, tmp_path)
    assert "byte for byte" in bench._verify(url, tmp_path)
    assert bench._simulate_same(url, tmp_path) == "changes none of 200"
    with app.app_context():
        app.extensions["sqlalchemy"].engine.dispose()
