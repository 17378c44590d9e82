"""The mail server of the settings, and what an e-mail address is. Nothing is sent here."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

_PORTS = {"smtp": 587, "smtps": 465}
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS = re.compile(rf"{_ATOM}(\.{_ATOM})*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_SENDER = re.compile(
    r"(?P<bare>[^\s<>]+)|[^\x00-\x1f\x7f-\x9f\u2028\u2029\"\\<>@,;:]+ <(?P<address>[^\s<>]+)>"
)


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where messages go: ``scheme`` is smtp, smtps or file."""

    scheme: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    folder: Path = Path()

    @property
    def plain(self) -> bool:
        """Tell whether nothing is encrypted, since nothing leaves this machine."""
        return self.scheme == "smtp" and is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by its very name: nothing is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def mail_server(value: str) -> MailServer:
    """Read ``smtp://``, ``smtps://`` or ``file://``. Raises ValueError, without the password."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError(
            "this is not an address; a : / @ in a password is written %3A %2F %40"
        ) from (None)
    if parts.query or parts.fragment or parts.scheme not in ("smtp", "smtps", "file"):
        raise ValueError("smtp://user:password@host:587, smtps://… or file:///folder is expected")
    if parts.scheme == "file":
        if parts.netloc or len(parts.path) < 2:
            raise ValueError("file:/// and an absolute folder is expected")
        return MailServer("file", folder=Path(unquote(parts.path)))
    if not parts.hostname or parts.path not in ("", "/") or port == 0:
        raise ValueError(f"{parts.scheme}://user:password@host:port is expected")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("user and password go together")
    if not (user + password).isascii():
        raise ValueError("user and password are ASCII, as SMTP wants them")
    port = port or _PORTS[parts.scheme]
    return MailServer(parts.scheme, parts.hostname, port, user, password)


def mail_address(value: str) -> str:
    """Return ``mail@example.org``, or ``Name <mail@example.org>``. Raises ValueError."""
    found = _SENDER.fullmatch(value)
    if found is None or not is_address(found["bare"] or found["address"]):
        raise ValueError("mail@example.org or Name <mail@example.org> is expected")
    return value


def is_address(value: str) -> bool:
    """Tell whether a message can be sent there: ASCII on both sides, and no quoting."""
    return len(value) <= 254 and bool(_ADDRESS.fullmatch(value))
