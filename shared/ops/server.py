"""The production server: gunicorn, set up from the settings."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from typing import IO, Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from shared.base.config import Settings
from shared.store.db import private_file

SERVE_LOCK = "serve.lock"  # in the data folder


def prepare_metrics(settings: Settings) -> None:
    """Give the workers an empty folder to share their measures in; call it before any import."""
    folder = settings.data_dir / "run" / f"metrics-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)


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


class Server(BaseApplication):
    def __init__(self, make_app: Callable[[], Flask], settings: Settings) -> None:
        self._make_app = make_app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        settings = self._settings
        options: dict[str, Any] = {
            "bind": f"{settings.host}:{settings.port}",
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": "gthread" if settings.threads > 1 else "sync",
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

    def load(self) -> Flask:
        return self._make_app()
