"""``passerelle hub …``"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
from flask import Flask

from federation.settings import KEYS, MIGRATIONS, HubSettings
from shared.ops import command
from shared.ops.backup_command import Service, add_backup_commands
from shared.ops.founding import chosen, init_options, new_tables


@click.group(cls=command.ServiceGroup)
def hub() -> None:
    """The network's hub: map, charter, visits, account."""


def _app(*, new: bool = False) -> Flask:
    settings = command.settings_or_exit(HubSettings, "HUB")
    if not new:
        command.keys_or_exit(settings, KEYS)
    from federation.app import create_app, create_new  # noqa: PLC0415 - slow to import
    from shared.ops.logs import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_level, "hub")
    return create_new(settings) if new else create_app(settings)


@hub.command()
@init_options("The first coordinator")
@click.option("--name", default="Coordination", show_default=True)
@click.option("--rules", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def init(
    url: str,
    data_dir: Path,
    database_url: str | None,
    proxies: int | None,
    email: str,
    password: str,
    name: str,
    rules: Path | None,
    private: bool,
) -> None:
    """Make a hub: settings file, keys, tables, first charter, first coordinator."""
    values = {"HUB_URL": url, "HUB_SECRET_KEY": command.new_secret(), "HUB_DATA_DIR": str(data_dir)}
    if private:
        values |= {"HUB_DEMO": "yes", "HUB_ALLOW_PRIVATE_PEERS": "yes"}
    values |= chosen("HUB", url, database_url, proxies)
    with command.new_service(HubSettings, "HUB", data_dir, values) as env_file:
        app = _app(new=True)
        with new_tables(app):
            found(app, email, name, password, rules)
    click.echo(f"The hub is ready. Start it with:\n  HUB_ENV_FILE={env_file} passerelle hub serve")
    click.echo(f"  HUB_ENV_FILE={env_file} passerelle hub jobs")


def found(app: Flask, email: str, name: str, password: str, rules: Path | None) -> int:
    """Adopt the first charter and make the first coordinator; returns the account's id."""
    from charter import RulesError, model_sources  # noqa: PLC0415
    from federation.audit.service import CLI, audit  # noqa: PLC0415
    from federation.charters import service as charters  # noqa: PLC0415
    from federation.context import hub as context  # noqa: PLC0415
    from federation.db import db  # noqa: PLC0415
    from federation.identity.service import accounts  # noqa: PLC0415
    from shared.store.db import write  # noqa: PLC0415

    sources = model_sources()
    if rules is not None:
        sources["rules.toml"] = rules.read_text(encoding="utf-8")
    with app.app_context():
        try:
            charters.adopt_first(db.session(), context().clock.now(), sources)
        except RulesError as error:
            for fault in error.faults:
                click.echo(fault, err=True)
            click.echo("These rules cannot be used.", err=True)
            sys.exit(2)
        with write(db.session()):
            account = accounts.create(
                db.session(),
                context().clock.now(),
                email=email,
                name=name,
                password=password,
                roles=["coordinator"],
            )
            now, told = context().clock.now(), {"before": [], "after": account.roles}
            audit(db.session(), now, CLI, "roles", f"account:{account.id}", **told)
        account_id: int = account.id
        return account_id


@hub.command()
@command.AHEAD
def serve(ahead: bool) -> None:
    """Run the server."""
    settings = command.settings_or_exit(HubSettings, "HUB")
    command.keys_or_exit(settings, KEYS)
    command.migrated_or_exit(settings, "hub", MIGRATIONS, ahead=ahead)
    command.serve(HubSettings, "HUB", "hub", _create_app, KEYS)


@hub.command()
@command.AHEAD
def jobs(ahead: bool) -> None:
    """Run the scheduler: one process of its own."""
    settings = command.settings_or_exit(HubSettings, "HUB")
    command.keys_or_exit(settings, KEYS)
    command.wait_until_migrated(settings, "hub", MIGRATIONS, ahead=ahead)
    app = _app()
    from federation.jobs import run  # noqa: PLC0415

    run(app)


@hub.command()
def migrate() -> None:
    """Bring the database to this version's tables."""
    command.migrate(_app())


@hub.command()
@click.argument("operator")
def invite(operator: str) -> None:
    """Print a one-time invitation for an operator's node."""
    app = _app()
    from federation.context import hub as context  # noqa: PLC0415
    from federation.db import db  # noqa: PLC0415
    from federation.nodes import enrolment  # noqa: PLC0415
    from shared.ops.explaining import explain  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        try:
            token, row = enrolment.invite(db.session(), context().clock.now(), operator, None)
        except Problem as problem:
            raise click.ClickException(explain(problem, "the node")) from None
        click.echo(f"{token}\nfor {row.node_id}, until {row.expires_at:%Y-%m-%d}")


@hub.command("invite-again")
@click.argument("node_id")
def invite_again(node_id: str) -> None:
    """Print a one-time invitation by which NODE_ID registers another key: it has none any more."""
    app = _app()
    from federation.context import hub as context  # noqa: PLC0415
    from federation.db import db  # noqa: PLC0415
    from federation.nodes import enrolment  # noqa: PLC0415
    from shared.ops.explaining import explain  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        try:
            token, row = enrolment.invite_again(db.session(), context().clock.now(), node_id, None)
        except Problem as problem:
            raise click.ClickException(explain(problem, "the node")) from None
        click.echo(f"{token}\nfor {row.node_id}, until {row.expires_at:%Y-%m-%d}")


# One key in sixty-four has an id that begins with a dash.
@hub.command("withdraw-key", context_settings={"ignore_unknown_options": True})
@click.argument("node_id")
@click.argument("kid")
@click.option("--reason", required=True, help="The operator and the coordinators read it")
@click.option("--since", type=command.INSTANT, help="RFC 3339, with the offset; now if not given")
@click.option("--yes", is_flag=True, help="Do not ask")
def withdraw_key(node_id: str, kid: str, reason: str, since: datetime | None, yes: bool) -> None:
    """Withdraw the key KID of NODE_ID: passes by it are refused from the next list on."""
    app = _app()
    from marshmallow import ValidationError  # noqa: PLC0415

    from federation.audit.service import CLI  # noqa: PLC0415
    from federation.console import key_preview  # noqa: PLC0415
    from federation.context import hub as context  # noqa: PLC0415
    from federation.db import db  # noqa: PLC0415
    from federation.nodes import keys  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        now = context().clock.now()
        try:
            effect = key_preview.effect_of(db.session(), now, node_id, kid)
            click.echo(f"At most {effect.passes} valid pass(es) of {effect.members} member(s).")
            if effect.last:
                click.echo("It is the last key: the node is out until you invite it again.")
            if not yes:
                click.confirm("Withdraw it?", abort=True)
            row = keys.withdraw(db.session(), context(), node_id, kid, reason, since, CLI)
        except (Problem, ValidationError) as error:
            raise click.ClickException(str(error)) from None
        click.echo(f"The key {row.kid} is withdrawn since {row.withdrawn_at:%Y-%m-%dT%H:%M:%SZ}.")


@hub.command("rotate-key")
def rotate_key_command() -> None:
    """Make a new key, that signs once the services are started again; the old one stays good."""
    settings = command.settings_or_exit(HubSettings, "HUB")
    command.keys_or_exit(settings, KEYS)
    from shared.crypto.keys import add_key, make_current  # noqa: PLC0415

    path = settings.data_dir / KEYS
    kid = add_key(path).keys[-1][0]
    make_current(path, kid)
    _note(_app(), "rotate-key", "hub", kid=kid)
    click.echo(f"The key {kid} signs once serve and jobs are started again.")
    click.echo("Nodes fetch it by themselves; what the old one signed still holds.")
    if settings.database_url:
        click.echo(
            f"If other servers of this hub have data folders of their own: copy {path} into each, "
            "and start all of them again, together."
        )


def _note(app: Flask, action: str, subject: str, **detail: str) -> None:
    """Add what a command did to the audit log."""
    from federation.audit.service import CLI, audit  # noqa: PLC0415
    from federation.context import hub as context  # noqa: PLC0415
    from federation.db import db  # noqa: PLC0415
    from shared.store.db import write  # noqa: PLC0415

    with app.app_context(), write(db.session()):
        audit(db.session(), context().clock.now(), CLI, action, subject, **detail)


@hub.command("reset-account")
@click.argument("address")
def reset_account(address: str) -> None:
    """Give the account of ADDRESS a link to a new password, without its second step."""
    command.reset_account(_app(), address)


@hub.command("mail-test")
@click.argument("address")
def mail_test(address: str) -> None:
    """Send one message to ADDRESS, and say what the mail server answered."""
    app = _app()
    from federation.context import hub as context  # noqa: PLC0415
    from federation.db import db  # noqa: PLC0415
    from federation.mail.service import mailbox  # noqa: PLC0415

    with app.app_context():
        command.mail_test(mailbox, db.session(), context().settings, address)


@hub.command("mail-again")
def mail_again() -> None:
    """Send again every message that was given up, once what was wrong is put right."""
    app = _app()
    from federation.mail.service import mailbox  # noqa: PLC0415

    command.send_again(app, mailbox)


@hub.command()
def settings() -> None:
    """List every setting, with its default."""
    command.show_settings(HubSettings, "HUB")


def _create_app() -> Callable[[HubSettings], Flask]:
    from federation.app import create_app  # noqa: PLC0415

    return create_app


add_backup_commands(hub, Service("hub", HubSettings, KEYS, _create_app))
