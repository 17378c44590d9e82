"""One-time addresses by which people choose their password: invited, or having forgotten it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from shared.accounts.service import Accounts
from shared.accounts.two_factor import TwoFactor
from shared.base.clock import Clock
from shared.base.config import Settings
from shared.mail.letters import letter
from shared.mail.queue import SENT, Mailbox
from shared.store.account_tables import hash_password, hash_token, new_token, normal_email
from shared.store.db import write
from shared.wire.problems import Problem

VALID = timedelta(days=7)
SPENT_KEPT = timedelta(days=30)
_KEY = "welcome:"
# Whoever asks again and again fills nobody's mailbox.
AGAIN_AFTER = timedelta(minutes=10)


class Place(Protocol):
    """What a request of either service works with."""

    @property
    def settings(self) -> Any: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def url(self) -> str: ...


class Links:
    """Bound once to a service's accounts, its Link model and mailbox, and a letter's template.

    ``name`` is what the service is called in that letter.
    """

    def __init__(
        self,
        accounts: Accounts,
        link: Any,
        mailbox: Mailbox,
        template: str,
        name: Callable[[Any], str],
    ) -> None:
        self.accounts, self.account, self.login = accounts, accounts.account, accounts.login
        self.link, self.mailbox, self.template, self.name = link, mailbox, template, name

    def invite(self, session: Session, place: Place, account: Any) -> str | None:
        """Make an account a link in the caller's transaction, and queue the letter with it.

        Returns the address where no mail server is set: it is then shown, once.
        """
        url, token_hash = self._make(session, place, account.id)
        if place.settings.smtp_url is None:
            return url
        self._queue(session, place, account, url, token_hash, invited=True)
        return None

    def invite_again(self, session: Session, place: Place, account_id: int) -> str | None:
        """Do the same in a transaction of its own. Raises Problem("not-found")."""
        with write(session):
            account = session.get(self.account, account_id)
            if account is None:
                raise Problem("not-found")
            return self.invite(session, place, account)

    def start_over(
        self, session: Session, place: Place, two_factor: TwoFactor, email: str
    ) -> str | None:
        """Let somebody in again who lost phone and password, as who runs the service decides.

        The second step is taken off, log-ins and tokens end, and a link is made. Raises Problem.
        """
        now = place.clock.now()
        with write(session):
            query = select(self.account).where(self.account.email == normal_email(email))
            account = session.scalar(query.with_for_update())
            if account is None or account.disabled_at is not None:
                raise Problem("not-found")
            two_factor.take_off(session, now, account, "cli")
            self.accounts.start_anew(session, now, account.id)
            url = self.invite(session, place, account)
            self.accounts.note(session, now, "cli", "link-sent", subject=account.id)
        return url

    def forgotten(self, session: Session, place: Place, email: str) -> None:
        """Send whoever has this address a link; nothing tells from outside whether anybody has.

        A letter is written in either case, so that the time that it takes does not tell, either.
        """
        now, account, link = place.clock.now(), self.account, self.link
        with write(session):
            row = session.scalar(
                select(account).where(
                    account.email == normal_email(email), account.disabled_at.is_(None)
                )
            )
            lately = row is not None and session.scalar(
                select(func.count())
                .select_from(link)
                .where(link.account_id == row.id, link.created_at > now - AGAIN_AFTER)
            )
            if row is None or lately or place.settings.smtp_url is None:
                self._words(place, "", invited=False)
                return
            url, token_hash = self._make(session, place, row.id)
            self._queue(session, place, row, url, token_hash, invited=False)

    def _make(self, session: Session, place: Place, account_id: int) -> tuple[str, str]:
        """Add a link, which ends those that were not used; return its address and its hash."""
        now, token, link = place.clock.now(), new_token(), self.link
        unused = delete(link).where(link.account_id == account_id, link.used_at.is_(None))
        session.execute(unused)
        row = link(
            token_hash=hash_token(token),
            account_id=account_id,
            created_at=now,
            expires_at=now + VALID,
        )
        session.add(row)
        session.flush()
        return f"{place.url}/welcome/{token}", row.token_hash

    def _words(self, place: Place, url: str, *, invited: bool) -> tuple[str, str]:
        name = self.name(place.settings)
        return letter(self.template, invited=invited, name=name, url=url, days=VALID.days)

    def _queue(
        self,
        session: Session,
        place: Place,
        account: Any,
        url: str,
        token_hash: str,
        *,
        invited: bool,
    ) -> None:
        subject, text = self._words(place, url, invited=invited)
        settings: Settings = place.settings
        key = f"{_KEY}{token_hash[:32]}"
        self.mailbox.queue(session, settings, key, account.email, subject, text)

    def invited(self, session: Session, now: datetime) -> set[int]:
        """Return the accounts that have a link which still opens."""
        link = self.link
        query = select(link.account_id).where(link.used_at.is_(None), link.expires_at > now)
        return set(session.scalars(query))

    def owner(self, session: Session, now: datetime, token: str) -> Any | None:
        """Return whose link this is, or None where it is unknown, used or too old."""
        account, link = self.account, self.link
        query = (
            select(account)
            .join(link, link.account_id == account.id)
            .where(
                link.token_hash == hash_token(token),
                link.used_at.is_(None),
                link.expires_at > now,
                account.disabled_at.is_(None),
            )
        )
        return session.scalar(query)

    def choose_password(
        self, session: Session, now: datetime, token: str, password: str
    ) -> str | None:
        """Use a link up; return the address of its account, None where it opens nothing any more.

        Of two uses at once, one gets it. Log-ins and tokens from before end.
        """
        password_hash, account, link = hash_password(password), self.account, self.link
        with write(session):
            spent = (
                update(link)
                .where(
                    link.token_hash == hash_token(token),
                    link.used_at.is_(None),
                    link.expires_at > now,
                    link.account_id.in_(select(account.id).where(account.disabled_at.is_(None))),
                )
                .values(used_at=now)
                .returning(link.account_id)
            )
            account_id = session.scalar(spent, execution_options={"synchronize_session": False})
            if account_id is None:
                return None
            owner = session.get_one(account, account_id)
            owner.password_hash = password_hash
            self.accounts.start_anew(session, now, account_id)
            self.accounts.note(session, now, account_id, "password", way="link")
            email: str = owner.email
        return email

    def forget(self, session: Session, now: datetime) -> None:
        """Drop old links, and empty the letters that carried one, once they are sent.

        One that was given up stays readable for as long as others: it can be sent again.
        """
        link, mail = self.link, self.mailbox.mail
        with write(session):
            session.execute(delete(link).where(link.expires_at < now - SPENT_KEPT))
            session.execute(
                update(mail)
                .where(mail.key.startswith(_KEY), mail.state == SENT, mail.text != "")
                .values(text=""),
                execution_options={"synchronize_session": False},
            )
