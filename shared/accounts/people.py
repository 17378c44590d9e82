"""What the pages about accounts work with, on either service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from sqlalchemy.orm import Session

from shared.accounts.failed_passwords import Passwords
from shared.accounts.password_links import Links, Place
from shared.accounts.service import Accounts
from shared.accounts.two_factor import TwoFactor
from shared.web.guards import Principal

# Whoever has an account of hub or node.
ANYBODY = ("coordinator", "moderator", "reader", "admin", "desk", "member")


@dataclass(frozen=True)
class People:
    """``home_for`` is where each role starts; ``required`` says who must log in in two steps."""

    accounts: Accounts
    passwords: Passwords
    two_factor: TwoFactor
    links: Links
    session: Callable[[], Session]
    place: Callable[[], Place]
    home_for: Callable[[Principal], str]
    required: Callable[[Any], bool]

    @property
    def name(self) -> str:
        return self.links.name(self.place().settings)

    def home_of(self, account: Any, asked: str | None) -> str:
        """Return the page that was asked for before the log-in, or where the account starts."""
        principal = Principal("account", account.id, frozenset(account.roles), "login")
        return safe_next(asked) or self.home_for(principal)


def people() -> People:
    """Return this application's."""
    found: People = current_app.extensions["people"]
    return found


def safe_next(target: str | None) -> str | None:
    """Return a path on this very site, or nothing: a log-in must not lead elsewhere."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    if not target.isprintable():  # a header holds no line's end
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc or "\\" in target else target
