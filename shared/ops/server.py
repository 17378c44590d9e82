"""The production server: gunicorn, set up from the settings."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import structlog
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from shared.base.config import Declared, Settings
from shared.ops.metrics_folder import MetricsFolder
from shared.store.db import private_file
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


def note_serving(settings: Declared) -> IO[str] | None:
    """Hold, as long as this process or a worker of it lives, what tells that a server runs.

    None while a backup is being restored, which needs to be alone.
    """
    file = private_file(settings.data_dir / SERVE_LOCK)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


class JsonLogger(Logger):
    """Says what gunicorn has to say as everything else in the process is said."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers.clear()
        self.error_log.propagate = True


class MetricsPort:
    """Answers ``/metrics`` on a port of its own, and leaves every other port to the application.

    Which port it is, the connection itself tells: what a request says of it is anybody's word.
    """

    def __init__(self, app: Flask, port: int) -> None:
        self._app, self._port = app, port

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not self._is_ours(environ.get("gunicorn.socket")):
            return self._app(environ, start_response)
        from shared.ops.measures import exposition  # noqa: PLC0415 - after the metrics folder

        if environ["PATH_INFO"] != "/metrics" or environ["REQUEST_METHOD"] != "GET":
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        body, content_type = exposition(self._app)
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    def _is_ours(self, connection: Any) -> bool:
        with suppress(OSError):
            address = connection.getsockname() if connection is not None else None
            return isinstance(address, tuple) and address[1] == self._port
        return False


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
        log_level: str = "WARNING",
        in_worker: Callable[[], None] = lambda: None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._make_app = make_app
        self._options: dict[str, Any] = {
            "bind": list(listen),
            "workers": workers,
            "threads": threads,
            "worker_class": "gthread" if threads > 1 else "sync",
            "preload_app": True,
            "post_worker_init": lambda _worker: in_worker(),
            "on_exit": lambda _server: at_end(),
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 30,
            "max_requests_jitter": 0,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "logger_class": JsonLogger,
            "loglevel": log_level.lower(),
            "forwarded_allow_ips": "",
            "limit_request_line": 8190,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112
        }
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
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


def server(make_app: Callable[[], Flask], settings: Settings, folder: MetricsFolder) -> Server:
    """Return the server of one application, with the port of its measures where there is one."""
    made: list[Flask] = []
    listen, port = [f"{settings.host}:{settings.port}"], settings.metrics_port
    if port:
        listen.append(f"{settings.metrics_host}:{port}")

    def make() -> WSGIApplication:
        made[:] = [make_app()]  # the last one: SIGHUP makes another
        return MetricsPort(made[0], port) if port else made[0]

    def note_on() -> None:
        made[0].extensions["measures"].keep_noting()

    return Server(
        make,
        listen=listen,
        workers=settings.workers,
        threads=settings.threads,
        log_level=settings.log_level,
        in_worker=note_on,
        at_end=folder.remove,
    )
