"""The settings of a service that holds many operators' nodes: ``HOST_*`` variables.

Each operator's own are in a file in the operator's folder, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.base.config import number, one_of, setting, text


def addresses(value: str) -> str:
    """Read ``127.0.0.1:8001, 127.0.0.1:8002``. Raises ValueError."""
    parts = [part.strip() for part in value.split(",")]
    for part in parts:
        name, _, port = part.rpartition(":")
        if not name or not port.isdecimal() or not 1 <= int(port) <= 65535:
            raise ValueError("host:port is expected, several separated by commas")
    return ",".join(parts)


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    data_dir: Path = setting(Path, "Folder in which each operator has its own")
    listen: str = setting(
        addresses, "Where to listen: host:port, or several with commas", default="127.0.0.1:8000"
    )
    workers: int = setting(number(1, 64), "Server processes", default=2)
    threads: int = setting(number(2, 256), "Threads in each server process", default=8)
    trusted_proxies: int = setting(
        number(0, 8), "How many proxies in front set X-Forwarded-*", default=0
    )
    kept: int = setting(
        number(1, 1000), "How many operators' nodes a process holds ready at once", default=60
    )
    job_threads: int = setting(
        number(4, 256), "How many jobs of all operators run at once", default=32
    )
    status_name: str = setting(
        text,
        "Host name, with its port if it has one, for /healthz, /readyz and /metrics of all of it",
        default="",
    )
    log_level: str = setting(
        one_of("DEBUG", "INFO", "WARNING", "ERROR"), "Least level that is logged", default="INFO"
    )
