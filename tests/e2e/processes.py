"""Real processes for end-to-end tests: the whole demonstration, or services to be killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
START_SECONDS = 240


def free_port_base(count: int) -> int:
    """Return the first of ``count`` neighbouring ports that are free.

    Below the ports that the system gives to clients; two workers begin far from each other.
    """
    for base in range(10_000 + os.getpid() % 700 * 30, 32_000, count + 1):
        sockets = []
        try:
            for port in range(base, base + count):
                probe = socket.socket()
                sockets.append(probe)
                probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        finally:
            for probe in sockets:
                probe.close()
        return base
    raise RuntimeError("no free ports")


@contextmanager
def running_demo(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run ``passerelle demo`` until the block ends, and check that nothing is left of it."""
    info_file = folder / "info.json"
    base = free_port_base(8)
    command = [
        sys.executable,
        "-m",
        "deploy.cli",
        "demo",
        "--info",
        str(info_file),
        "--port-base",
        str(base),
        "--data-dir",
        str(folder / "data"),
        *arguments,
    ]
    with (folder / "demo.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not info_file.exists():
            said = (folder / "demo.log").read_text()
            assert process.poll() is None, f"the demonstration ended: {said}"
            assert time.monotonic() < deadline, f"not ready after {START_SECONDS} s: {said}"
            time.sleep(0.1)
        yield {**json.loads(info_file.read_text()), "folder": str(folder / "data")}
    finally:
        process.send_signal(signal.SIGINT)
        status = process.wait(30)
    assert status == 0, (folder / "demo.log").read_text()
    assert processes_of(folder) == {}, "processes were left behind"


def processes_of(folder: Path) -> dict[int, str]:
    """Return the command line of each live process whose data is in this folder."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environ = (entry / "environ").read_bytes().decode(errors="replace")
                if f"DATA_DIR={folder}" in environ:
                    command = (entry / "cmdline").read_bytes().decode().replace("\0", " ")
                    found[int(entry.name)] = command
            except OSError:
                continue
    return found


def first_process(folder: Path, command: str) -> int:
    """Return the number of the process that started the others of a command.

    Not the lowest: on a machine that has run for long, numbers begin again.
    """
    found = {number for number, said in processes_of(folder).items() if command in said}
    (first,) = (number for number in found if _parent(number) not in found)
    return first


def _parent(number: int) -> int:
    # The name, in brackets, may hold anything; the state and the parent's number follow it.
    return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
