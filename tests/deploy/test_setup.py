"""``passerelle node setup`` asks, makes the service, and writes the files that run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deploy.cli import main
from deploy.setup.answers import folder_fault
from deploy.setup.files import Place, render, write
from shared.base.env_file import read_env
from tests.architecture.sources import ROOT

ANSWERS = {
    "name": "La Cordée",
    "town": "Lyon",
    "host": "cordee.example.org",
    "hub": "hub.example.org",
    "email": "admin@example.org",
    "database": "",
    "mail": "smtp://mail.example.org:587",
    "proxies": "1",
    "port": "8042",
    "proxy": "nginx",
    "invitation": "inv_abcdefgh",
    "from": "La Cordée <contact@example.org>",
}
# What is said first, in place of an answer, and what is said of it.
WRONG = {
    "name": ("", None),
    "host": ("https://cordee.example.org", "The name alone is expected"),
    "hub": ("hub", "The hub's address is expected"),
    "email": ("nobody", "An e-mail address like"),
    "database": ("mysql://x", "Leave it empty for SQLite"),
    "mail": ("mail.example.org", "Leave it empty for no e-mail"),
    "proxies": ("0", "not in the range"),
    "port": ("80", "not in the range"),
    "proxy": ("apache", "not one of"),
    "invitation": ("la-cordee", "An invitation begins with inv_"),
    "from": ("La Cordée", "Name <mail@example.org> is expected"),
}


def set_up(folder: Path, lines: list[str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.cli", "node", "setup", "--data-dir", str(folder), *options],
        cwd=ROOT,
        input="\n".join([*lines, ""]),
        env={"PATH": "/usr/bin:/bin", "PASSERELLE_PASSWORD": "a long enough password"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.processes
@pytest.mark.thorough
def test_a_node_is_set_up_by_its_answers_and_wrong_ones_are_asked_again(tmp_path: Path) -> None:
    folder = tmp_path / "cordee"
    lines = []
    for question, answer in ANSWERS.items():
        lines += [WRONG[question][0], answer] if question in WRONG else [answer]
    done = set_up(folder, lines)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert [why for _, why in WRONG.values() if why and why not in said] == []
    settings = read_env(folder / "node.env")
    assert settings["NODE_URL"] == "https://cordee.example.org"
    assert settings["NODE_HUB_URL"] == "https://hub.example.org"
    assert (settings["NODE_PORT"], settings["NODE_TRUSTED_PROXIES"]) == ("8042", "1")
    assert settings["NODE_MAIL_FROM"] == ANSWERS["from"]
    assert (folder / "node.env").stat().st_mode & 0o077 == 0
    site = (folder / "etc/nginx/sites-available/cordee.example.org.conf").read_text()
    assert "proxy_pass http://127.0.0.1:8042;" in site
    unit = (folder / "etc/systemd/system/passerelle-node@.service").read_text()
    assert f"NODE_ENV_FILE={tmp_path}/%i/node.env" in unit
    assert "--invitation inv_abcdefgh --sign-charter" in done.stdout
    assert "passerelle-node-jobs@cordee passerelle-node-backup@cordee.timer" in done.stdout
    assert "a long enough password" not in said
    before = (folder / "node.env").read_bytes()
    again = set_up(folder, [*ANSWERS.values(), "n"])  # the last answers are left unread
    assert again.returncode == 1
    assert "is left as it is" in again.stdout
    assert (folder / "node.env").read_bytes() == before


def test_a_file_that_says_something_else_is_asked_about(tmp_path: Path) -> None:
    @click.command()
    def writing() -> None:
        write({"etc/one": "ours", "etc/two": "ours"}, tmp_path)

    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "one").write_text("theirs")
    left = CliRunner().invoke(writing, input="\n")
    assert "Write over it?" in left.output
    assert (tmp_path / "etc/one").read_text() == "theirs"
    assert (tmp_path / "etc/two").read_text() == "ours"
    CliRunner().invoke(writing, input="y\n")
    assert (tmp_path / "etc/one").read_text() == "ours"
    assert CliRunner().invoke(writing).output == ""


def test_what_the_project_ships_is_what_is_written_for_the_usual_place() -> None:
    for kind, data in (("hub", "hub"), ("node", "la-cordee")):
        where = Path("/var/lib/passerelle") / data
        program = Path("/opt/passerelle/bin/passerelle")
        port = 8000 if kind == "hub" else 8001
        place = Place(kind, f"{kind}.example.org", port, where, program, "passerelle", "nginx")
        for name, text in render(place).items():
            of_nginx = name.startswith("nginx")
            shipped = f"proxy/nginx-{kind}.conf" if of_nginx else f"systemd/{Path(name).name}"
            source = (ROOT / "deploy" / shipped).read_text(encoding="utf-8")
            assert text == source.replace("Group=passerelle\n", ""), name


@pytest.mark.parametrize("path", ["relative", "/with space", "/50%", "/a/../b", "/quo'te", "/"])
def test_a_folder_that_a_unit_cannot_name_is_refused(path: str) -> None:
    assert folder_fault(Path(path)) is not None
    assert folder_fault(Path("/srv/passerelle/la-cordee")) is None


def test_both_commands_explain_themselves() -> None:
    for kind in ("hub", "node"):
        told = CliRunner().invoke(main, [kind, "setup", "--help"])
        assert told.exit_code == 0
        assert "--into" in told.output


@pytest.mark.processes
def test_a_place_that_cannot_be_written_to_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "cordee"  # below a file there is no folder, for root either
    done = set_up(folder, list(ANSWERS.values()))
    assert done.returncode == 1
    assert "Nothing was made" in done.stderr
    assert "Traceback" not in done.stderr
