"""``passerelle host …``: many operators' nodes in one service."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click
from flask import Flask

from node.cli import SERVICE, found, join_network
from node.host import operators
from node.host.operators import IdError, Operator
from node.host.settings import HostSettings
from node.settings import KEYS, MIGRATIONS
from shared.base.config import SettingsError
from shared.ops import command
from shared.ops.backup_command import restore_backup
from shared.ops.founding import good_address, good_password, new_tables

PREFIX = "HOST"
WAIT_SECONDS = 30.0


@click.group()
def host() -> None:
    """Many operators' nodes in one service."""


def _settings() -> HostSettings:
    found = command.settings_or_exit(HostSettings, PREFIX)
    # The environment is this service's: it says nothing of an operator.
    for name in [name for name in os.environ if name.startswith("NODE_")]:
        del os.environ[name]
    return found


def _operator(settings: HostSettings, operator_id: str, *, there: bool = True) -> Operator:
    try:
        one = operators.operator(settings.data_dir, operator_id)
    except IdError as error:
        raise click.ClickException(str(error)) from None
    if there != one.env_file.exists():
        words = "is there already; nothing was changed" if one.env_file.exists() else "is not here"
        raise click.ClickException(f"the operator {operator_id} {words}")
    return one


def _app(one: Operator, settings: HostSettings, *, new: bool = False) -> Flask:
    from node.app import create_app, create_new  # noqa: PLC0415 - slow to import
    from shared.ops.logs import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_level, "node")
    try:
        own = operators.settings_of(one, settings)
    except SettingsError as error:
        raise click.ClickException("; ".join(error.faults)) from None
    if new:
        return create_new(own)
    command.keys_or_exit(own, KEYS)
    return create_app(own)


@host.command()
@click.option("--data-dir", type=click.Path(path_type=Path), required=True)
@click.option("--listen", default="127.0.0.1:8000", show_default=True, help="host:port, …")
@click.option("--proxies", type=click.IntRange(0, 8), default=1, show_default=True)
def init(data_dir: Path, listen: str, proxies: int) -> None:
    """Make a service without operators: its settings file, and the folder for theirs."""
    values = {
        "HOST_DATA_DIR": str(data_dir.resolve()),
        "HOST_LISTEN": listen,
        "HOST_TRUSTED_PROXIES": str(proxies),
    }
    env_file = data_dir / "host.env"
    with command.in_new_folder(env_file, PREFIX, values):
        settings = command.settings_or_exit(HostSettings, PREFIX)
        (settings.data_dir / operators.FOLDERS).mkdir(mode=0o700)
    run = f"HOST_ENV_FILE={env_file} passerelle host"
    click.echo(f"The service is ready. Start it with:\n  {run} serve\n  {run} jobs")
    click.echo(f"Then take operators in:\n  {run} add --help")


@host.command()
@click.argument("operator_id", metavar="ID")
@click.option("--url", help="The node's public address, like https://la-cordee.example.org")
@click.option("--hub", "hub_url", help="The hub's public address")
@click.option("--name", help="The operator's name")
@click.option("--space", "space_name", help="The first space's name")
@click.option("--town", help="The first space's town")
@click.option("--email", help="The first admin's e-mail address")
@click.option("--password", help="The first admin's password (asked for when not given)")
@click.option("--private", is_flag=True, help="Allow http and private addresses (trial only)")
@click.option("--set", "more", multiple=True, metavar="NODE_NAME=VALUE", help="Another setting")
@click.option("--invitation", help="Join the network at once; the server must be running")
@click.option("--sign-charter", is_flag=True, help="Also sign the charter in force")
@click.option(
    "--from",
    "backup",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Move in: everything, the address included, is that of this backup",
)
@click.option("--again", is_flag=True, help="Serve again one that was removed, as it was left")
def add(
    operator_id: str,
    url: str | None,
    hub_url: str | None,
    name: str | None,
    space_name: str | None,
    town: str | None,
    email: str | None,
    password: str | None,
    private: bool,
    more: tuple[str, ...],
    invitation: str | None,
    sign_charter: bool,
    backup: Path | None,
    again: bool,
) -> None:
    """Take in the operator ID: a new node, one from a backup, or one that was here."""
    settings = _settings()
    one = _operator(settings, operator_id, there=again)
    wanted = {
        "--url": url,
        "--hub": hub_url,
        "--name": name,
        "--space": space_name,
        "--town": town,
        "--email": email,
    }
    if backup is not None or again:
        if any(wanted.values()) or more or (backup is not None and again):
            raise click.UsageError("--from and --again take everything as it was")
        if backup is not None:
            restore_backup(SERVICE, backup, one.folder, None, replace=False)
    else:
        missing = [option for option, value in wanted.items() if not value]
        if missing:
            raise click.UsageError(f"missing: {', '.join(missing)}")
        values = _values(one, str(url), str(hub_url), str(name), more, private=private)
        address, secret = good_address(str(email)), good_password(password)
        with command.in_new_folder(one.env_file, "NODE", values):
            _is_free_to_serve(one, settings)
            app = _app(one, settings, new=True)
            with new_tables(app):
                found(app, str(name), address, secret, str(space_name), str(town))
    _is_free_to_serve(one, settings)
    operators.serve(one)
    click.echo(f"{operator_id} is served at {operators.settings_of(one, settings).url}.")
    click.echo(f"Its commands: NODE_ENV_FILE={one.env_file} passerelle node …")
    if invitation:
        join_network(_app(one, settings), invitation, sign_charter=sign_charter)


def _values(
    one: Operator, url: str, hub_url: str, name: str, more: tuple[str, ...], *, private: bool
) -> dict[str, str]:
    values = {
        "NODE_URL": url,
        "NODE_HUB_URL": hub_url,
        "NODE_NAME": name,
        "NODE_SECRET_KEY": command.new_secret(),
        "NODE_DATA_DIR": str(one.folder),
    }
    if private:
        values |= {"NODE_DEMO": "yes", "NODE_ALLOW_PRIVATE_PEERS": "yes"}
    for each in more:
        key, sign, value = each.partition("=")
        if not sign or not key.startswith("NODE_"):
            raise click.UsageError(f"--set {key}: NODE_NAME=VALUE is expected")
        values[key] = value
    return values


def _is_free_to_serve(one: Operator, settings: HostSettings) -> None:
    """See that its settings are good, and nothing of it is another's. Raises ClickException."""
    faults = operators.faults_of(one, settings)
    if faults:
        raise click.ClickException("; ".join(faults))


@host.command()
@click.argument("operator_id", metavar="ID")
@click.option("--delete", is_flag=True, help="Also delete the folder, with all that is in it")
@click.option("--yes", is_flag=True, help="Do not ask")
def remove(operator_id: str, delete: bool, yes: bool) -> None:
    """Serve the operator ID no longer. Its folder stays, unless told otherwise."""
    settings = _settings()
    one = _operator(settings, operator_id)
    if delete and not yes:
        click.confirm(f"Delete {one.folder}: database, keys and photos?", abort=True)
    operators.stop_serving(one)
    if not operators.wait_until_free(one, WAIT_SECONDS):
        raise click.ClickException(f"a process still uses {one.folder}; try again")
    click.echo(f"{operator_id} is served no longer.")
    if delete:
        shutil.rmtree(one.folder)
        click.echo(f"{one.folder} is deleted.")
    else:
        click.echo(f"All that is its own is in {one.folder}. Move it to a machine of its own with:")
        click.echo(f"  NODE_ENV_FILE={one.env_file} passerelle node backup FILE")


@host.command("list")
def list_command() -> None:
    """List the operators, where each is served, and who is left aside and why."""
    from shared.store.revisions import find_at, say  # noqa: PLC0415 - slow to import

    settings = _settings()
    places, faults = operators.placed(settings.data_dir, settings)
    for one in operators.known(settings.data_dir):
        if one.id in faults:
            state = f"left aside: {'; '.join(faults[one.id])}"
        elif one.id in places:
            state = places[one.id].settings.url
            tables = say(find_at(places[one.id].settings.database, MIGRATIONS), "host")
            if tables:
                faults[one.id], state = [tables], f"left aside: {tables}"
        else:
            state = "not served"
        click.echo(f"{one.id:32} {state}")
    sys.exit(1 if faults else 0)


@host.command()
def migrate() -> None:
    """Bring every operator's database to this version's tables."""
    settings, failed = _settings(), 0
    for one in operators.known(settings.data_dir):
        try:
            command.migrate(_app(one, settings))
        except Exception as error:  # noqa: BLE001 - the others go on
            ours = isinstance(error, click.ClickException)
            click.echo(f"{one.id}: {error if ours else type(error).__name__}", err=True)
            failed += 1
        else:
            click.echo(f"{one.id}: at this version's tables")
    sys.exit(1 if failed else 0)


@host.command()
def serve() -> None:
    """Run the server of all operators' nodes."""
    settings = _settings()
    from shared.ops.metrics_folder import MetricsFolder  # noqa: PLC0415

    folder = MetricsFolder(settings.data_dir)
    from node.app import create_app  # noqa: PLC0415 - after the metrics folder
    from node.host.nodes import if_migrated  # noqa: PLC0415
    from node.host.serve import server  # noqa: PLC0415
    from shared.ops.logs import configure_logging  # noqa: PLC0415
    from shared.ops.server import spare_memory  # noqa: PLC0415

    configure_logging(settings.log_level, "node")
    spare_memory()
    server(settings, if_migrated(create_app), folder).run()


@host.command()
def jobs() -> None:
    """Run the jobs of all operators' nodes: one process of its own."""
    settings = _settings()
    from node.app import create_app  # noqa: PLC0415 - slow to import
    from node.host.jobs import run  # noqa: PLC0415
    from node.host.nodes import if_migrated  # noqa: PLC0415
    from node.jobs import JOBS  # noqa: PLC0415
    from shared.ops.logs import configure_logging  # noqa: PLC0415
    from shared.ops.server import spare_memory  # noqa: PLC0415

    configure_logging(settings.log_level, "node")
    spare_memory()
    run(settings, if_migrated(create_app), JOBS)


@host.command("settings")
def settings_command() -> None:
    """List every setting of the service, with its default."""
    command.show_settings(HostSettings, PREFIX)
