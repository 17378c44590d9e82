"""Whoever uses a service gets the source of what it runs (AGPL, section 13)."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import requests

from federation.settings import HubSettings
from shared.base.config import read_settings
from shared.base.version import VERSION
from shared.web import source
from tests.architecture.sources import PACKAGES, ROOT, files
from tests.architecture.test_settings import enough, faults
from tests.network import Network


@pytest.mark.parametrize("kind", ["hub", "node"])
def test_the_source_that_runs_is_given_whole(lasting_network: Network, kind: str) -> None:
    service = lasting_network.hub if kind == "hub" else lasting_network.nodes["troquet"]
    answer = requests.get(f"{service.url}/source.tar.gz", timeout=30)
    assert answer.headers["Content-Type"] == "application/gzip"
    assert f"passerelle-{VERSION}.tar.gz" in answer.headers["Content-Disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        page = archive.extractfile(f"passerelle-{VERSION}/shared/web/templates/base.html")
        assert page is not None
        assert page.read() == (ROOT / "shared/web/templates/base.html").read_bytes()
    ours = {path.relative_to(ROOT).as_posix() for path in files()}
    assert {n for n in ours if n.startswith(tuple(f"{p}/" for p in PACKAGES))} <= names
    assert {"LICENSE", "pyproject.toml", "setup.py", "Makefile"} <= names
    assert not [n for n in names if "__pycache__" in n or n.startswith(".") or "/." in n]


def test_the_source_is_not_sent_again_to_who_has_it(lasting_network: Network) -> None:
    url = f"{lasting_network.hub.url}/source.tar.gz"
    tag = requests.head(url, timeout=30).headers["ETag"]
    again = requests.get(url, headers={"If-None-Match": tag}, timeout=30)
    assert (again.status_code, again.content) == (304, b"")


def test_a_source_that_is_published_elsewhere_is_named() -> None:
    settings = read_settings(HubSettings, "HUB", enough("HUB"))
    assert source.url_of(settings) == "/source.tar.gz"
    elsewhere = "https://code.example/passerelle/?at=v1#files"
    told = {**enough("HUB"), "HUB_SOURCE_URL": elsewhere}
    assert source.url_of(read_settings(HubSettings, "HUB", told)) == elsewhere


@pytest.mark.parametrize(
    "wrong", ["javascript:alert(1)", "code.example", "https://", "https://[", "https://a b"]
)
def test_what_is_no_address_of_a_source_stops_the_start(wrong: str) -> None:
    (fault,) = faults("HUB", {"SOURCE_URL": wrong})
    assert fault.startswith("HUB_SOURCE_URL is wrong")


def test_what_an_operator_keeps_beside_the_source_is_not_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ("hub.env", "hub-keys.json", "passerelle.sqlite", "deploy/node-keys.json", "notes.txt")
    kept += ("node/node.env", "deploy/saved.zip", "federation/passerelle.sqlite-wal")
    for name in ("LICENSE", "setup.py", "node/app.py", *kept):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(source, "_ROOT", tmp_path)
    assert {name for name, _ in source._files()} == {"LICENSE", "setup.py", "node/app.py"}
