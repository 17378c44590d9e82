"""``passerelle hub setup`` and ``passerelle node setup``."""

from __future__ import annotations

import io
import os
import pwd
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from deploy.setup import answers
from deploy.setup.files import PROXIES, Place, render, write
from shared.base.names import slug

_Command = Callable[..., Any]
DATA = Path("/var/lib/passerelle")


def _ask(name: str, question: str, kind: Any, **more: Any) -> Callable[[_Command], _Command]:
    return click.option(f"--{name}", name.replace("-", "_"), prompt=question, type=kind, **more)


def _of_both(port: int) -> Callable[[_Command], _Command]:
    """Ask what hub and node both need; what is added last is asked first."""

    def add(command: _Command) -> _Command:
        hidden = {"hide_input": True, "confirmation_prompt": True, "envvar": "PASSERELLE_PASSWORD"}
        for option in (
            click.option(
                "--into",
                type=click.Path(file_okay=False, path_type=Path),
                help="Folder for the units and the proxy's file, laid out as /etc  "
                "[default: etc, below the data folder]",
            ),
            click.option(
                "--user",
                type=answers.USER,
                help="Who runs the service  [default: who runs this; passerelle for root]",
            ),
            click.option("--data-dir", type=click.Path(path_type=Path), help=f"Below {DATA}"),
            _ask("proxy", "Proxy in front", click.Choice(PROXIES), default="nginx"),
            _ask("port", "Port on this machine", click.IntRange(1024, 65535), default=port),
            _ask(
                "proxies",
                "How many proxies are in front, that one included",
                click.IntRange(1, 8),
                default=1,
            ),
            click.option("--mail-from", type=answers.SENDER, help="Who e-mail is from"),
            _ask("mail", "Mail server (empty: no e-mail)", answers.MAIL, default=""),
            _ask("database", "PostgreSQL (empty: SQLite)", answers.DATABASE, default=""),
            _ask("password", "Their password", answers.PASSWORD, **hidden),
        ):
            command = option(command)
        return command

    return add


@click.command()
@_ask("host", "Name of this hub on the internet, like hub.example.org", answers.HOST)
@_ask("email", "E-mail address of the first coordinator", answers.EMAIL)
@_of_both(8000)
def hub_setup(email: str, password: str, **told: Any) -> None:
    """Make a hub and the files that run it, and say what comes next."""
    place = _place("hub", told, DATA / "hub")
    _make(place, told, ["--email", email, "--password", password])
    _tell(place, told["into"])
    click.echo(f"Then log in at https://{place.host}/login, and invite the first node.")


@click.command()
@_ask("name", "Name of the space", answers.NAME)
@_ask("town", "Its town", answers.NAME)
@_ask("host", "Name of this node on the internet, like node.example.org", answers.HOST)
@_ask("hub", "Address of the network's hub", answers.HUB)
@_ask("email", "E-mail address of the first admin", answers.EMAIL)
@_of_both(8001)
@_ask("invitation", "Invitation (empty: not yet)", answers.INVITATION, default="")
def node_setup(
    name: str, town: str, hub: str, email: str, password: str, invitation: str, **told: Any
) -> None:
    """Make a space's node and the files that run it, and say what comes next."""
    place = _place("node", told, DATA / slug(name))
    space = ["--name", name, "--space", name, "--town", town, "--hub", hub]
    _make(place, told, [*space, "--email", email, "--password", password])
    _tell(place, told["into"])
    run = (
        f"runuser -u {place.user} -- env NODE_ENV_FILE={place.env_file} {place.program} node enrol"
    )
    click.echo("Once it answers, join the network:")
    click.echo(f"  {run} --invitation {invitation or 'inv_…'} --sign-charter")


def _place(kind: str, told: dict[str, Any], usual: Path) -> Place:
    data_dir = (told["data_dir"] or usual).absolute()
    program = Path(sys.argv[0]).absolute()
    if program.name != "passerelle":
        program = Path(sys.executable).with_name("passerelle")
    for path in (data_dir, program):
        fault = answers.folder_fault(path)
        if fault:
            raise click.ClickException(fault)
    if told["mail"] and not told["mail_from"]:
        asked = "Who e-mail is from, like La Cordée <contact@example.org>"
        told["mail_from"] = click.prompt(asked, type=answers.SENDER)
    told["into"] = (told["into"] or data_dir / "etc").absolute()
    me = os.geteuid()
    user = told["user"] or ("passerelle" if me == 0 else pwd.getpwuid(me).pw_name)
    return Place(kind, told["host"], told["port"], data_dir, program, user, told["proxy"])


def _make(place: Place, told: Mapping[str, Any], options: list[str]) -> None:
    """Make the service, unless it is there, and its files."""
    if place.env_file.exists():
        click.echo(f"{place.env_file} is there: this {place.kind} is left as it is.")
        if not click.confirm("Write its units and its proxy's file?"):
            raise click.Abort
    else:
        _init(place, told, options)
    try:
        write(render(place), told["into"])
    except OSError as error:
        raise click.ClickException(
            f"{error.filename}: {error.strerror}. The {place.kind} is made; run this again with "
            "another --into for its files."
        ) from None


def _init(place: Place, told: Mapping[str, Any], options: list[str]) -> None:
    """Run ``init``; it takes from the environment what it has no option for, and writes it."""
    if place.kind == "node":
        from node.cli import init  # noqa: PLC0415 - slow to import
    else:
        from federation.cli import init  # noqa: PLC0415
    given = {
        "PORT": str(place.port),
        "TRUSTED_PROXIES": str(told["proxies"]),
        "DATABASE_URL": told["database"],
        "SMTP_URL": told["mail"],
        "MAIL_FROM": told["mail_from"] or "",
    }
    os.environ.update({f"{place.kind.upper()}_{name}": value for name, value in given.items()})
    where = ["--url", f"https://{place.host}", "--data-dir", str(place.data_dir)]
    try:
        with redirect_stdout(io.StringIO()):  # what it says comes next is done by the units
            init.main([*where, *options], prog_name="passerelle init", standalone_mode=False)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename or place.data_dir}: {error.strerror}. Nothing was made: run this as "
            "a user who may write there, or choose another place with --data-dir."
        ) from None
    click.echo(f"Made: {place.data_dir}")


def _tell(place: Place, into: Path) -> None:
    """Say what root does next, each line a command."""
    lines = []
    if os.geteuid() == 0:
        lines.append(f"chown --recursive {place.user}: {place.data_dir}")
    if into != Path("/etc"):
        lines.append(f"cp --recursive {into}/. /etc/")
    if place.proxy == "nginx":
        site = f"{place.host}.conf"
        lines += [
            "certbot certonly --webroot --webroot-path /var/www/html"
            f" --deploy-hook 'systemctl reload nginx' --domain {place.host}",
            f"ln --symbolic --force ../sites-available/{site} /etc/nginx/sites-enabled/{site}",
            "nginx -t",
            "systemctl reload nginx",
        ]
    else:
        lines.append(f"echo 'import /etc/caddy/{place.host}.caddy' >> /etc/caddy/Caddyfile")
        lines.append("systemctl reload caddy")
    units = place.units("", "-jobs", "-backup.timer", "-drill.timer")
    lines += ["systemctl daemon-reload", f"systemctl enable --now {' '.join(units)}"]
    click.echo("\nNext, as root:")
    for line in lines:
        click.echo(f"  {line}")
    click.echo(f"It is well when https://{place.host}/readyz says ok.\n")
