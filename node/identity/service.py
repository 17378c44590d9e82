"""The node's accounts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from node.identity.models import Account, ApiToken, Login, RecoveryCode
from shared.accounts.service import Accounts
from shared.accounts.two_factor import TwoFactor
from shared.store.db import write

accounts = Accounts(Account, Login, ApiToken)
two_factor = TwoFactor(accounts, RecoveryCode)


def forget_logins(session: Session, now: datetime) -> None:
    """Drop log-ins that have expired."""
    with write(session):
        session.execute(delete(Login).where(Login.expires_at < now))
