"""The units and the proxy's file that the project ships, made those of one machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

_SHIPPED: Final = Path(__file__).parents[1]
PROXIES: Final = ("nginx", "caddy")
# What the shipped files say, which hold for /opt/passerelle as the pages install it.
_PROGRAM = "/opt/passerelle/bin/passerelle"
_DATA = {"hub": "/var/lib/passerelle/hub", "node": "/var/lib/passerelle/%i"}
_SITE = {"hub": ("hub.example.org", "8000"), "node": ("node.example.org", "8001")}


@dataclass(frozen=True)
class Place:
    """Where a service is: its folder's name is what its units are called by."""

    kind: str
    host: str
    port: int
    data_dir: Path
    program: Path
    user: str
    proxy: str

    @property
    def env_file(self) -> Path:
        return self.data_dir / f"{self.kind}.env"

    def units(self, *whats: str) -> list[str]:
        """Return the names by which systemd knows ``-jobs``, ``-backup.timer`` and so on."""
        at = f"@{self.data_dir.name}" if self.kind == "node" else ""
        found = []
        for what in whats:
            name, dot, ending = what.partition(".")
            found.append(f"passerelle-{self.kind}{name}{at}{dot}{ending}")
        return found


def render(place: Place) -> dict[str, str]:
    """Return the text of each file, by its path below ``/etc``."""
    data = place.data_dir.parent / "%i" if place.kind == "node" else place.data_dir
    changes = {
        _PROGRAM: str(place.program),
        _DATA[place.kind]: str(data),
        "User=passerelle\nGroup=passerelle": f"User={place.user}",
    }
    units = sorted((_SHIPPED / "systemd").glob(f"passerelle-{place.kind}*"))
    files = {f"systemd/system/{unit.name}": _changed(unit, changes) for unit in units}
    host, port = _SITE[place.kind]
    site = {host: place.host, f"127.0.0.1:{port}": f"127.0.0.1:{place.port}"}
    if place.proxy == "nginx":
        source, target = f"nginx-{place.kind}.conf", f"nginx/sites-available/{place.host}.conf"
    else:
        source, target = f"Caddyfile-{place.kind}", f"caddy/{place.host}.caddy"
    files[target] = _changed(_SHIPPED / "proxy" / source, site)
    return files


def _changed(path: Path, changes: Mapping[str, str]) -> str:
    text = path.read_text(encoding="utf-8")
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write the files below a folder; one that is there and says something else is asked about."""
    for name, text in files.items():
        path = folder / name
        if path.exists() or path.is_symlink():
            if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
                continue
            if not click.confirm(f"{path} is there and says something else. Write over it?"):
                click.echo(f"Left as it was: {path}")
                continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(f"Written: {path}")
