"""Settings from environment variables, or a file of them, into a frozen dataclass.

Every fault is named at once, and a service with a fault does not start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from shared.base.clock import Clock, parse_clock
from shared.base.env_file import EnvFileError, read_env
from shared.base.mail_server import MailServer, mail_address, mail_server
from shared.base.urls import http_url


class SettingsError(Exception):
    """``faults`` names every missing or wrong setting."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def setting(parse: Callable[[str], Any], help: str, default: Any = MISSING) -> Any:  # noqa: A002
    """Declare a setting; ``help`` is its line in the settings page. No default: required."""
    metadata = {"parse": parse, "help": help}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


def text(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


def number(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        try:
            found = int(value)
        except ValueError:
            raise ValueError(f"a whole number from {least} to {most} is expected") from None
        if not least <= found <= most:
            raise ValueError(f"a whole number from {least} to {most} is expected")
        return found

    return parse


def yes_no(value: str) -> bool:
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("yes or no is expected")


def secret(value: str) -> str:
    if len(value) < 32:
        raise ValueError("at least 32 characters are expected; make one with: openssl rand -hex 32")
    return value


def database_url(value: str) -> str:
    if not value.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("sqlite:///… or postgresql+psycopg://… is expected")
    return value


def url(value: str) -> str:
    try:
        return http_url(value, plain=True)
    except ValueError as error:
        raise ValueError(f"an http(s) address is expected ({error})") from None


def link(value: str) -> str:
    """Read where a link leads: any page, with whatever follows its path."""
    try:
        parts = urlsplit(value.strip())
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good or any(letter.isspace() for letter in value.strip()):
        raise ValueError("an address like https://code.example.org/passerelle is expected")
    return value.strip()


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)} is expected")
        return value

    return parse


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What hub and node both need."""

    url: str = setting(url, "Public address of this service, without a trailing slash")
    secret_key: str = setting(secret, "Signs cookies and forms; at least 32 random characters")
    data_dir: Path = setting(Path, "Folder of the private keys and the SQLite file")
    database_url: str = setting(
        database_url, "Database; empty means SQLite in the data folder", default=""
    )
    host: str = setting(text, "Address to listen on", default="127.0.0.1")
    port: int = setting(number(1, 65535), "Port to listen on", default=8000)
    workers: int = setting(number(1, 64), "Server processes", default=2)
    threads: int = setting(number(1, 64), "Threads in each server process", default=1)
    log_level: str = setting(
        one_of("DEBUG", "INFO", "WARNING", "ERROR"), "Least level that is logged", default="INFO"
    )
    demo: bool = setting(yes_no, "Demonstration: allows a set clock and hints", default=False)
    allow_private_peers: bool = setting(
        yes_no, "Also talk to peers on private or loopback addresses, over http", default=False
    )
    clock: Clock = setting(
        parse_clock, "What time it is, for demonstrations and tests only", default=Clock()
    )
    sqlite_synchronous: str = setting(
        one_of("FULL", "NORMAL"),
        "FULL survives a power cut; NORMAL is faster and may lose the last seconds in one",
        default="FULL",
    )

    trusted_proxies: int = setting(
        number(0, 8), "How many proxies in front set X-Forwarded-*", default=0
    )
    smtp_url: MailServer | None = setting(
        mail_server,
        "Mail server: smtp://user:password@host:587 (STARTTLS), smtps://…:465, or file:///folder "
        "for one .eml file a message; empty: no mail",
        default=None,
    )
    mail_from: str = setting(
        mail_address, "Who e-mail is from; needed with a mail server", default=""
    )

    tiles_url: str = setting(
        text,
        "Tile server for the map, as https://…/{z}/{x}/{y}.png; empty: the outline alone",
        default="",
    )
    tiles_attribution: str = setting(text, "What the tile server asks to be shown", default="")
    source_url: str = setting(
        link,
        "Where the source code of this service is published; empty: the service gives it itself",
        default="",
    )

    @property
    def tiles_origin(self) -> str:
        """Return the origin that map images may come from, or nothing."""
        parts = urlsplit(self.tiles_url)
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""

    @property
    def secure(self) -> bool:
        """Tell whether browsers reach this service over TLS."""
        return self.url.startswith("https://")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'passerelle.sqlite'}"


S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S], prefix: str, environ: Mapping[str, str]) -> S:
    """Read ``PREFIX_NAME`` variables into ``kind``. Raises SettingsError with all faults.

    ``PREFIX_ENV_FILE`` names a file of them; what is set in the environment itself wins.
    """
    from_file = _read_file(environ.get(f"{prefix}_ENV_FILE"))
    values = {**from_file, **environ}
    found: dict[str, Any] = {}
    faults: list[str] = []
    known: dict[str, Field[Any]] = {f"{prefix}_{f.name.upper()}": f for f in fields(kind)}
    for name, spec in known.items():
        raw = values.get(name, "")
        if not raw:
            if spec.default is MISSING:
                faults.append(f"{name} is missing: {spec.metadata['help']}")
            continue
        try:
            found[spec.name] = spec.metadata["parse"](raw)
        except ValueError as error:
            faults.append(f"{name} is wrong: {error}")
    # In the environment itself others have names like ours: NODE_OPTIONS is Node.js's.
    faults += [f"{name} is not a setting" for name in sorted(from_file) if name not in known]
    if "clock" in found and not found.get("demo"):
        faults.append(f"{prefix}_CLOCK is refused outside a demonstration ({prefix}_DEMO)")
    if "url" in found and not found["url"].startswith("https://") and not found.get("demo"):
        faults.append(f"{prefix}_URL must be https outside a demonstration ({prefix}_DEMO)")
    if found.get("smtp_url") and not values.get(f"{prefix}_MAIL_FROM"):
        faults.append(
            f"{prefix}_MAIL_FROM is missing: {known[f'{prefix}_MAIL_FROM'].metadata['help']}"
        )
    if faults:
        raise SettingsError(faults)
    return kind(**found)


def given_settings(kind: type[Settings], prefix: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that the environment or its file gives, as they are written there."""
    values = {**_read_file(environ.get(f"{prefix}_ENV_FILE")), **environ}
    names = (f"{prefix}_{spec.name.upper()}" for spec in fields(kind))
    return {name: values[name] for name in names if values.get(name)}


def _read_file(path: str | None) -> dict[str, str]:
    if not path:
        return {}
    if not Path(path).is_file():
        raise SettingsError([f"the settings file {path} is not there"])
    try:
        return read_env(Path(path))
    except EnvFileError as error:
        raise SettingsError(error.faults) from None


def _as_set(value: Any) -> str:
    """Return a default as it would be written in a settings file."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or value == Clock() else str(value)


def describe(kind: type[Settings], prefix: str) -> list[tuple[str, str, str]]:
    """Return (name, default or "required", help) of every setting, for the settings page."""
    rows = []
    for spec in fields(kind):
        default = "required" if spec.default is MISSING else _as_set(spec.default)
        rows.append((f"{prefix}_{spec.name.upper()}", default, spec.metadata["help"]))
    return rows
