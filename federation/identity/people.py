"""Who may use the desk: invited, given roles, shut out, let in again. One coordinator is left.

Each verb may be repeated: done twice, it changes nothing the second time. What changes is noted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.identity.models import Account, Link
from federation.identity.service import accounts, links, two_factor
from shared.store.db import write
from shared.wire.problems import Problem

ROLES = ("coordinator", "moderator", "reader")
LAST_COORDINATOR = "This is the only coordinator: give somebody else the role first."
OWN_SECOND_STEP = "Your own second step is turned off on your account page, with a code."


def listed(session: Session) -> list[Account]:
    """Return every account: those that are open first, by name."""
    query = select(Account).order_by(Account.disabled_at.is_not(None), Account.name, Account.id)
    return list(session.scalars(query))


def one(session: Session, account_id: int) -> Account:
    """Return an account. Raises Problem("not-found")."""
    row = session.get(Account, account_id) if account_id < 1 << 31 else None
    if row is None:
        raise Problem("not-found")
    return row


@contextmanager
def _locked(session: Session, account_id: int) -> Iterator[Account]:
    """Begin to write, with an account's row locked. Raises Problem("not-found")."""
    with write(session):
        known = account_id < 1 << 31
        row = session.get(Account, account_id, with_for_update=True) if known else None
        if row is None:
            raise Problem("not-found")
        yield row


def invite(
    session: Session, hub: Hub, by: int, *, email: str, name: str, roles: Collection[str]
) -> tuple[Account, str | None]:
    """Make an account and its link; the address of the link where no mail server is set.

    Raises Problem where the e-mail address has an account.
    """
    now = hub.clock.now()
    chosen = [role for role in ROLES if role in roles]
    try:
        with write(session):
            row = accounts.create(session, now, email=email, name=name, password=None, roles=chosen)
            url = links.invite(session, hub, row)
            told = {"before": {"roles": []}, "after": {"roles": chosen}}
            _note(session, now, by, "account-invited", row.id, **told)
    except IntegrityError:  # somebody else was faster with this address
        raise Problem("conflict", "this e-mail address already has an account") from None
    return row, url


def send_link(session: Session, hub: Hub, by: int, account_id: int) -> str | None:
    """Give an account another link to choose a password by; earlier ones open nothing any more."""
    with _locked(session, account_id) as row:
        if row.disabled_at is not None:
            raise Problem("conflict", "this account is closed")
        url = links.invite(session, hub, row)
        _note(session, hub.clock.now(), by, "link-sent", account_id)
    return url


def set_roles(
    session: Session, now: datetime, by: int, account_id: int, roles: Collection[str]
) -> None:
    """Give an account these roles and no others. Raises Problem for the last coordinator."""
    chosen = [role for role in ROLES if role in roles]
    with _changing(session, account_id, keeps="coordinator" in chosen) as row:
        if row.roles != chosen:
            told = {"before": {"roles": list(row.roles)}, "after": {"roles": chosen}}
            _note(session, now, by, "roles", account_id, **told)
            row.roles = chosen


def disable(session: Session, now: datetime, by: int, account_id: int) -> None:
    """Close an account: its log-ins, links and tokens open nothing. Raises Problem."""
    with _changing(session, account_id, keeps=False) as row:
        if row.disabled_at is None:
            row.disabled_at = now
            ended = accounts.end_logins(session, account_id)
            unused = delete(Link).where(Link.account_id == account_id, Link.used_at.is_(None))
            session.execute(unused)
            told = {"before": "open", "after": "closed", "ended": ended}
            _note(session, now, by, "disable", account_id, **told)


@contextmanager
def _changing(session: Session, account_id: int, *, keeps: bool) -> Iterator[Account]:
    """Begin to change an account in a way that leaves another coordinator, or this one.

    The coordinators are locked before the account, in one order, whoever changes whom.
    """
    with write(session):
        row = session.get(Account, account_id) if account_id < 1 << 31 else None
        if row is None:
            raise Problem("not-found")
        if not keeps and not accounts.keep_one(session, row, "coordinator"):
            raise Problem("conflict", LAST_COORDINATOR)
        session.refresh(row, with_for_update=True)
        yield row


def enable(session: Session, now: datetime, by: int, account_id: int) -> None:
    """Open an account again, with the roles and the password that it had."""
    with _locked(session, account_id) as row:
        if row.disabled_at is not None:
            row.disabled_at = None
            _note(session, now, by, "enable", account_id, before="closed", after="open")


def end_logins(session: Session, now: datetime, by: int, account_id: int) -> int:
    """End every log-in of an account; return how many they were."""
    with _locked(session, account_id):
        ended = accounts.end_logins(session, account_id)
        if ended:
            _note(session, now, by, "log-ins-ended", account_id, ended=ended)
    return ended


def reset_two_factor(session: Session, now: datetime, by: int, account_id: int) -> None:
    """Take the second step off somebody else's account, and end its log-ins. Raises Problem."""
    if by == account_id:
        raise Problem("conflict", OWN_SECOND_STEP)
    two_factor.turn_off(session, now, one(session, account_id).id, by)


def _note(
    session: Session, now: datetime, by: int, action: str, account_id: int, **detail: object
) -> None:
    audit(session, now, f"account:{by}", action, f"account:{account_id}", **detail)
