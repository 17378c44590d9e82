"""``passerelle demo``: the whole network on one machine, until Ctrl-C."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import structlog

from deploy.demo.day import clock_setting
from deploy.demo.processes import ProcessError, Processes, ports_in_use


@click.command()
@click.option("--port-base", default=8000, show_default=True, type=click.IntRange(1, 65500))
@click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Kept after the end; else it is removed"
)
@click.option("--info", type=click.Path(path_type=Path), help="Written once all is ready (JSON)")
@click.option("--no-story", is_flag=True, help="Do not play the founding visit")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="What day it is")
@click.option(
    "--rules",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Start on other rules than the model charter's",
)
def demo(
    port_base: int,
    data_dir: Path | None,
    info: Path | None,
    no_story: bool,
    day: datetime | None,
    rules: Path | None,
) -> None:
    """Run a hub and one node for each operator on 127.0.0.1, until Ctrl-C."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    folder = data_dir or Path(tempfile.mkdtemp(prefix="passerelle-demo-"))
    processes = Processes(folder.resolve() / "logs")
    try:
        _run(
            folder.resolve(),
            port_base,
            info,
            day.date() if day else None,
            rules,
            story=not no_story,
            stop=stop,
            processes=processes,
        )
    except (ProcessError, click.ClickException) as error:
        message = error.message if isinstance(error, click.ClickException) else str(error)
        click.echo(f"passerelle demo: {message}", err=True)
        sys.exit(1)
    except _Stopped:
        pass
    finally:
        processes.stop()
        if info is not None:
            info.unlink(missing_ok=True)
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


class _Stopped(Exception):
    pass


def _go_on(stop: threading.Event) -> None:
    if stop.is_set():
        raise _Stopped


def _run(
    folder: Path,
    port_base: int,
    info_file: Path | None,
    day: date | None,
    rules: Path | None,
    *,
    story: bool,
    stop: threading.Event,
    processes: Processes,
) -> None:
    from deploy.demo import network  # noqa: PLC0415 - slow to import; ports are checked before
    from deploy.demo.join import join  # noqa: PLC0415

    taken = ports_in_use(range(port_base, port_base + 1 + len(network.NODES)))
    if taken:
        raise ProcessError(
            f"port {', '.join(map(str, taken))} is in use; choose others with --port-base"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (folder / "hub").exists():
        raise ProcessError(f"{folder} already holds a network; give an empty --data-dir")
    clock = clock_setting(network.founding_schedule(), datetime.now(UTC), day)
    click.echo("Passerelle: making the network…")

    hub = network.make_hub(folder / "hub", port_base, clock, secrets.token_hex(32), rules)
    processes.start("hub", ["hub", "serve"], hub.environ)
    nodes = []
    for n, sheet in enumerate(network.NODES):
        _go_on(stop)
        node = network.make_node(
            sheet, folder / sheet["id"], port_base + 1 + n, clock, secrets.token_hex(32), hub.url
        )
        processes.start(node.id, ["node", "serve"], node.environ)
        nodes.append(node)
    processes.wait_ready({part.id: part.url for part in [hub, *nodes]})
    _go_on(stop)
    join(hub, nodes)
    processes.start("hub-jobs", ["hub", "jobs"], hub.environ)
    for node in nodes:
        processes.start(f"{node.id}-jobs", ["node", "jobs"], node.environ)
    info: dict[str, Any] = {
        "hub": hub.info,
        "nodes": {node.id: node.info for node in nodes},
        "mail": str(network.mail_folder(folder)),
    }
    with hub.app.app_context():
        now = hub.app.extensions["hub"].clock.now()
    told = _play(info, f"{now:%Y-%m}") if story else None
    _go_on(stop)
    processes.check()
    if info_file is not None:
        _write_info(info_file, info)
    _tell(info, clock, told)
    while not stop.wait(0.5):
        for line in processes.ended():
            click.echo(line, err=True)  # the others go on: that is what the network is for
    click.echo("\nPasserelle: stopping…")


def _play(info: dict[str, Any], month: str) -> str:
    from deploy.demo.story import StoryError, StoryRefusedError, play  # noqa: PLC0415

    try:
        return play(info, month)
    except StoryRefusedError as refused:
        return f"La porte du Troquet numérique a répondu non : {refused.words}"
    except StoryError as error:
        raise ProcessError(f"the founding visit failed: {error}") from None


def _write_info(path: Path, info: dict[str, Any]) -> None:
    """Write the file whole: who waits for it must not read half of it."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(info, indent=1, ensure_ascii=False), encoding="utf-8")
    temporary.replace(path)


def _tell(info: dict[str, Any], clock: str | None, told: str | None) -> None:
    click.echo()
    if clock:
        click.echo(f"It is {clock[:10]}, {clock[11:16]} for this network.")
    if told:
        click.echo(told)
    password = info["hub"]["coordinator"]["password"]
    click.echo(f"\nPages to open (password everywhere: {password})\n")
    home, host = info["nodes"]["la-cordee"], info["nodes"]["troquet-numerique"]
    rows = [
        ("Map, public", f"{info['hub']['url']}/", ""),
        ("Charter", f"{info['hub']['url']}/charter", ""),
        (
            "Coordinator",
            f"{info['hub']['url']}/coordination",
            info["hub"]["coordinator"]["email"],
        ),
        ("Member of La Cordée", f"{home['url']}/pass", home["members"][0]["email"]),
        ("Desk of the Troquet", f"{host['url']}/desk", host["desk"]["email"]),
        ("Admin of the Troquet", f"{host['url']}/console", host["admin"]["email"]),
    ]
    for label, url, email in rows:
        click.echo(f"  {label:22} {url:40} {email}")
    click.echo("\nOther nodes:")
    for name, node in info["nodes"].items():
        click.echo(f"  {name:22} {node['url']:40} {node['admin']['email']}")
    click.echo(f"\nE-mail is written to {info['mail']} (one .eml file each).")
    click.echo("\nCtrl-C stops all of it.")
