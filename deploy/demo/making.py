"""Making the demonstration's network: hub, nodes, and how they come to know each other."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import click

from deploy.demo.processes import ProcessError, ports_in_use


@dataclass(frozen=True)
class Wanted:
    folder: Path
    port_base: int
    day: date | None
    rules: Path | None
    story: bool


@dataclass(frozen=True)
class Made:
    info: dict[str, Any]
    clock: str | None
    told: str | None


class Starter(Protocol):
    """Starts processes; whoever makes the network does not own them."""

    def start(self, name: str, arguments: list[str], environ: dict[str, str]) -> None: ...

    def wait_ready(self, urls: dict[str, str]) -> None: ...


def make(wanted: Wanted, starter: Starter) -> Made:
    """Make the network in an empty folder, and have its processes started. Raises ProcessError."""
    from deploy.demo import network  # noqa: PLC0415 - slow to import, and large
    from deploy.demo.day import clock_setting  # noqa: PLC0415
    from deploy.demo.join import join  # noqa: PLC0415
    from node.host.operators import FOLDERS  # noqa: PLC0415

    folder, base = wanted.folder, wanted.port_base
    taken = ports_in_use(range(base, base + 1 + len(network.NODES)))
    if taken:
        raise ProcessError(
            f"port {', '.join(map(str, taken))} is in use; choose others with --port-base"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / "hub").exists():
        raise ProcessError(f"{folder} already holds a network; give an empty --data-dir")
    clock = clock_setting(network.founding_schedule(), datetime.now(UTC), wanted.day)
    click.echo("Passerelle: making the network…")
    hub = network.make_hub(folder / "hub", base, clock, secrets.token_hex(32), wanted.rules)
    starter.start("hub", ["hub", "serve"], hub.environ)
    host, ports = folder / "host", range(base + 1, base + 1 + len(network.NODES))
    environ = network.host_environ(host, ports)
    starter.start("nodes", ["host", "serve"], environ)
    nodes = []
    for sheet, port in zip(network.NODES, ports, strict=True):
        at = host / FOLDERS / sheet["id"]
        mail = network.mail_folder(folder)
        node = network.make_node(sheet, at, port, clock, secrets.token_hex(32), hub.url, mail=mail)
        network.hand_over(node, host)
        nodes.append(node)
    starter.wait_ready({part.id: part.url for part in [hub, *nodes]})
    join(hub, nodes)
    starter.start("hub-jobs", ["hub", "jobs"], hub.environ)
    starter.start("nodes-jobs", ["host", "jobs"], environ)
    info: dict[str, Any] = {
        "hub": hub.info,
        "nodes": {node.id: node.info for node in nodes},
        "mail": str(network.mail_folder(folder)),
    }
    with hub.app.app_context():
        now = hub.app.extensions["hub"].clock.now()
    return Made(info, clock, _play(info, f"{now:%Y-%m}") if wanted.story else None)


def _play(info: dict[str, Any], month: str) -> str:
    from deploy.demo.story import StoryError, StoryRefusedError, play  # noqa: PLC0415

    try:
        return play(info, month)
    except StoryRefusedError as refused:
        return f"La porte du Troquet numérique a répondu non : {refused.words}"
    except StoryError as error:
        raise ProcessError(f"the founding visit failed: {error}") from None
