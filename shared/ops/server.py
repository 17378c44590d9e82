"""The production server: gunicorn, set up from the settings."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import structlog
from gunicorn.app.base import BaseApplication

from shared.base.config import Declared
from shared.wire.problems import frames_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

log = structlog.get_logger()

SERVE_LOCK = "serve.lock"  # in the data folder
_M_ARENA_MAX = -8  # of malloc.h


def spare_memory() -> None:
    """Have the threads of this process share two heaps: glibc gives each one of its own."""
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


def prepare_metrics(settings: Declared) -> None:
    """Give the workers an empty folder to share their measures in; call it before any import."""
    folder = settings.data_dir / "run" / f"metrics-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


def note_serving(settings: Declared) -> IO[str] | None:
    """Hold, as long as this process or a worker of it lives, what tells that a server runs.

    None while a backup is being restored, which needs to be alone.
    """
    file = (settings.data_dir / SERVE_LOCK).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


class Server(BaseApplication):
    """The application is made before the processes that share it: what they do not change is
    there once. It opens nothing, and starts no thread, until it is first asked.
    """

    def __init__(
        self,
        make_app: Callable[[], WSGIApplication],
        *,
        listen: Sequence[str],
        workers: int,
        threads: int,
        in_worker: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_app = make_app
        self._listen = list(listen)
        self._workers = workers
        self._threads = threads
        self._in_worker = in_worker
        super().__init__()

    def load_config(self) -> None:
        options: dict[str, Any] = {
            "bind": self._listen,
            "workers": self._workers,
            "threads": self._threads,
            "worker_class": "gthread" if self._threads > 1 else "sync",
            "preload_app": True,
            "post_worker_init": lambda _worker: self._in_worker(),
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 30,
            "max_requests_jitter": 0,
            "control_socket_disable": True,
            "accesslog": None,
            "loglevel": "warning",
            "forwarded_allow_ips": "",
            "limit_request_line": 8190,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        gc.unfreeze()
        app = self._make_app()
        gc.collect()
        gc.freeze()  # a collection in a child would copy every page that it marks
        return app

    def reload(self) -> None:
        """Make the application anew for the processes to come; the one that is there, if it fails.

        Called on SIGHUP, in the process that has the children.
        """
        super().reload()
        try:
            self.callable = self.load()
        except Exception as error:  # noqa: BLE001 - whatever it is, those who are served stay so
            log.error("serve.not-reloaded", error=type(error).__name__, where=frames_of(error))
