"""The production server: gunicorn, set up from the settings."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import IO, Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from shared.base.config import Settings
from shared.ops.metrics_folder import MetricsFolder
from shared.store.db import private_file

SERVE_LOCK = "serve.lock"  # in the data folder


def note_serving(settings: Settings) -> IO[str] | None:
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
    def __init__(
        self, make_app: Callable[[], Flask], settings: Settings, folder: MetricsFolder | None = None
    ) -> None:
        self._make_app = make_app
        self._settings = settings
        self._folder = folder
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        bind = [f"{settings.host}:{settings.port}"]
        if settings.metrics_port:
            bind.append(f"{settings.metrics_host}:{settings.metrics_port}")
        options: dict[str, Any] = {
            "bind": bind,
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": "gthread" if settings.threads > 1 else "sync",
            "timeout": 60,
            "graceful_timeout": 10,
            "keepalive": 30,
            "max_requests_jitter": 0,
            "control_socket_disable": True,
            "accesslog": None,
            "errorlog": "-",
            "logger_class": JsonLogger,
            "loglevel": settings.log_level.lower(),
            "on_exit": lambda _server: self._folder.remove() if self._folder else None,
            "forwarded_allow_ips": "",
            "limit_request_line": 8190,
            "worker_tmp_dir": "/dev/shm" if os.path.isdir("/dev/shm") else None,  # noqa: S108, PTH112
        }
        for name, value in options.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Iterable[bytes]]:
        """Make the application of this worker."""
        app = self._make_app()
        if self._folder is not None:
            app.extensions["measures"].keep_noting()
        port = self._settings.metrics_port
        return MetricsPort(app, port) if port else app
