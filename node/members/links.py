"""One-time addresses by which people choose their password: invited, or having forgotten it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from node.context import Node
from node.identity.models import Account, Login
from node.mail.models import Mail
from node.mail.service import mailbox
from node.members.models import Link
from shared.db import begin_write
from shared.identity import hash_password, hash_token, new_token, normal_email
from shared.outbox import PENDING
from shared.problems import Problem
from shared.web.letters import letter

VALID = timedelta(days=7)
SPENT_KEPT = timedelta(days=30)
_KEY = "welcome:"
# Whoever asks again and again fills nobody's mailbox.
AGAIN_AFTER = timedelta(minutes=10)


def invite(session: Session, node: Node, account: Account) -> str | None:
    """Make an account a link in the caller's transaction, and queue the letter that carries it.

    Returns the address where no mail server is set: it is then shown, once.
    """
    url, token_hash = _make(session, node, account.id)
    if node.settings.smtp_url is None:
        return url
    _queue(session, node, account, url, token_hash, invited=True)
    return None


def invite_again(session: Session, node: Node, account_id: int) -> str | None:
    """Do the same in a transaction of its own. Raises Problem("not-found")."""
    begin_write(session)
    account = session.get(Account, account_id)
    if account is None:
        session.rollback()
        raise Problem("not-found")
    url = invite(session, node, account)
    session.commit()
    return url


def forgotten(session: Session, node: Node, email: str) -> None:
    """Send whoever has this address a link; nothing tells from outside whether anybody has.

    A letter is written in either case, so that the time that it takes does not tell, either.
    """
    now = node.clock.now()
    begin_write(session)
    account = session.scalar(
        select(Account).where(Account.email == normal_email(email), Account.disabled_at.is_(None))
    )
    lately = account is not None and session.scalar(
        select(func.count())
        .select_from(Link)
        .where(Link.account_id == account.id, Link.created_at > now - AGAIN_AFTER)
    )
    if account is None or lately or node.settings.smtp_url is None:
        _words(node, "", invited=False)
        session.rollback()
        return
    url, token_hash = _make(session, node, account.id)
    _queue(session, node, account, url, token_hash, invited=False)
    session.commit()


def _make(session: Session, node: Node, account_id: int) -> tuple[str, str]:
    """Add a link, which ends those that were not used; return its address and its hash."""
    now, token = node.clock.now(), new_token()
    session.execute(delete(Link).where(Link.account_id == account_id, Link.used_at.is_(None)))
    row = Link(
        token_hash=hash_token(token),
        account_id=account_id,
        created_at=now,
        expires_at=now + VALID,
    )
    session.add(row)
    session.flush()
    return f"{node.url}/welcome/{token}", row.token_hash


def _words(node: Node, url: str, *, invited: bool) -> tuple[str, str]:
    days = VALID.days
    return letter(
        "members/mail/welcome.txt", invited=invited, name=node.settings.name, url=url, days=days
    )


def _queue(
    session: Session, node: Node, account: Account, url: str, token_hash: str, *, invited: bool
) -> None:
    subject, text = _words(node, url, invited=invited)
    key = f"{_KEY}{token_hash[:32]}"
    mailbox.queue(session, node.settings, key, account.email, subject, text)


def invited(session: Session, now: datetime) -> set[int]:
    """Return the accounts that have a link which still opens."""
    query = select(Link.account_id).where(Link.used_at.is_(None), Link.expires_at > now)
    return set(session.scalars(query))


def owner(session: Session, now: datetime, token: str) -> Account | None:
    """Return whose link this is, or None where it is unknown, used or too old."""
    query = (
        select(Account)
        .join(Link, Link.account_id == Account.id)
        .where(
            Link.token_hash == hash_token(token),
            Link.used_at.is_(None),
            Link.expires_at > now,
            Account.disabled_at.is_(None),
        )
    )
    return session.scalar(query)


def choose_password(session: Session, now: datetime, token: str, password: str) -> str | None:
    """Use a link up; return the address of its account, None where it opens nothing any more.

    Of two uses at once, one gets it. Whoever was logged in with the old password no longer is.
    """
    password_hash = hash_password(password)
    begin_write(session)
    spent = (
        update(Link)
        .where(Link.token_hash == hash_token(token), Link.used_at.is_(None), Link.expires_at > now)
        .values(used_at=now)
        .returning(Link.account_id)
    )
    account_id = session.scalar(spent, execution_options={"synchronize_session": False})
    account = session.get(Account, account_id) if account_id is not None else None
    if account is None or account.disabled_at is not None:
        session.rollback()
        return None
    account.password_hash = password_hash
    session.execute(delete(Login).where(Login.account_id == account.id))
    email = account.email
    session.commit()
    return email


def forget(session: Session, now: datetime) -> None:
    """Drop old links, and empty the letters that carried one, once they are sent."""
    begin_write(session)
    session.execute(delete(Link).where(Link.expires_at < now - SPENT_KEPT))
    session.execute(
        update(Mail)
        .where(Mail.key.startswith(_KEY), Mail.state != PENDING, Mail.text != "")
        .values(text=""),
        execution_options={"synchronize_session": False},
    )
    session.commit()
