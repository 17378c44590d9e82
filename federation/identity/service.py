"""The hub's accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.identity.models import (
    Account,
    ApiToken,
    Link,
    Login,
    RecoveryCode,
    UsedAssertion,
    WrongPassword,
)
from federation.mail.service import mailbox
from shared.accounts.failed_passwords import Passwords
from shared.accounts.password_links import Links
from shared.accounts.service import Accounts
from shared.accounts.two_factor import TwoFactor
from shared.store.db import write


def _note(
    session: Session,
    now: datetime,
    by: int | str,
    action: str,
    *,
    subject: int | None = None,
    **detail: Any,
) -> None:
    """Add a line about an account to the audit log, within the caller's transaction."""
    actor = f"account:{by}" if isinstance(by, int) else by
    about = by if subject is None else subject
    audit(session, now, actor, action, f"account:{about}", **detail)


accounts = Accounts(Account, Login, ApiToken, _note)
two_factor = TwoFactor(accounts, RecoveryCode)
passwords = Passwords(accounts, WrongPassword, mailbox)
links = Links(
    accounts, Link, mailbox, "accounts/mail/welcome.txt", lambda settings: settings.network
)


def forget_assertions(session: Session, now: datetime) -> None:
    """Drop assertions that have expired, and could not be used again anyway."""
    with write(session):
        session.execute(delete(UsedAssertion).where(UsedAssertion.expires_at < now))
        session.execute(delete(Login).where(Login.expires_at < now))
