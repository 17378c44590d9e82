"""An outsider does what ``deploy/verify.md`` says, line by line, with common tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.network import Network

PAGE = Path(__file__).resolve().parents[2] / "deploy" / "verify.md"
TOOLS = ("bash", "curl", "openssl", "jq", "awk", "base64")


@pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason="apt-get install curl openssl jq gawk coreutils"
)
def test_the_page_is_true(network: Network, tmp_path: Path) -> None:
    cordee, troquet = network.nodes["cordee"], network.nodes["troquet"]
    visit = troquet.scan(cordee.add_person().show()).json()["visit"]["id"]
    troquet.scan(cordee.add_person().show())
    troquet.void(visit, "une erreur – à défaire")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == 5
    environ = {**os.environ, "HUB": network.hub.url, "TOKEN": network.hub.token}
    done = subprocess.run(
        ["bash", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Signature Verified Successfully") == 2
    assert "every balance follows from the lines" in done.stdout
    assert "signed version 1" in done.stdout


@pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason="apt-get install curl openssl jq gawk coreutils"
)
def test_another_hubs_key_verifies_nothing(network: Network, tmp_path: Path) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    forged = blocks[1].replace(
        "| part\n} > key.der", "| part | tr '\\000-\\377' '\\001-\\377\\000'\n} > key.der"
    )
    assert forged != blocks[1]
    environ = {**os.environ, "HUB": network.hub.url, "TOKEN": network.hub.token, "LC_ALL": "C"}
    done = subprocess.run(
        ["bash", "-c", blocks[0] + forged],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
