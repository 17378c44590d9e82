"""Wrong passwords are counted by the address that was typed, in the database of all workers.

After so many in a row none is taken for a while, and for longer after each further one: a delay,
not a lock, and a link to a new password ends it. An address that nobody has is treated alike, so
that nothing tells which ones have an account; what was typed is kept as a keyed hash, for a day.
"""

from __future__ import annotations

import hmac
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.accounts.password_links import Place
from shared.accounts.service import Accounts
from shared.base.config import Settings
from shared.mail.letters import letter
from shared.mail.queue import Mailbox
from shared.store.account_tables import normal_email
from shared.store.db import write

WRONG_IN_A_ROW = 10
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
KEPT_FOR = timedelta(days=1)
NO_WAIT = timedelta()


class Passwords:
    """Bound once to a service's accounts, its WrongPassword model and its mailbox."""

    def __init__(self, accounts: Accounts, wrong: Any, mailbox: Mailbox) -> None:
        self.accounts, self.wrong, self.mailbox = accounts, wrong, mailbox

    def check(
        self, session: Session, place: Place, email: str, password: str
    ) -> tuple[Any | None, timedelta]:
        """Return whose address and password these are; nobody, and how long none is looked at."""
        now, key = place.clock.real(), _hash(place.settings, email)
        row = session.get(self.wrong, key)
        if row is not None and row.after is not None and now < row.after:
            return None, row.after - now
        account = self.accounts.check(session, email, password)
        if account is None:
            self._count(session, place, now, key, email)
        elif row is not None:
            self.clear(session, place, email)
        return account, NO_WAIT

    def clear(self, session: Session, place: Place, email: str) -> None:
        """Begin to count anew: whoever is there has shown that the account is theirs."""
        with write(session):
            key = _hash(place.settings, email)
            session.execute(delete(self.wrong).where(self.wrong.email_hash == key))

    def _count(self, session: Session, place: Place, now: datetime, key: str, email: str) -> None:
        # Another worker may count the first one at the same moment: then that one counts.
        with suppress(IntegrityError), write(session):
            row = session.get(self.wrong, key, with_for_update=True)
            if row is None:
                row = self.wrong(email_hash=key, wrong=0, at=now)
                session.add(row)
            in_a_row = row.wrong + 1 if now - row.at < KEPT_FOR else 1
            row.wrong, row.at = in_a_row, now
            if in_a_row >= WRONG_IN_A_ROW:
                doubled = min(in_a_row - WRONG_IN_A_ROW, 10)
                row.after = now + min(FIRST_WAIT * 2**doubled, LONGEST_WAIT)
                self._tell(session, place, now, email)

    def _tell(self, session: Session, place: Place, now: datetime, email: str) -> None:
        """Write to the owner, once a day. It takes as long where there is none."""
        settings: Settings = place.settings
        words = letter("mail/wrong_passwords.txt", url=place.url, number=WRONG_IN_A_ROW)
        account = self.accounts.account
        query = select(account.id, account.email).where(
            account.email == normal_email(email), account.disabled_at.is_(None)
        )
        for row in session.execute(query):
            key = f"passwords:{row.id}:{now:%Y-%m-%d}"
            self.mailbox.queue(session, settings, key, row.email, *words)

    def forget(self, session: Session, now: datetime) -> None:
        """Drop what was counted a day ago."""
        with write(session):
            session.execute(delete(self.wrong).where(self.wrong.at < now - KEPT_FOR))


def _hash(settings: Settings, email: str) -> str:
    """Return what stands for an address: nobody without the service's key finds it again."""
    typed = f"wrong-password:{normal_email(email)}".encode(errors="surrogatepass")
    return hmac.digest(settings.secret_key.encode(), typed, "sha256").hex()
