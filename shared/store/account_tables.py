"""Accounts, log-ins and personal tokens: the parts that are the same at hub and node."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import ForeignKey, String, text
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

LOGIN_HOURS = 12
TOKEN_PREFIX = "psl_"  # noqa: S105 - lets secret scanners know ours

# What stands in place of a hash for whoever has chosen no password yet.
NO_PASSWORD = "!"  # noqa: S105 - it opens nothing

_hasher = PasswordHasher()
_NOBODY = _hasher.hash(secrets.token_urlsafe(16))


class AccountColumns:
    """A person who logs in. E-mail addresses are kept in lower case."""

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200))
    roles: Mapped[list[str]]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    logged_in_at: Mapped[datetime | None]
    # The second step: its key, sealed; when it was turned on; the last half-minute whose code
    # was used; codes that were wrong in a row, and until when none is taken.
    totp_secret: Mapped[str | None] = mapped_column(String(200))
    totp_on_at: Mapped[datetime | None]
    totp_step: Mapped[int | None]
    wrong_codes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    codes_after: Mapped[datetime | None]


class LoginColumns:
    """A browser's log-in, kept on the server so that logging out ends it."""

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)

    @declared_attr
    def account_id(cls) -> Mapped[int]:  # noqa: N805
        return mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)


class ApiTokenColumns:
    """A personal token for programs: scopes are some of its owner's roles."""

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    @declared_attr
    def account_id(cls) -> Mapped[int]:  # noqa: N805
        return mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)


class WrongPasswordColumns:
    """Wrong passwords in a row for one address, and until when none is looked at."""

    email_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    wrong: Mapped[int]
    at: Mapped[datetime] = mapped_column(index=True)
    after: Mapped[datetime | None]


class LinkColumns:
    """A one-time address by which somebody chooses a password; only its hash is kept."""

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]

    @declared_attr
    def account_id(cls) -> Mapped[int]:  # noqa: N805
        return mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)


class RecoveryCodeColumns:
    """Lets its owner in once without the phone; the row is gone when it was used."""

    code_hash: Mapped[str] = mapped_column(String(64), primary_key=True)

    @declared_attr
    def account_id(cls) -> Mapped[int]:  # noqa: N805
        return mapped_column(ForeignKey("account.id", ondelete="CASCADE"), index=True)


class HasPassword(Protocol):
    @property
    def password_hash(self) -> str: ...


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def check_password(account: HasPassword | None, password: str) -> bool:
    """Tell whether it is the account's password; takes as long when there is none, of either."""
    chosen = account is not None and account.password_hash != NO_PASSWORD
    try:
        matches = _hasher.verify(account.password_hash if account and chosen else _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return False
    return matches and chosen


def new_token(prefix: str = "") -> str:
    """Return 256 random bits; only their hash is ever stored."""
    return prefix + secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


def normal_email(email: str) -> str:
    return email.strip().lower()
