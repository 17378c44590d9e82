"""Which operators there are: a folder each, which holds all that is theirs.

An operator is served while its folder holds the mark that ``add`` leaves last and ``remove`` takes
away. Whoever serves looks at the folders once a second, so that nobody has to be told.
"""

from __future__ import annotations

import fcntl
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import Connection, Engine, event

from node.host.settings import HostSettings
from node.settings import KEYS, NodeSettings
from shared.base.config import SettingsError, read_settings
from shared.ops.jobs import JOBS_LOCK
from shared.ops.server import SERVE_LOCK

FOLDERS = "operators"  # in the host's data folder
MARK = "served"
WRITTEN = "written"  # touched by the server with each transaction that writes
SETTINGS = "node.env"
_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")
_PORTS = {"http": 80, "https": 443}
# What an operator shares with the others, so that its own word on it counts nothing.
OF_THE_HOST = ("host", "port", "workers", "threads", "trusted_proxies", "log_level")

Look = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Operator:
    id: str
    folder: Path

    @property
    def env_file(self) -> Path:
        return self.folder / SETTINGS

    @property
    def mark(self) -> Path:
        return self.folder / MARK

    @property
    def written(self) -> Path:
        return self.folder / WRITTEN

    def look(self) -> Look:
        """Return what changes when its node has to be made anew: other settings, other keys."""
        return tuple(stat_of(path) for path in (self.mark, self.env_file, self.folder / KEYS))


def stat_of(path: Path) -> tuple[int, int, int] | None:
    """Return what is another once a file was changed; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class IdError(ValueError):
    pass


def operator(data_dir: Path, operator_id: str) -> Operator:
    """Return the operator of an id, whether or not it is there. Raises IdError."""
    if not _ID.fullmatch(operator_id):
        raise IdError("an id is lower-case letters, digits and hyphens, at most 60 of them")
    return Operator(operator_id, data_dir.resolve() / FOLDERS / operator_id)


def known(data_dir: Path) -> list[Operator]:
    """Return every operator that has settings here, served or not."""
    found = sorted((data_dir.resolve() / FOLDERS).glob(f"*/{SETTINGS}"))
    return [Operator(path.parent.name, path.parent) for path in found]


def served(data_dir: Path) -> list[Operator]:
    """Return the operators that are served, in the order of their ids."""
    return [each for each in known(data_dir) if each.mark.exists()]


def settings_of(one: Operator, host: HostSettings) -> NodeSettings:
    """Return what its file says, in what the host leaves to it. Raises SettingsError.

    The environment is the host's, and says nothing of any operator.
    """
    found = read_settings(NodeSettings, "NODE", {"NODE_ENV_FILE": str(one.env_file)})
    if found.data_dir.resolve() != one.folder:
        raise SettingsError([f"NODE_DATA_DIR is wrong: an operator's folder here is {one.folder}"])
    shared = {name: getattr(host, name) for name in OF_THE_HOST if hasattr(host, name)}
    return replace(found, **shared)


def names_of(url: str) -> tuple[str, ...]:
    """Return what a request for this address says as its host: the usual port may be named."""
    parts = urlsplit(url)
    name, usual = parts.netloc.rpartition("@")[2].lower(), _PORTS[parts.scheme]
    if parts.port in (None, usual):
        name = name.removesuffix(f":{usual}")
        return name, f"{name}:{usual}"
    return (name,)


@dataclass(frozen=True, slots=True)
class Place:
    """An operator that can be served: ``look`` is what its folder showed as it was read."""

    operator: Operator
    settings: NodeSettings
    look: Look


def placed(
    data_dir: Path, host: HostSettings, before: Mapping[str, Place] | None = None
) -> tuple[dict[str, Place], dict[str, list[str]]]:
    """Return who is served, by id, and the faults of those who are left aside, by id.

    Nobody has a host name, a database or a secret that another has: the first keeps it. Settings
    that have not changed since ``before`` are not read again.
    """
    found: dict[str, Place] = {}
    faults: dict[str, list[str]] = {}
    taken: dict[tuple[str, str], str] = {}
    for one in served(data_dir):
        look = one.look()
        kept = before.get(one.id) if before else None
        try:
            unchanged = kept is not None and kept.look == look
            settings = kept.settings if kept and unchanged else settings_of(one, host)
        except (SettingsError, OSError) as error:
            faults[one.id] = error.faults if isinstance(error, SettingsError) else [str(error)]
            continue
        own = _unshared(settings)
        doubled = [f"{what} is that of {taken[what, v]}" for what, v in own if (what, v) in taken]
        if doubled:
            faults[one.id] = doubled
            continue
        taken |= dict.fromkeys(own, one.id)
        found[one.id] = Place(one, settings, look)
    return found, faults


def _unshared(settings: NodeSettings) -> Iterable[tuple[str, str]]:
    return (
        ("NODE_URL", names_of(settings.url)[0]),
        ("NODE_DATABASE_URL", settings.database),
        ("NODE_SECRET_KEY", settings.secret_key),
    )


def faults_of(one: Operator, host: HostSettings) -> list[str]:
    """Return why an operator could not be served beside those who are."""
    try:
        own = set(_unshared(settings_of(one, host)))
    except SettingsError as error:
        return error.faults
    return [
        f"{what} is that of {place.operator.id}"
        for place in placed(_data_dir(one), host)[0].values()
        if place.operator != one
        for what, value in _unshared(place.settings)
        if (what, value) in own
    ]


def _data_dir(one: Operator) -> Path:
    return one.folder.parent.parent


def serve(one: Operator) -> None:
    """Have an operator served, from the next look on."""
    one.mark.touch(mode=0o600)


def stop_serving(one: Operator) -> None:
    one.mark.unlink(missing_ok=True)


def note_writes(one: Operator, engine: Engine) -> None:
    """Tell the jobs process of each transaction that writes: there is something to look at."""

    @event.listens_for(engine, "commit")
    def _tell(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            with suppress(OSError):  # they look by themselves, too, only later
                one.written.touch(mode=0o600)


def wait_until_free(one: Operator, seconds: float) -> bool:
    """Wait until no process serves an operator, or runs its jobs; says whether that came."""
    ends = time.monotonic() + seconds
    while not all(_is_free(one.folder / name) for name in (SERVE_LOCK, JOBS_LOCK)):
        if time.monotonic() > ends:
            return False
        time.sleep(0.1)
    return True


def _is_free(path: Path) -> bool:
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True
