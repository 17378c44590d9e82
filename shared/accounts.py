"""Logging in and out, and personal tokens: the same verbs over either service's tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import session as cookie
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from shared.db import begin_write
from shared.identity import (
    LOGIN_HOURS,
    NO_PASSWORD,
    TOKEN_PREFIX,
    check_password,
    hash_password,
    hash_token,
    new_token,
    normal_email,
)
from shared.problems import Problem
from shared.web.guards import Principal

_COOKIE_KEY = "login"
_USE_NOTED_AFTER = timedelta(minutes=5)


class Accounts:
    """Bound once to a service's Account, Login and ApiToken models."""

    def __init__(self, account: Any, login: Any, token: Any) -> None:
        self.account, self.login, self.token = account, login, token
        # Asked at every call of a program, so made once, and without objects.
        self._by_hash = (
            select(
                account.id,
                account.name,
                account.email,
                account.roles,
                token.id.label("token_id"),
                token.scopes,
                token.last_used_at,
            )
            .join(token, token.account_id == account.id)
            .where(
                token.token_hash == bindparam("hash"),
                token.revoked_at.is_(None),
                account.disabled_at.is_(None),
            )
        )

    def create(
        self,
        session: Session,
        now: datetime,
        *,
        email: str,
        name: str,
        password: str | None,
        roles: Sequence[str],
    ) -> Any:
        """Add an account to the caller's transaction; an address that is taken is a Problem.

        Without a password nobody logs in until she has chosen one.
        """
        address = normal_email(email)
        if session.scalar(select(self.account.id).where(self.account.email == address)):
            raise Problem("conflict", "this e-mail address already has an account")
        row = self.account(
            email=address,
            name=name,
            password_hash=NO_PASSWORD if password is None else hash_password(password),
            roles=list(roles),
            created_at=now,
        )
        session.add(row)
        session.flush()
        return row

    def log_in(self, session: Session, now: datetime, email: str, password: str) -> Any | None:
        """Start a new log-in for this browser; None when address or password are wrong."""
        query = select(self.account).where(self.account.email == normal_email(email))
        account = session.scalar(query)
        if not check_password(account, password) or account is None or account.disabled_at:
            return None
        account_id = account.id
        secret = new_token()
        begin_write(session)
        session.add(
            self.login(
                token_hash=hash_token(secret),
                account_id=account_id,
                created_at=now,
                expires_at=now + timedelta(hours=LOGIN_HOURS),
            )
        )
        session.commit()
        language = cookie.get("lang")
        cookie.clear()
        cookie[_COOKIE_KEY] = secret
        if language:
            cookie["lang"] = language
        return session.get(self.account, account_id)

    def log_out(self, session: Session) -> None:
        secret = cookie.pop(_COOKIE_KEY, None)
        cookie.clear()
        if secret:
            begin_write(session)
            row = session.get(self.login, hash_token(secret))
            if row is not None:
                session.delete(row)
            session.commit()

    def find(self, session: Session, now: datetime, bearer: str | None) -> Principal | None:
        """Return who holds this token, or who is logged in with this browser."""
        if bearer is not None:
            return self._by_token(session, now, bearer)
        secret = cookie.get(_COOKIE_KEY)
        if not secret:
            return None
        query = (
            select(self.account)
            .join(self.login, self.login.account_id == self.account.id)
            .where(self.login.token_hash == hash_token(secret), self.login.expires_at > now)
        )
        account = session.scalar(query)
        if account is None or account.disabled_at:
            return None
        return _principal(account, frozenset(account.roles), "login")

    def _by_token(self, session: Session, now: datetime, bearer: str) -> Principal | None:
        row = session.connection().execute(self._by_hash, {"hash": hash_token(bearer)}).first()
        if row is None:
            return None
        if row.last_used_at is None or now - row.last_used_at > _USE_NOTED_AFTER:
            begin_write(session)
            session.execute(
                update(self.token).where(self.token.id == row.token_id).values(last_used_at=now)
            )
            session.commit()
        return _principal(row, frozenset(row.scopes) & frozenset(row.roles), "token")

    def add_token(
        self, session: Session, now: datetime, account_id: int, name: str, scopes: Sequence[str]
    ) -> str:
        """Return a new personal token; it is shown once, and only its hash is kept.

        Raises Problem for scopes beyond the account's roles.
        """
        secret = new_token(TOKEN_PREFIX)
        begin_write(session)
        account = session.get(self.account, account_id)
        if account is None or not scopes or not set(scopes) <= set(account.roles):
            session.rollback()
            raise Problem("forbidden", "a token cannot do more than its owner")
        session.add(
            self.token(
                token_hash=hash_token(secret),
                account_id=account_id,
                name=name,
                scopes=sorted(scopes),
                created_at=now,
            )
        )
        session.commit()
        return secret

    def tokens(self, session: Session, account_id: int) -> list[Any]:
        query = select(self.token).where(
            self.token.account_id == account_id, self.token.revoked_at.is_(None)
        )
        return list(session.scalars(query.order_by(self.token.created_at)))

    def revoke_token(self, session: Session, now: datetime, account_id: int, token_id: int) -> None:
        """Revoke one of the account's own tokens. Raises Problem("not-found")."""
        begin_write(session)
        token = session.get(self.token, token_id)
        if token is None or token.account_id != account_id:
            session.rollback()
            raise Problem("not-found")
        token.revoked_at = token.revoked_at or now
        session.commit()


def _principal(account: Any, roles: frozenset[str], by: str) -> Principal:
    return Principal("account", account.id, roles, by, name=account.name, email=account.email)
