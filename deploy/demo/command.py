"""``passerelle demo``: the whole network on one machine, until Ctrl-C."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sys
import tempfile
import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import structlog

from deploy.demo.apart import StoppedError, apart
from deploy.demo.making import Wanted, make
from deploy.demo.processes import ProcessError, Processes


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
        day_wanted = day.date() if day else None
        wanted = Wanted(folder.resolve(), port_base, day_wanted, rules, story=not no_story)
        _run(wanted, info, stop=stop, processes=processes)
    except (ProcessError, click.ClickException) as error:
        message = error.message if isinstance(error, click.ClickException) else str(error)
        click.echo(f"passerelle demo: {message}", err=True)
        sys.exit(1)
    except StoppedError:
        pass
    finally:
        processes.stop()
        if info is not None:
            info.unlink(missing_ok=True)
        if data_dir is None:
            shutil.rmtree(folder, ignore_errors=True)


def _run(
    wanted: Wanted, info_file: Path | None, *, stop: threading.Event, processes: Processes
) -> None:
    made = apart(make, wanted, processes, stop)
    processes.check()
    if info_file is not None:
        _write_info(info_file, made.info)
    _tell(made.info, made.clock, made.told)
    while not stop.wait(0.5):
        for line in processes.ended():
            click.echo(line, err=True)  # the others go on: that is what the network is for
    click.echo("\nPasserelle: stopping…")


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
