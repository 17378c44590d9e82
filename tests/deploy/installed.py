"""The distribution, built and installed as an operator gets it, without a network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.architecture.sources import ROOT

LEFT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.mo", "*.egg-info", "build", "var", "tests", "pictures"
)


@dataclass(frozen=True)
class Installed:
    """An environment of its own, in which nothing of the project's folder is seen."""

    folder: Path

    def environ(self, **more: str) -> dict[str, str]:
        ours = ("HUB_", "NODE_", "PROMETHEUS_", "PYTHON")
        kept = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
        path = f"{self.folder / 'bin'}:{kept['PATH']}"
        return {**kept, "PATH": path, "HOME": str(self.folder), **more}

    def run(
        self, *arguments: str, command: str = "passerelle", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.folder / "bin" / command), *arguments],
            cwd=self.folder,
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def serving(self, url: str, kind: str, **environ: str) -> Iterator[None]:
        """Run ``passerelle hub|node serve`` until the block ends."""
        process = subprocess.Popen(
            [str(self.folder / "bin" / "passerelle"), kind, "serve"],
            cwd=self.folder,
            env=self.environ(**environ),
        )
        try:
            deadline = time.monotonic() + 120
            while not _is_ready(url):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def build(folder: Path) -> Path:
    """Build the wheel from a copy of the project, and return its file."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=LEFT)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Installed:
    """Install the wheel into a new environment; what it needs is that of the tests."""
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    _pip("--python", python, "install", "--no-deps", "--no-index", "--no-compile", str(wheel))
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return Installed(folder)


def _pip(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--quiet", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
