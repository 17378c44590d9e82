"""What the set-up asks for, each with what is wrong about an answer in one clear sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from shared.base.config import database_url
from shared.base.mail_server import is_address, mail_address, mail_server
from shared.base.urls import http_url
from shared.ops.founding import PASSWORD_LENGTHS

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})+")
_FOLDER = re.compile(r"(/(?!\.+(/|$))[A-Za-z0-9._][A-Za-z0-9._-]*)+")
_LONGEST_HOST = 253


class Answer(click.ParamType):  # type: ignore[type-arg]
    """What ``check`` takes. It raises ValueError with a sentence for a person."""

    def __init__(self, name: str, check: Callable[[str], str]) -> None:
        self.name = name
        self._check = check

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        try:
            return self._check(str(value).strip())
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _name(value: str) -> str:
    if not value or len(value) > 100 or not value.isprintable():
        raise ValueError("A name of 1 to 100 characters is expected.")
    return value


def _host(value: str) -> str:
    found = value.lower()
    if "://" in found or "/" in found or ":" in found:
        raise ValueError("The name alone is expected, like node.example.org: no https://, no port.")
    if not _HOST.fullmatch(found) or len(found) > _LONGEST_HOST or found.split(".")[-1].isdigit():
        raise ValueError("A name that is in the DNS is expected, like node.example.org.")
    return found


def _hub(value: str) -> str:
    wrong = "The hub's address is expected, like https://hub.example.org: ask the coordination."
    try:
        found = http_url(value if "://" in value else f"https://{value}", plain=False)
    except ValueError:
        raise ValueError(wrong) from None
    if not _HOST.fullmatch(urlsplit(found).hostname or ""):
        raise ValueError(wrong)
    return found


def _email(value: str) -> str:
    if not is_address(value):
        raise ValueError("An e-mail address like admin@example.org is expected.")
    return value


def _mail(value: str) -> str:
    if value:
        try:
            mail_server(value)
        except ValueError as error:
            raise ValueError(f"The mail server: {error}. Leave it empty for no e-mail.") from None
    return value


def _sender(value: str) -> str:
    return mail_address(value)


def _database(value: str) -> str:
    if value:
        try:
            database_url(value)
        except ValueError as error:
            raise ValueError(f"The database: {error}. Leave it empty for SQLite.") from None
    return value


def _invitation(value: str) -> str:
    if value and not re.fullmatch(r"inv_[A-Za-z0-9_-]{8,200}", value):
        raise ValueError("An invitation begins with inv_. Leave it empty if you have none yet.")
    return value


def _password(value: str) -> str:
    if len(value) not in PASSWORD_LENGTHS:
        least, most = PASSWORD_LENGTHS[0], PASSWORD_LENGTHS[-1]
        raise ValueError(f"Between {least} and {most} characters are expected.")
    return value


def _user(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise ValueError("The name of a user of this machine is expected, like passerelle.")
    return value


def folder_fault(path: Path) -> str | None:
    """Tell why the units cannot name this folder; None where they can."""
    if _FOLDER.fullmatch(str(path)):
        return None
    return f"{path}: letters, digits, dots, dashes and underscores are expected, from / on."


NAME = Answer("name", _name)
HOST = Answer("host", _host)
HUB = Answer("address", _hub)
EMAIL = Answer("e-mail", _email)
MAIL = Answer("mail server", _mail)
SENDER = Answer("sender", _sender)
DATABASE = Answer("database", _database)
INVITATION = Answer("invitation", _invitation)
PASSWORD = Answer("password", _password)
USER = Answer("user", _user)
