"""Starting the demonstration's processes, and leaving none behind."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests

READY_SECONDS = 90
STOP_SECONDS = 15
_PR_SET_PDEATHSIG = 1


class ProcessError(Exception):
    """A process could not be started, or died; the message is one line for a person."""


def ports_in_use(ports: range) -> list[int]:
    taken = []
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.append(port)
    return taken


def _die_with_parent() -> None:
    """Ask the kernel to end this process with the thread that started it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Processes:
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, arguments: list[str], environ: Mapping[str, str]) -> None:
        """Start ``passerelle`` with these arguments; its output goes to a file of its name."""
        self.logs.mkdir(exist_ok=True)
        kept = {
            n: v
            for n, v in os.environ.items()
            if not n.startswith(("HUB_", "NODE_", "HOST_", "PROMETHEUS_"))
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "deploy.cli", *arguments],
                env={**kept, **environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call, before any thread
            )

    def check(self) -> None:
        """Raise ProcessError if one has died."""
        for name, process in self.running.items():
            if process.poll() is not None:
                raise ProcessError(
                    f"{name} stopped by itself (status {process.returncode}): "
                    f"{self._last_line(name)}; see {self.logs / f'{name}.log'}"
                )

    def ended(self) -> list[str]:
        """Return a line for each that has died since this was asked last."""
        dead = [name for name, process in self.running.items() if process.poll() is not None]
        return [
            f"{name} stopped by itself (status {self.running.pop(name).returncode}); "
            "the others go on"
            for name in dead
        ]

    def _last_line(self, name: str) -> str:
        lines = (self.logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "it said nothing"

    def wait_ready(self, urls: Mapping[str, str]) -> None:
        """Wait until every service says it is ready. Raises ProcessError."""
        deadline = time.monotonic() + READY_SECONDS
        waiting = dict(urls)
        while waiting:
            self.check()
            for name, url in list(waiting.items()):
                try:
                    if requests.get(f"{url}/readyz", timeout=2).status_code == 200:
                        del waiting[name]
                except requests.RequestException:
                    continue
            if waiting and time.monotonic() > deadline:
                raise ProcessError(
                    f"{', '.join(waiting)} did not answer within {READY_SECONDS} s; see {self.logs}"
                )
            time.sleep(0.1)

    def stop(self) -> None:
        """End all of them, politely first."""
        for process in self.running.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what it may have left behind
            process.wait()
        self.running.clear()
