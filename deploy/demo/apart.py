"""Work that takes much memory, in a process of its own that gives it back by ending.

What it starts is started by the process that stays, so that it ends with that one.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

import click

from deploy.demo.processes import ProcessError, Processes

W = TypeVar("W")
M = TypeVar("M")


class StoppedError(Exception):
    """Whoever waits was asked to stop."""


class Asking:
    """Has the other process start processes. Raises ProcessError, as it does."""

    def __init__(self, link: Connection) -> None:
        self._link = link

    def start(self, name: str, arguments: list[str], environ: dict[str, str]) -> None:
        self._ask("start", name, arguments, environ)

    def wait_ready(self, urls: dict[str, str]) -> None:
        self._ask("wait_ready", urls)

    def _ask(self, what: str, *arguments: object) -> None:
        self._link.send((what, arguments))
        fault = self._link.recv()
        if fault is not None:
            raise ProcessError(fault)


def apart(
    work: Callable[[W, Asking], M], wanted: W, processes: Processes, stop: threading.Event
) -> M:
    """Return what work comes to. Raises ProcessError, SystemExit as it does, and StoppedError."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    worker = context.Process(target=_work, args=(work, wanted, here, there), daemon=True)
    worker.start()
    there.close()
    try:
        while True:
            if stop.is_set():
                raise StoppedError
            if not here.poll(0.1):
                continue
            what, found = here.recv()
            if what == "made":
                return found  # type: ignore[no-any-return]
            if what == "failed":
                raise ProcessError(found)
            if what == "ended":
                sys.exit(found)
            here.send(_fault_of(getattr(processes, what), found))
    except EOFError:
        raise ProcessError("making the network broke off") from None
    finally:
        worker.terminate()
        worker.join()
        here.close()


def _fault_of(call: Callable[..., None], arguments: tuple[object, ...]) -> str | None:
    try:
        call(*arguments)
    except ProcessError as error:
        return str(error)
    return None


def _work(work: Callable[[W, Asking], M], wanted: W, here: Connection, link: Connection) -> None:
    here.close()  # so that the end of the other process ends this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the other process, which ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        link.send(("made", work(wanted, Asking(link))))
    except ProcessError as error:
        link.send(("failed", str(error)))
    except click.ClickException as error:
        link.send(("failed", error.message))
    except SystemExit as error:
        link.send(("ended", error.code))
