"""The container's files, as far as they can be read: a test can fetch no image."""

from __future__ import annotations

import re

import click
import pytest
import yaml

from deploy.cli import main
from tests.architecture.sources import PACKAGES, ROOT

FOLDER = ROOT / "deploy" / "containers"


def test_the_container_gets_every_package_and_what_the_wheel_keeps() -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)).split()
    assert not [name for name in copied if not (ROOT / name).exists()]
    kept = re.search(r"TOP = \((.*?)\)", (ROOT / "setup.py").read_text(), re.DOTALL)
    assert kept is not None
    needed = {*re.findall(r'"(\S+)"', kept[1]), "setup.py", *PACKAGES}
    assert needed <= set(copied)
    assert "--require-hashes" in text
    assert "USER passerelle" in text


@pytest.mark.parametrize("service", ["serve", "jobs"])
def test_every_service_runs_a_command_that_is_there_as_nobody_special(service: str) -> None:
    services = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))["services"]
    said = services[service]
    group = main.get_command(click.Context(main), said["command"][0])
    assert isinstance(group, click.Group)
    assert said["command"][1] in group.commands
    assert (said["read_only"], said["cap_drop"], said["restart"]) == (True, ["ALL"], "always")
    assert "ports" not in said, "only the proxy is published"
