"""``passerelle hub|node backup`` and ``restore``: the same commands over either service."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from shared.base.config import Settings, given_settings
from shared.crypto.keys import make_key_ring
from shared.ops.command import in_new_folder, keys_or_exit, settings_or_exit
from shared.store.db import reason_of

PHOTOS = "photos"


@dataclass(frozen=True)
class Service:
    """``make_app`` is asked for when a command runs: importing an application is slow."""

    kind: str
    settings: type[Settings]
    keys: str
    make_app: Callable[[], Callable[[Any], Flask]]

    @property
    def prefix(self) -> str:
        return self.kind.upper()

    def given(self) -> dict[str, str]:
        return given_settings(self.settings, self.prefix, os.environ)

    def read(self) -> Settings:
        return settings_or_exit(self.settings, self.prefix)


def add_backup_commands(group: click.Group, service: Service) -> None:
    """Give a service's group of commands ``backup`` and ``restore``."""

    @group.command("backup")
    @click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
    @click.option(
        "--keep",
        type=click.IntRange(1),
        help="FILE is a folder: make a dated backup there, and keep so many",
    )
    def backup_command(path: Path, keep: int | None) -> None:
        """Save everything into FILE, a zip that holds secrets; the services may go on."""
        _backup(service, path, keep)

    @group.command("restore")
    @click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True))
    @click.option("--replace", is_flag=True, help="Also where the database is not empty")
    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        help="A new machine: make the settings there, from the backup's",
    )
    @click.option("--database-url", help="With --data-dir: the new database, SQLite if not given")
    def restore_command(
        path: Path, replace: bool, data_dir: Path | None, database_url: str | None
    ) -> None:
        """Put the backup FILE back, all of it or nothing. Stop serve and jobs first.

        A backup of an older version is brought to this version's tables.
        """
        made = restore_backup(service, path, data_dir, database_url, replace=replace)
        prefix = f"{service.prefix}_ENV_FILE={made} " if made else ""
        for verb in ("serve", "jobs"):
            click.echo(f"  {prefix}passerelle {service.kind} {verb}")


def _tell(words: str) -> None:
    click.echo(f"  {words}", err=True)


def _engine(app: Flask) -> Engine:
    with app.app_context():
        engine: Engine = app.extensions["sqlalchemy"].engine
        return engine


def _backup(service: Service, path: Path, keep: int | None) -> None:
    from shared.ops import backup  # noqa: PLC0415

    settings, now = service.read(), datetime.now(UTC)
    too_many: list[Path] = []
    if path.is_dir() or keep:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path, too_many = backup.rotated(path, service.kind, now, keep or 0)
    keys_or_exit(settings, service.keys)
    engine = _engine(service.make_app()(settings))
    source = backup.Source(
        service.kind,
        engine,
        lambda: backup.files_of(settings.data_dir, service.keys, PHOTOS),
        service.given(),
    )
    try:
        manifest = backup.write_backup(source, path, now, _tell)
    except (backup.BackupFault, OSError) as fault:
        raise click.ClickException(str(fault)) from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"the database: {reason_of(error)}") from None
    for old in too_many:
        old.unlink()
    rows = sum(table["rows"] for table in manifest["tables"].values())
    tables, files = (len(manifest[part]) for part in ("tables", "files"))
    click.echo(f"{path}: {rows} rows of {tables} tables, {files} file(s).")
    click.echo("It holds private keys and personal data: keep it encrypted, away from here.")


def restore_backup(
    service: Service,
    path: Path,
    data_dir: Path | None,
    database_url: str | None,
    *,
    replace: bool,
) -> Path | None:
    """Put a backup back; into a new folder, if one is given. Returns the settings made there.

    Raises ClickException; then nothing was changed.
    """
    from shared.ops import restore  # noqa: PLC0415
    from shared.ops.backup import BackupFault  # noqa: PLC0415

    made = data_dir.resolve() / f"{service.kind}.env" if data_dir else None
    keys: Path | None = None
    try:
        with ExitStack() as stack:
            found = stack.enter_context(
                restore.opened(path, service.kind, (service.keys, PHOTOS), _tell)
            )
            if made is not None:
                values = _new_settings(service, found.settings, made.parent, database_url)
                stack.enter_context(in_new_folder(made, service.prefix, values))
            settings = service.read()
            path_of_keys = settings.data_dir / service.keys
            if not path_of_keys.exists():  # the backup's take their place
                make_key_ring(path_of_keys)
                keys = path_of_keys
            app = service.make_app()(settings)
            with app.app_context():
                engine = _engine(app)
                restore.restore(found, engine, settings.data_dir, _tell, replace=replace)
            _say_differences(service, found.settings)
            click.echo(f"Restored what was saved at {found.manifest['made_at']}.")
    except (BackupFault, OSError, SQLAlchemyError) as fault:
        if keys is not None:
            keys.unlink(missing_ok=True)
        words = f"the database: {reason_of(fault)}" if isinstance(fault, SQLAlchemyError) else fault
        raise click.ClickException(str(words)) from None
    return made


def _new_settings(
    service: Service, saved: dict[str, str], data_dir: Path, database_url: str | None
) -> dict[str, str]:
    """Return what is written into the new folder; it wins over what the environment says."""
    names = (f"{service.prefix}_DATA_DIR", f"{service.prefix}_DATABASE_URL")
    values = {name: value for name, value in saved.items() if name not in names}
    values[names[0]] = str(data_dir)
    if database_url:
        values[names[1]] = database_url
    for name in values:
        os.environ.pop(name, None)
    return values


def _say_differences(service: Service, saved: dict[str, str]) -> None:
    """Name the settings that are not as they were; which is well for an address or a folder."""
    given = service.given()
    names = sorted(name for name in {*saved, *given} if saved.get(name) != given.get(name))
    if names:
        click.echo(f"Settings that differ from those of the backup: {', '.join(names)}.")
    if f"{service.prefix}_SECRET_KEY" in names:
        click.echo(
            "Another SECRET_KEY: everybody logs in anew, and is another person to those who have"
            " their bookings. Better use the one of the backup: it is in its manifest.json."
        )
