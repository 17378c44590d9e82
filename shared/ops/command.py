"""What the command lines of hub and node share."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from flask import Flask

from shared.base.config import Declared, Settings, SettingsError, describe, read_settings
from shared.base.env_file import write_env

S = TypeVar("S", bound=Declared)
T = TypeVar("T", bound=Settings)


class _Instant(click.ParamType):  # type: ignore[type-arg]
    """RFC 3339, with its offset."""

    name = "instant"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        try:
            found = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        except ValueError:
            found = None
        if found is None or found.tzinfo is None:
            self.fail("an instant like 2026-11-30T09:00:00+01:00 is expected", param, ctx)
        return found


INSTANT = _Instant()


class ServiceGroup(click.Group):
    """The commands of a service. A database that cannot be used is one line, not a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            told = _database_says(error)
            if told is None:
                raise
            raise click.ClickException(told) from None


def _database_says(error: Exception) -> str | None:
    """Return what a database said that is away, locked, or forbids something."""
    from sqlalchemy.exc import OperationalError, ProgrammingError  # noqa: PLC0415 - slow to import

    from shared.store.db import reason_of  # noqa: PLC0415

    if isinstance(error, OperationalError | ProgrammingError):
        return f"the database: {reason_of(error)}"
    return None


def migrated_or_exit(
    settings: Settings, kind: str, migrations: Path, *, ahead: bool = False, quiet: bool = False
) -> bool:
    """Stop with status 1 where the database's tables are not those of this version.

    ``ahead``: those of a newer version are taken too, as migrations only expand. Returns whether
    the database answered: one that is away is waited for by whoever needs it.
    """
    from shared.store.revisions import State, find_at, say  # noqa: PLC0415 - slow to import

    found = find_at(settings.database, migrations)
    if found.state is State.AWAY:
        if not quiet:
            click.echo(say(found, kind), err=True)
        return False
    if found.state is not State.CURRENT and not (ahead and found.state is State.AHEAD):
        raise click.ClickException(say(found, kind))
    return True


def wait_until_migrated(
    settings: Settings, kind: str, migrations: Path, *, ahead: bool = False
) -> None:
    """Do the same, and wait for a database that is away: that is said once."""
    # Whoever reloads a service by SIGHUP ends no scheduler that is just beginning.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    quiet = False
    while not migrated_or_exit(settings, kind, migrations, ahead=ahead, quiet=quiet):
        quiet = True
        time.sleep(DATABASE_SECONDS)


AHEAD = click.option(
    "--database-ahead",
    "ahead",
    is_flag=True,
    help="Start although a newer version has migrated the database: to go back after an upgrade",
)
DATABASE_SECONDS = 2.0


def settings_or_exit(kind: type[S], prefix: str) -> S:
    """Read the settings; with a fault, name them all and stop with status 2."""
    try:
        settings = read_settings(kind, prefix, os.environ)
    except SettingsError as error:
        for fault in error.faults:
            click.echo(fault, err=True)
        click.echo(f"Not started: {len(error.faults)} setting(s) to correct.", err=True)
        sys.exit(2)
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return settings


def keys_or_exit(settings: Settings, name: str) -> None:
    """Stop with status 2 where the file of keys is not there: only ``init`` makes one."""
    path = settings.data_dir / name
    if not path.exists():
        click.echo(f"There are no keys at {path}.", err=True)
        click.echo(
            "Correct DATA_DIR, mount what belongs there, or restore a backup; "
            "only init makes new keys, and nobody trusts those of a service that had others.",
            err=True,
        )
        sys.exit(2)


def show_settings(kind: type[Declared], prefix: str) -> None:
    for name, default, text in describe(kind, prefix):
        click.echo(f"{name}\n    {text}. Default: {default or 'empty'}")


def write_env_file(path: Path, values: Mapping[str, str]) -> None:
    """Write a settings file that only its owner can read. An existing one is left as it is."""
    if path.exists():
        raise click.ClickException(f"{path} is there already; nothing was changed")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_env(path, values)


@contextmanager
def new_service(
    kind: type[Settings], prefix: str, data_dir: Path, values: Mapping[str, str]
) -> Iterator[Path]:
    """Write the settings of a service that is being made, and give their file.

    What the environment says is written, too. Where making it fails, nothing of it is left.
    """
    env_file = data_dir / f"{prefix.lower()}.env"
    names = [f"{prefix}_{spec.name.upper()}" for spec in fields(kind)]
    told = {name: os.environ[name] for name in names if os.environ.get(name)}
    with in_new_folder(env_file, prefix, {**values, **told}):
        yield env_file


@contextmanager
def in_new_folder(env_file: Path, prefix: str, values: Mapping[str, str]) -> Iterator[None]:
    """Write the settings, and use them. Where what follows fails, nothing new is left beside them.

    So the next try begins anew. The settings come first: who has written them owns the folder.
    """
    folder = env_file.parent
    there, before = folder.exists(), set(folder.rglob("*"))
    write_env_file(env_file, values)
    if there and not before:
        folder.chmod(0o700)  # made by hand, for this; we have just written into it
    os.environ[f"{prefix}_ENV_FILE"] = str(env_file)
    try:
        yield
    except BaseException:
        for path in sorted({*folder.rglob("*")} - before, reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if not there:
            folder.rmdir()
        raise


def new_secret() -> str:
    return secrets.token_hex(32)


def migrate(app: Flask) -> None:
    """Bring the database to this version's tables."""
    from flask_migrate import upgrade  # noqa: PLC0415 - slow to import

    with app.app_context():
        upgrade()


def mail_test(mailbox: Any, session: Any, settings: Settings, address: str) -> None:
    """Send one message now, and print what the mail server answered."""
    from shared.mail.smtp import MailFault  # noqa: PLC0415

    try:
        click.echo(mailbox.test(session, settings, address))
    except MailFault as fault:
        raise click.ClickException(f"{fault.reason}: {fault.words}") from None


def send_again(app: Flask, mailbox: Any) -> None:
    """Queue again what was given up; the jobs process sends it."""
    with app.app_context():
        session = app.extensions["sqlalchemy"].session()
        count = mailbox.send_again(session, app.extensions["settings"].clock.real())
        for row in mailbox.dead(session):
            click.echo(f"Left as it is: to {row.to!r} of {row.created_at:%Y-%m-%d}, no address")
        click.echo(f"{count} message(s) sent again by the jobs process, within a minute.")


def reset_account(app: Flask, address: str) -> None:
    """Take the second step off an account, end its log-ins, and give it a link to a new password.

    For who is locked out, and whom nobody with a log-in can help.
    """
    from shared.wire.problems import Problem  # noqa: PLC0415 - slow to import

    with app.app_context():
        people = app.extensions["people"]
        try:
            url = people.links.start_over(
                people.session(), people.place(), people.two_factor, address
            )
        except Problem:
            raise click.ClickException("no account that is open has this address") from None
    click.echo(url or "A link is on its way to this address.")
    click.echo("It works once; until it is used, the old password goes on working.", err=True)


def serve(
    kind: type[T],
    prefix: str,
    service: str,
    find_app: Callable[[], Callable[[T], Flask]],
    keys: str,
) -> None:
    """Run the production server in the foreground.

    ``find_app`` imports the application: whatever counts must be imported after its folder is made.
    """
    settings = settings_or_exit(kind, prefix)
    keys_or_exit(settings, keys)
    from shared.ops.metrics_folder import MetricsFolder  # noqa: PLC0415
    from shared.ops.server import note_serving, server, spare_memory  # noqa: PLC0415

    held = note_serving(settings)
    if held is None:
        raise click.ClickException("a backup is being restored: start again when it is done")
    folder = MetricsFolder(settings.data_dir)
    from shared.ops.logs import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_level, service)
    spare_memory()
    create_app = find_app()
    server(lambda: create_app(settings), settings, folder).run()
