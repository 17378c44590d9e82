"""What ``init`` of hub and node share: what is asked for, and tables made whole or not at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import reduce
from pathlib import Path
from typing import Any

import click
from flask import Flask

from shared.base.mail_server import is_address
from shared.ops import command

PASSWORD_LENGTHS = range(10, 201)  # as the pages ask for
MOST_PROXIES = 8

Decorated = Callable[..., None]


def init_options(who: str) -> Callable[[Decorated], Decorated]:
    """Add the options that both services' ``init`` take; ``who`` is the first person let in."""
    options: Sequence[Callable[[Decorated], Decorated]] = (
        click.option("--url", required=True, help="Public address, like https://name.example.org"),
        click.option(
            "--data-dir",
            type=click.Path(path_type=Path, resolve_path=True),
            required=True,
            help="A new or empty folder, for keys, settings and the SQLite file",
        ),
        click.option(
            "--database-url",
            help="An empty PostgreSQL database, as postgresql+psycopg://user:password@host/name; "
            "SQLite in the data folder if not given",
        ),
        click.option(
            "--proxies",
            type=click.IntRange(0, MOST_PROXIES),
            help="How many proxies stand in front, nginx or Caddy on this machine counted; "
            "asked for when not given",
        ),
        click.option("--email", required=True, callback=_email, help=f"{who}'s e-mail address"),
        click.option(
            "--password",
            callback=_password,
            help=f"{who}'s password. Other users of the machine can see it in the list of "
            "processes: better answer when it is asked for, or give it on standard input",
        ),
        click.option(
            "--private", is_flag=True, help="Allow http and private addresses (trial only)"
        ),
    )

    def add(function: Decorated) -> Decorated:
        return reduce(lambda made, option: option(made), reversed(options), function)

    return add


def is_terminal() -> bool:
    """Tell whether somebody is there to be asked."""
    return sys.stdin.isatty()


def _email(_context: click.Context, _option: click.Parameter, value: str) -> str:
    return good_address(value)


def good_address(value: str) -> str:
    """Return an e-mail address. Raises BadParameter."""
    if not is_address(value):
        raise click.BadParameter("an address like name@example.org is expected")
    return value


def _password(context: click.Context, _option: click.Parameter, value: str | None) -> str:
    return "" if context.resilient_parsing else good_password(value)


def good_password(value: str | None) -> str:
    """Return a password, asked for where none is given. Raises BadParameter."""
    if value is None and is_terminal():
        value = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if value is None:
        value = sys.stdin.readline().rstrip("\r\n")
    if len(value) not in PASSWORD_LENGTHS:
        least, most = PASSWORD_LENGTHS[0], PASSWORD_LENGTHS[-1]
        raise click.BadParameter(
            f"between {least} and {most} characters are expected, and {len(value)} were given"
        )
    return value


def chosen(prefix: str, url: str, database_url: str | None, proxies: int | None) -> dict[str, str]:
    """Return the settings that the options say, or whoever is asked; they win over the environment.

    A service with an https address has a proxy in front, as it speaks no TLS itself.
    """
    values = {}
    if database_url:
        values[f"{prefix}_DATABASE_URL"] = database_url
    name = f"{prefix}_TRUSTED_PROXIES"
    if proxies is None and not os.environ.get(name):
        proxies = _ask_for_proxies(name) if url.startswith("https://") else 0
    if proxies is not None:
        values[name] = str(proxies)
    for each in values:
        os.environ.pop(each, None)
    return values


def _ask_for_proxies(name: str) -> int:
    if is_terminal():
        question = "How many proxies stand in front of it (nginx or Caddy on this machine is one)"
        return int(click.prompt(question, type=click.IntRange(0, MOST_PROXIES), default=1))
    click.echo(f"One proxy in front is assumed ({name}=1); --proxies says otherwise.", err=True)
    return 1


@contextmanager
def new_tables(app: Flask) -> Iterator[None]:
    """Make the tables in an empty database. Where what follows fails, they are gone again."""
    from sqlalchemy import inspect  # noqa: PLC0415 - slow to import
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    try:
        there = inspect(engine).get_table_names()
        if there:
            raise click.ClickException(
                f"the database is not empty ({len(there)} tables, like {min(there)}): init makes "
                "a new service, and needs an empty database; nothing was changed"
            )
        try:
            command.migrate(app)
            yield
        except BaseException:
            with suppress(SQLAlchemyError):  # it may be the database that has gone
                _drop_everything(engine)
            raise
    finally:
        engine.dispose()


def _drop_everything(engine: Any) -> None:
    from sqlalchemy import MetaData  # noqa: PLC0415 - slow to import

    from shared.store.migrations import unlinked  # noqa: PLC0415

    with (
        engine.connect() as connection,
        unlinked(connection),
        connection.execution_options(writes=True).begin(),
    ):
        made = MetaData()
        made.reflect(connection)
        made.drop_all(connection)
