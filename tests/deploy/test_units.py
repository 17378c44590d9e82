"""The units for systemd are right, shut in, and run commands that are there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from deploy.cli import main
from tests.architecture.sources import ROOT
from tests.deploy.test_setup import set_up

UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]
PROGRAM = "/opt/passerelle/bin/passerelle"
SHUT_IN = {
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelModules=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictSUIDSGID=yes",
    "CapabilityBoundingSet=",
    "UMask=0077",
    "User=passerelle",
}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="apt-get install systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    for unit in UNITS:  # an instance of each template, and a command that this machine has
        text = unit.read_text(encoding="utf-8").replace(PROGRAM, "/bin/true")
        (tmp_path / unit.name.replace("@", "@la-cordee")).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_service_is_shut_in(unit: Path) -> None:
    lines = set(unit.read_text(encoding="utf-8").splitlines())
    assert SHUT_IN - lines == set()
    assert [line for line in lines if line.startswith("ReadWritePaths=/")]
    lasting = "Type=exec" in lines
    assert ("Restart=always" in lines, "Type=oneshot" in lines) == (lasting, not lasting)


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_every_command_of_a_unit_is_there(unit: Path) -> None:
    (found,) = re.findall(rf"{PROGRAM} ([a-z]+) ([a-z-]+)", unit.read_text(encoding="utf-8"))
    group = main.get_command(click.Context(main), found[0])
    assert isinstance(group, click.Group)
    assert found[1] in group.commands


def test_every_timer_has_its_service() -> None:
    timers = {unit.stem for unit in UNITS if unit.suffix == ".timer"}
    assert timers == {s.stem for s in SERVICES if "Type=oneshot" in s.read_text()}


@pytest.mark.processes
@pytest.mark.thorough
def test_the_backup_of_the_night_is_restored_by_the_drill(tmp_path: Path) -> None:
    answers = ["La Cordée", "Lyon", "a.example.org", "hub.example.org", "a@b.example", *[""] * 6]
    assert set_up(tmp_path / "data" / "cordee", answers).returncode == 0
    for unit in ("passerelle-node-backup@.service", "passerelle-node-drill@.service"):
        text = (tmp_path / "data/cordee/etc/systemd/system" / unit).read_text()
        text = text.replace("/var/backups/passerelle", str(tmp_path / "saved"))
        text = (
            text.replace(" /var/tmp/", f" {tmp_path}/").replace("%i", "cordee").replace("$$", "$")
        )
        (command,) = re.findall("^ExecStart=(.*)", text, re.MULTILINE)
        settings = dict(re.findall("^Environment=([A-Z_]+)=(.*)", text, re.MULTILINE))
        done = subprocess.run(
            shlex.split(command),
            env={"PATH": "/usr/bin:/bin", **settings},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "saved" / "cordee").glob("*.zip"))) == 1
    assert (tmp_path / "passerelle-drill" / "node.env").exists()
