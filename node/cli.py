"""``passerelle node …``"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from flask import Flask

from node.settings import KEYS, MIGRATIONS, NodeSettings
from shared.ops import command
from shared.ops.backup_command import Service, add_backup_commands
from shared.ops.founding import chosen, init_options, new_tables

if TYPE_CHECKING:
    from node.leaving.service import Outlook
    from shared.net.http import PeerError
    from shared.wire.problems import Problem


@click.group(cls=command.ServiceGroup)
def node() -> None:
    """A space's node: publication, members, desk."""


def _app(*, new: bool = False) -> Flask:
    settings = command.settings_or_exit(NodeSettings, "NODE")
    if not new:
        command.keys_or_exit(settings, KEYS)
    from node.app import create_app, create_new  # noqa: PLC0415 - slow to import
    from shared.ops.logs import configure_logging  # noqa: PLC0415

    configure_logging(settings.log_level, "node")
    return create_new(settings) if new else create_app(settings)


def _refusal(error: Problem | PeerError, more: str = "") -> click.ClickException:
    """Return what a command ends with; called within the application's context."""
    from node.context import node as context  # noqa: PLC0415
    from shared.ops.explaining import explain  # noqa: PLC0415

    return click.ClickException(explain(error, urlsplit(context().hub.url).netloc) + more)


@node.command()
@init_options("The first admin")
@click.option("--hub", "hub_url", required=True, help="The hub's public address")
@click.option("--name", required=True, help="The operator's name")
@click.option("--space", "space_name", required=True, help="The first space's name")
@click.option("--town", required=True, help="The first space's town")
def init(
    url: str,
    hub_url: str,
    name: str,
    space_name: str,
    town: str,
    data_dir: Path,
    database_url: str | None,
    proxies: int | None,
    email: str,
    password: str,
    private: bool,
) -> None:
    """Make a node: settings file, keys, tables, first space, first admin."""
    values = {
        "NODE_URL": url,
        "NODE_HUB_URL": hub_url,
        "NODE_NAME": name,
        "NODE_SECRET_KEY": command.new_secret(),
        "NODE_DATA_DIR": str(data_dir),
        "NODE_THREADS": "4",
    }
    if private:
        values |= {"NODE_DEMO": "yes", "NODE_ALLOW_PRIVATE_PEERS": "yes"}
    values |= chosen("NODE", url, database_url, proxies)
    with command.new_service(NodeSettings, "NODE", data_dir, values) as env_file:
        app = _app(new=True)
        with new_tables(app):
            found(app, name, email, password, space_name, town)
    run = f"NODE_ENV_FILE={env_file} passerelle node"
    click.echo(f"The node is ready. Start it with:\n  {run} serve\n  {run} jobs")
    click.echo(f"Then join the network:\n  {run} enrol --invitation TOKEN --sign-charter")


def found(app: Flask, name: str, email: str, password: str, space_name: str, town: str) -> None:
    """Make the first admin, and the first space."""
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.identity.service import accounts  # noqa: PLC0415
    from node.spaces import service as spaces  # noqa: PLC0415
    from shared.store.db import write  # noqa: PLC0415

    with app.app_context():
        now = context().clock.now()
        with write(db.session()):
            accounts.create(
                db.session(),
                now,
                email=email,
                name=name,
                password=password,
                roles=["admin", "desk"],
            )
            spaces.add(db.session(), now, space_name, town)


@node.command()
@click.option("--invitation", required=True, help="The coordinator's one-time invitation")
@click.option("--sign-charter", is_flag=True, help="Also sign the charter in force")
def enrol(invitation: str, sign_charter: bool) -> None:
    """Join the network. The node's server must be running: the hub calls it back."""
    join_network(_app(), invitation, sign_charter=sign_charter)


def join_network(app: Flask, invitation: str, *, sign_charter: bool) -> None:
    """Enrol a node whose server is running, and publish it. Raises ClickException."""
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.hub import service  # noqa: PLC0415
    from node.spaces import service as spaces  # noqa: PLC0415
    from shared.net.http import PeerError  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        try:
            node_id = service.enrol(db.session(), context(), invitation)
            click.echo(f"Enrolled as {node_id}.")
            if sign_charter:
                version = service.sign_charter(db.session(), context())
                click.echo(f"Signed the charter, version {version}.")
            spaces.publish_now(db.session(), context())
        except (Problem, PeerError) as error:
            raise _refusal(error) from None


@node.command("sign-charter")
def sign_charter_command() -> None:
    """Sign the charter in force with this node's key."""
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.hub import service  # noqa: PLC0415
    from shared.net.http import PeerError  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        try:
            version = service.sign_charter(db.session(), context())
        except (Problem, PeerError) as error:
            raise _refusal(error) from None
    click.echo(f"Signed the charter, version {version}.")


@node.command("rotate-key")
@click.option(
    "--invitation", help="Where no key is good any more: the coordinator's invitation to come back"
)
def rotate_key_command(invitation: str | None) -> None:
    """Make a new key, known to the network, that signs once the services are started again.

    The node's server must be running: the hub asks at its address for an answer by the new key.
    """
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.hub import keys  # noqa: PLC0415
    from shared.net.http import PeerError  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        try:
            kid = keys.rotate_key(db.session(), context(), invitation)
        except (Problem, PeerError) as error:
            raise _refusal(error, " The old key goes on.") from None
    click.echo(f"The network knows the key {kid}. Start serve and jobs again, and it signs.")
    click.echo("The old key stays published: what it signed still holds.")
    click.echo("If it may have been stolen, withdraw it then: passerelle node withdraw-key.")


@node.command("keys")
def keys_command() -> None:
    """List this node's keys, and what the network knows of each."""
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.hub import keys  # noqa: PLC0415

    with app.app_context():
        for key in keys.known(db.session(), context()):
            since = f" {key.withdrawn_at:%Y-%m-%d %H:%M %Z}" if key.withdrawn_at else ""
            click.echo(f"{key.kid}  {key.state}{since}")


# One key in sixty-four has an id that begins with a dash.
@node.command("withdraw-key", context_settings={"ignore_unknown_options": True})
@click.argument("kid")
@click.option("--reason", required=True, help="The coordination reads it")
@click.option("--since", type=command.INSTANT, help="RFC 3339, with the offset; now if not given")
@click.option("--yes", is_flag=True, help="Do not ask")
def withdraw_key(kid: str, reason: str, since: datetime | None, yes: bool) -> None:
    """Withdraw the key KID: passes that it signed are refused everywhere from the next list on.

    Rotate first, and start serve and jobs again: the key that signs is not withdrawn.
    """
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.hub import keys  # noqa: PLC0415
    from node.passes.service import count_valid  # noqa: PLC0415
    from shared.net.http import PeerError  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        passes, members = count_valid(db.session(), context())
        click.echo(f"At most {passes} valid pass(es) of {members} member(s) were signed with it;")
        click.echo("whoever has one makes a new one on the pass page.")
        if not yes:
            click.confirm("Withdraw it?", abort=True)
        try:
            at = keys.withdraw_key(db.session(), context(), kid, reason, since)
        except (Problem, PeerError) as error:
            raise _refusal(error) from None
    click.echo(f"The key {kid} is withdrawn since {at}.")


@node.command()
def sync() -> None:
    """Deliver what waits and fetch what the network says, now."""
    app = _app()
    from node import jobs as tasks  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.hub import outbox  # noqa: PLC0415

    with app.app_context():
        tasks.deliver()
        tasks.learn()
        tasks.refresh()
        tasks.refresh_status_lists()
        left = outbox.waiting(db.session())
    said = f"{left['pending']} message(s) waiting, {left['stuck']} stuck, {left['dead']} refused."
    click.echo(said)
    sys.exit(1 if left["pending"] or left["stuck"] else 0)


@node.command("verify-statement")
@click.argument("month")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The JWS, if you have it; else it is fetched from the hub",
)
def verify_statement(month: str, path: Path | None) -> None:
    """Recompute a month's statement byte for byte, and compare it with this node's own log."""
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.statements import service  # noqa: PLC0415
    from shared.net.http import PeerError  # noqa: PLC0415

    with app.app_context():
        try:
            token = path.read_bytes() if path else None
            found = service.verify(db.session(), context(), month, token)
        except PeerError as error:
            raise _refusal(error) from None
    for fault in found.faults:
        click.echo(fault, err=True)
    if not found.holds:
        raise click.ClickException(f"The statement of {month} does not hold.")
    click.echo(
        f"The statement of {month} ({found.head['state']}, revision {found.head['revision']}) "
        "holds: signed by the hub, every figure follows from its lines, and the "
        f"{found.hosted} visit(s) hosted here are those of our own log."
    )


@node.command()
@command.AHEAD
def serve(ahead: bool) -> None:
    """Run the server."""
    settings = command.settings_or_exit(NodeSettings, "NODE")
    command.keys_or_exit(settings, KEYS)
    command.migrated_or_exit(settings, "node", MIGRATIONS, ahead=ahead)
    command.serve(NodeSettings, "NODE", "node", _create_app, KEYS)


@node.command()
@command.AHEAD
def jobs(ahead: bool) -> None:
    """Run the scheduler: one process of its own."""
    settings = command.settings_or_exit(NodeSettings, "NODE")
    command.keys_or_exit(settings, KEYS)
    command.wait_until_migrated(settings, "node", MIGRATIONS, ahead=ahead)
    app = _app()
    from node.jobs import run  # noqa: PLC0415

    run(app)


@node.command()
def migrate() -> None:
    """Bring the database to this version's tables."""
    command.migrate(_app())


@node.command("reset-account")
@click.argument("address")
def reset_account(address: str) -> None:
    """Give the account of ADDRESS a link to a new password, without its second step."""
    command.reset_account(_app(), address)


@node.command("mail-test")
@click.argument("address")
def mail_test(address: str) -> None:
    """Send one message to ADDRESS, and say what the mail server answered."""
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.mail.service import mailbox  # noqa: PLC0415

    with app.app_context():
        command.mail_test(mailbox, db.session(), context().settings, address)


@node.command("export")
@click.argument("path", metavar="DIR_OR_ZIP", type=click.Path(path_type=Path))
def export_command(path: Path) -> None:
    """Write everything the operator owns, in open formats, into a new folder or a .zip."""
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.exports import service  # noqa: PLC0415

    with app.app_context():
        try:
            count = service.write(db.session(), context(), path)
        except OSError as error:
            raise click.ClickException(f"{path}: {error.strerror or error}") from None
    click.echo(f"{path}: {count} files. README.md says what they are, index.json what is missing.")
    click.echo("It holds personal data: keep it safe.")


@node.command("import")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True))
@click.option("--yes/--dry-run", "wanted", help="Do it; else only say what would happen")
def import_command(path: Path, *, wanted: bool) -> None:
    """Take spaces, events, plans, members and photos from an export, all of it or nothing."""
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.exports.importing import take_in  # noqa: PLC0415
    from node.exports.reading import ImportFault, read_export  # noqa: PLC0415

    with app.app_context():
        try:
            found = read_export(path)
            report = take_in(db.session(), context(), found, dry_run=not wanted)
        except ImportFault as fault:
            for line in fault.faults:
                click.echo(line, err=True)
            raise click.ClickException("Nothing was imported.") from None
    for line in report.lines():
        click.echo(line)
    click.echo("Imported." if wanted else "Nothing was written: add --yes to do it.")


@node.command()
@click.option("--on", "last_day", type=click.DateTime(["%Y-%m-%d"]), help="The last day")
@click.option("--reason", default="", help="A word to the coordination")
@click.option("--withdraw", is_flag=True, help="Take the notice back")
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant")
def leave(last_day: datetime | None, reason: str, withdraw: bool, yes: bool) -> None:
    """Leave the network in order after a last day, or take that back."""
    if (last_day is None) != withdraw or len(reason) > 500:
        raise click.UsageError("say --on DATE (and --reason, 500 characters), or --withdraw")
    app = _app()
    from node.context import node as context  # noqa: PLC0415
    from node.db import db  # noqa: PLC0415
    from node.leaving import service  # noqa: PLC0415
    from shared.wire.problems import Problem  # noqa: PLC0415

    with app.app_context():
        try:
            if last_day is None:
                service.withdraw(db.session(), context())
                click.echo("The notice is taken back: this operator stays in the network.")
                return
            day = last_day.date()
            click.echo(_meaning(service.outlook(db.session(), context(), day)))
            if not yes:
                click.confirm("Give notice?", abort=True)
            service.announce(db.session(), context(), day, reason)
        except Problem as problem:
            raise _refusal(problem) from None
    click.echo(f"Notice is given: {day} is the last day in the network.")


def _meaning(found: Outlook) -> str:
    months = [f"{m} ({state}): {n:+d} half-days" for m, state, n in found.months or ()]
    return (
        f"Bookings here, to come: {found.hosted}, {found.hosted_after} past the last day\n"
        f"Members' bookings elsewhere: {found.trips}, {found.trips_after} past the last day"
        " (cancelled on that day)\n"
        f"Passes that end the day after: {found.passes}\n"
        f"Balances: {'; '.join(months) or 'not known'}\n"
        "Until then everything goes on, and the notice can be taken back; then it is for good."
    )


@node.command("mail-again")
def mail_again() -> None:
    """Send again every message that was given up, once what was wrong is put right."""
    app = _app()
    from node.mail.service import mailbox  # noqa: PLC0415

    command.send_again(app, mailbox)


@node.command()
def settings() -> None:
    """List every setting, with its default."""
    command.show_settings(NodeSettings, "NODE")


def _create_app() -> Callable[[NodeSettings], Flask]:
    from node.app import create_app  # noqa: PLC0415

    return create_app


SERVICE = Service("node", NodeSettings, KEYS, _create_app)
add_backup_commands(node, SERVICE)
