"""What is released is whole: it runs in another folder, in French, and carries its licence."""

from __future__ import annotations

import io
import tarfile
import zipfile
from email.parser import BytesParser
from pathlib import Path

import pytest
import requests

from shared.base.version import VERSION
from tests.architecture.sources import PACKAGES, ROOT, files
from tests.deploy.installed import Installed
from tests.e2e.processes import free_port_base

pytestmark = [pytest.mark.processes, pytest.mark.thorough]

# What an operator does not need: measuring, the pictures of the guide, and how the lists are made.
LEFT_OUT = ("deploy/bench/", "deploy/pictures/")


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {path.relative_to(ROOT).as_posix() for path in files()}
    wanted = {name for name in wanted if name.startswith(tuple(f"{p}/" for p in PACKAGES))}
    assert sorted(n for n in wanted - names if not n.startswith(LEFT_OUT)) == []
    catalogues = {name for name in wanted if name.endswith(".po")}
    assert {name.replace(".po", ".mo") for name in catalogues} <= names
    assert not [name for name in names if name.startswith(("tests/", "build/", *LEFT_OUT))]


def test_the_wheel_says_its_version_and_carries_the_licence(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    about = f"passerelle-{VERSION}.dist-info"
    said = BytesParser().parsebytes(archive.read(f"{about}/METADATA"))
    assert (said["Version"], said["License-Expression"]) == (VERSION, "AGPL-3.0-or-later")
    assert "flask==3.1.3" in said.get_all("Requires-Dist", [])
    assert archive.read(f"{about}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


def test_an_installed_hub_is_made_and_serves_french_pages(
    installed: Installed, tmp_path: Path
) -> None:
    port = free_port_base(1)
    url = f"http://127.0.0.1:{port}"
    where = ("--url", url, "--data-dir", str(tmp_path / "hub"), "--private")
    who = ("--email", "coordination@example.org", "--password", "a long enough password")
    made = installed.run("hub", "init", *where, *who)
    assert made.returncode == 0, made.stderr
    environ = {"HUB_ENV_FILE": str(tmp_path / "hub" / "hub.env"), "HUB_PORT": str(port)}
    with installed.serving(url, "hub", **environ):
        page = requests.get(f"{url}/login", headers={"Accept-Language": "fr"}, timeout=10).text
        assert '<html lang="fr">' in page
        assert "Se connecter" in page
        assert requests.get(f"{url}/static/passerelle.css", timeout=10).ok
        assert requests.get(f"{url}/charter", timeout=10).ok
        source = requests.get(f"{url}/source.tar.gz", timeout=60).content
    with tarfile.open(fileobj=io.BytesIO(source)) as archive:
        names = archive.getnames()
    needed = ("setup.py", "pyproject.toml", "LICENSE", "federation/migrations/env.py")
    assert {f"passerelle-{VERSION}/{name}" for name in needed} <= set(names)
    assert len(names) == len(set(names))
    assert installed.run("--version").stdout.split()[-1] == VERSION
    migrated = installed.run("hub", "migrate", **environ)
    assert migrated.returncode == 0, migrated.stderr


def test_the_demonstration_has_its_data_where_it_is_installed(
    installed: Installed, tmp_path: Path
) -> None:
    program = (
        "from pathlib import Path; from deploy.demo import network as n; "
        f"hub = n.make_hub(Path({str(tmp_path / 'hub')!r}), 9, None, 's' * 32, None); "
        f"n.make_node(n.NODES[0], Path({str(tmp_path / 'node')!r}), 9, None, 's' * 32, hub.url); "
        "print(len(n.NODES), n.__file__)"
    )
    made = installed.run("-c", program, command="python")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(f"7 {installed.folder}")
    assert "--port-base" in installed.run("demo", "--help").stdout
