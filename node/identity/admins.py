"""Who the admins are, and telling them by e-mail."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.identity.models import Account
from node.mail.service import mailbox
from shared.store.db import write


def admins(session: Session) -> list[tuple[int, str]]:
    """Return id and address of every admin who has an account now."""
    query = select(Account.id, Account.email, Account.roles).where(Account.disabled_at.is_(None))
    rows = session.execute(query.order_by(Account.id))
    return [(row.id, row.email) for row in rows if "admin" in row.roles]


def tell_admins(
    session: Session, node: Node, key: str, letter: Callable[[], tuple[str, str]]
) -> int:
    """Queue one message to each admin who has not had it; return to how many.

    ``letter`` gives subject and text, and is asked only where somebody is to be told.
    """
    told = {
        account_id: address
        for account_id, address in admins(session)
        if not mailbox.known(session, f"{key}:{account_id}")
    }
    if not told or node.settings.smtp_url is None:
        return 0
    subject, text = letter()
    with write(session):
        for account_id, address in told.items():
            mailbox.queue(session, node.settings, f"{key}:{account_id}", address, subject, text)
    return len(told)
