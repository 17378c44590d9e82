"""Where the workers of one server keep their measures, so that each of them can tell those of all.

Each worker has a number, and its files have it too. When a worker ends, the next one takes number
and files over and counts on from there: counters never go back, and there are never more files
than workers at one time, however often they are replaced.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks for it when it is imported
_SERVER = "server.lock"  # held as long as the server, or a worker of it, lives


def _held(path: Path) -> IO[str] | None:
    """Take a lock that nobody holds and return what holds it; None where somebody does."""
    file = path.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


class Numbers:
    """Gives each worker its number: the lowest that no living worker has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server = os.getpid()
        self._owner, self._number = self._server, ""
        self._file: IO[str] | None = None

    def mine(self) -> str:
        if os.getpid() != self._owner:
            self._number = self._take()
            self._owner = os.getpid()
        return self._number

    def _take(self) -> str:
        number = 0
        while (file := _held(self._folder / f"{number}.lock")) is None:
            number += 1
        self._file = file
        return str(number)


class MetricsFolder:
    """An empty folder for the workers of this server; those of servers that are gone are removed.

    To be made before anything imports prometheus_client, which asks only once where it is.
    """

    def __init__(self, data_dir: Path) -> None:
        if "prometheus_client" in sys.modules:
            raise RuntimeError("prometheus_client was imported before its folder was made")
        run = data_dir / "run"
        run.mkdir(exist_ok=True)
        with (run / "metrics.lock").open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for old in run.glob("metrics-*"):
                _remove_if_left(old)
            self.path = run / f"metrics-{os.getpid()}"
            self.path.mkdir()
            self._lock = _held(self.path / _SERVER)
        os.environ[VARIABLE] = str(self.path)
        from prometheus_client import values  # noqa: PLC0415 - it reads the variable

        values.ValueClass = values.MultiProcessValue(Numbers(self.path).mine)

    def remove(self) -> None:
        """Leave nothing behind: the server has ended."""
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    """Remove a folder whose server is gone: stopped, killed, or of a version without locks."""
    with suppress(OSError):
        lock = _held(folder / _SERVER)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()


def forget_ended(folder: Path) -> None:
    """Remove what workers that have ended said of their present state; what they counted stays."""
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415

    for path in folder.glob("*.lock"):
        lock = _held(path) if path.name != _SERVER else None
        if lock is not None:
            mark_process_dead(path.stem, str(folder))
            lock.close()
