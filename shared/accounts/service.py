"""Logging in and out, and personal tokens: the same verbs over either service's tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from flask import session as cookie
from sqlalchemy import String, bindparam, cast, delete, select, update
from sqlalchemy.orm import Session

from shared.store.account_tables import (
    LOGIN_HOURS,
    NO_PASSWORD,
    TOKEN_PREFIX,
    check_password,
    hash_password,
    hash_token,
    new_token,
    normal_email,
)
from shared.store.db import write
from shared.web.guards import Principal
from shared.wire.problems import Problem

_COOKIE_KEY = "login"
# Who gave the right password, and has still to give a code: no log-in yet.
_STEP_KEY = "step"
_STEP_SECONDS = 600
_USE_NOTED_AFTER = timedelta(minutes=5)


class Note(Protocol):
    """Notes what ``by`` (an account's id, or a word) did to ``subject``; itself, if not said."""

    def __call__(
        self,
        session: Session,
        now: datetime,
        by: int | str,
        action: str,
        *,
        subject: int | None = None,
        **detail: Any,
    ) -> None: ...


def _unnoted(*_args: Any, **_detail: Any) -> None:
    """Note nothing: a node's accounts have no log of their own."""


class Accounts:
    """Bound once to a service's Account, Login and ApiToken models."""

    def __init__(self, account: Any, login: Any, token: Any, note: Note = _unnoted) -> None:
        self.account, self.login, self.token, self.note = account, login, token, note
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

        Without a password nobody logs in until one was chosen.
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

    def check(self, session: Session, email: str, password: str) -> Any | None:
        """Return whose address and password these are; None where they do not go together."""
        query = select(self.account).where(self.account.email == normal_email(email))
        account = session.scalar(query)
        if not check_password(account, password) or account is None or account.disabled_at:
            return None
        return account

    def log_in(self, session: Session, now: datetime, account_id: int) -> Any:
        """Start a new log-in for this browser: all that is asked for was given.

        Raises Problem where the account was disabled meanwhile.
        """
        secret = new_token()
        with write(session):
            account = session.get(self.account, account_id)
            if account is None or account.disabled_at is not None:
                raise Problem("unauthenticated")
            session.add(
                self.login(
                    token_hash=hash_token(secret),
                    account_id=account_id,
                    created_at=now,
                    expires_at=now + timedelta(hours=LOGIN_HOURS),
                )
            )
            account.logged_in_at = now
            self.note(session, now, account_id, "log-in")
        _renew_cookie(_COOKIE_KEY, secret)
        return account

    def await_code(self, account: Any, real: datetime) -> None:
        """Remember in this browser that the password was right; nobody is logged in by that."""
        step = [account.id, int(real.timestamp()), _mark(account)]
        _renew_cookie(_STEP_KEY, step)

    def awaited(self, session: Session, real: datetime) -> Any | None:
        """Return whose code is awaited in this browser: for ten minutes, and with this password."""
        step = cookie.get(_STEP_KEY)
        if not step or not 0 <= real.timestamp() - step[1] <= _STEP_SECONDS:
            return None
        account = session.get(self.account, step[0])
        if account is None or account.disabled_at or _mark(account) != step[2]:
            return None
        return account

    def logins(self, session: Session, now: datetime, account_id: int) -> list[tuple[Any, bool]]:
        """Return an account's log-ins, the latest first, and whether each is this browser's."""
        query = select(self.login).where(
            self.login.account_id == account_id, self.login.expires_at > now
        )
        rows = session.scalars(query.order_by(self.login.created_at.desc()))
        own = _own_login()
        return [(row, row.token_hash == own) for row in rows]

    def end_logins(self, session: Session, account_id: int) -> int:
        """End every log-in of an account, in the caller's transaction; return how many."""
        ended = delete(self.login).where(self.login.account_id == account_id)
        return int(session.execute(ended).rowcount)  # type: ignore[attr-defined]

    def start_anew(self, session: Session, now: datetime, account_id: int) -> None:
        """End every log-in and token of an account, in the caller's transaction."""
        self.end_logins(session, account_id)
        self.end_tokens(session, now, account_id)

    def end_tokens(self, session: Session, now: datetime, account_id: int) -> None:
        """End an account's tokens, in the caller's transaction: they were made by a password."""
        token = self.token
        live = update(token).where(token.account_id == account_id, token.revoked_at.is_(None))
        session.execute(live.values(revoked_at=now))

    def end_other_logins(self, session: Session, account_id: int) -> int:
        """End those of other browsers, in the caller's transaction; return how many."""
        ended = delete(self.login).where(
            self.login.account_id == account_id, self.login.token_hash != _own_login()
        )
        return int(session.execute(ended).rowcount)  # type: ignore[attr-defined]

    def log_out_elsewhere(self, session: Session, now: datetime, account_id: int) -> int:
        """End an account's log-ins in other browsers than this; return how many they were."""
        with write(session):
            ended = self.end_other_logins(session, account_id)
            self.note(session, now, account_id, "log-ins-ended", ended=ended)
        return ended

    def change_password(
        self, session: Session, now: datetime, account_id: int, old: str, new: str
    ) -> bool:
        """Take a new password from who knows the old one; log-ins elsewhere and tokens end."""
        account = session.get_one(self.account, account_id)
        if not check_password(account, old):
            return False
        before, new_hash = account.password_hash, hash_password(new)
        with write(session):
            account = session.get(self.account, account_id, with_for_update=True)
            if account is None or account.password_hash != before:  # changed at the same moment
                return False
            account.password_hash = new_hash
            self.end_other_logins(session, account_id)
            self.end_tokens(session, now, account_id)
            self.note(session, now, account_id, "password", way="old-password")
        return True

    def keep_one(self, session: Session, account: Any, role: str) -> bool:
        """Tell whether another account that can be used has this role; those are locked, in order.

        Within the caller's transaction: of two who give the role up at once, one is told no.
        """
        query = select(self.account).where(
            cast(self.account.roles, String).like(f'%"{role}"%'),
            self.account.disabled_at.is_(None),
        )
        locked = query.order_by(self.account.id).with_for_update()
        found = session.scalars(locked, execution_options={"populate_existing": True})
        holders = {each.id for each in found if role in each.roles and self.usable(each)}
        return bool(holders - {account.id}) or account.id not in holders

    def usable(self, account: Any) -> bool:
        """Tell whether somebody can log in with it: who was invited, once a password is chosen."""
        return account.disabled_at is None and account.password_hash != NO_PASSWORD

    def log_out(self, session: Session) -> None:
        secret = cookie.pop(_COOKIE_KEY, None)
        cookie.clear()
        if secret:
            with write(session):
                row = session.get(self.login, hash_token(secret))
                if row is not None:
                    session.delete(row)

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
            with write(session):
                session.execute(
                    update(self.token).where(self.token.id == row.token_id).values(last_used_at=now)
                )
        return _principal(row, frozenset(row.scopes) & frozenset(row.roles), "token")

    def add_token(
        self, session: Session, now: datetime, account_id: int, name: str, scopes: Sequence[str]
    ) -> str:
        """Return a new personal token; it is shown once, and only its hash is kept.

        Raises Problem for scopes beyond the account's roles.
        """
        secret = new_token(TOKEN_PREFIX)
        with write(session):
            account = session.get(self.account, account_id)
            if account is None or not scopes or not set(scopes) <= set(account.roles):
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
            self.note(session, now, account_id, "token", name=name, roles=sorted(scopes))
        return secret

    def tokens(self, session: Session, account_id: int) -> list[Any]:
        query = select(self.token).where(
            self.token.account_id == account_id, self.token.revoked_at.is_(None)
        )
        return list(session.scalars(query.order_by(self.token.created_at)))

    def revoke_token(self, session: Session, now: datetime, account_id: int, token_id: int) -> None:
        """Revoke one of the account's own tokens. Raises Problem("not-found")."""
        with write(session):
            token = session.get(self.token, token_id)
            if token is None or token.account_id != account_id:
                raise Problem("not-found")
            if token.revoked_at is None:
                token.revoked_at = now
                self.note(session, now, account_id, "token-revoked", name=token.name)


def _renew_cookie(name: str, value: Any) -> None:
    """Begin the browser's session anew with this alone, and the language."""
    language = cookie.get("lang")
    cookie.clear()
    cookie[name] = value
    if language:
        cookie["lang"] = language


def _mark(account: Any) -> str:
    """Return what changes when the password does, and tells nothing of it."""
    return hash_token(f"step:{account.password_hash}")[:16]


def _own_login() -> str:
    """Return the hash of this browser's log-in; of none, where a program asks."""
    return hash_token(cookie.get(_COOKIE_KEY, ""))


def _principal(account: Any, roles: frozenset[str], by: str) -> Principal:
    return Principal("account", account.id, roles, by, name=account.name, email=account.email)
