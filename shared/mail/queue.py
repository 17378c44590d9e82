"""E-mail that is owed: written with what caused it, sent until the mail server takes it.

A message goes ``pending`` → ``sent``, or ``dead`` when the server refuses it for good, or puts it
off for too long; a server that is away, or refuses who sends, ends none. A dead one is shown, and
can be sent again. It is claimed before it is sent and marked after, so two processes never send
the same one; a process that dies between the two leaves it to be sent once more, with the same
Message-ID. Neither addresses nor texts are logged, and a month later only the key is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import CheckConstraint, Index, String, Text, case, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, declared_attr, mapped_column

from shared.base.config import Settings
from shared.base.mail_server import is_address
from shared.mail.smtp import MailFault, compose, send
from shared.store.db import release, write
from shared.store.outbox import DEAD, PENDING, RETRY_SECONDS, next_attempt

log = structlog.get_logger()

SENT = "sent"
# One a minute after the first ones: some four days, as mail servers do (RFC 5321, 4.5.4.1).
ATTEMPTS = 4 * 24 * 60
# Longer than any server can take over one message: each of its answers is awaited 15 seconds.
CLAIMED_FOR = timedelta(minutes=10)
KEPT_FOR = timedelta(days=30)
NO_ADDRESS = "address"
SHOWN = 100


class MailColumns:
    """``key`` says what it is and to whom: the same key is one message, for ever."""

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    to: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(300))
    text: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10), default=PENDING)
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime]
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(40))

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805 - an index belongs to one table
        return (
            CheckConstraint("state IN ('pending', 'sent', 'dead')", name="state"),
            Index("ix_mail_due", "state", "next_attempt_at"),
        )


class Mailbox:
    """Bound once to a service's Mail model. Times are real time, as for every outbox."""

    def __init__(self, mail: Any) -> None:
        self.mail = mail

    def queue(
        self, session: Session, settings: Settings, key: str, to: str, subject: str, text: str
    ) -> bool:
        """Add a message to the caller's transaction, which writes; False when it is there already.

        False as well where no mail server is set. One to what is no address is dead at once.
        """
        if settings.smtp_url is None or self.known(session, key):
            return False
        now = settings.clock.real()
        usable = is_address(to)
        row = self.mail(
            key=key,
            to=to,
            subject=subject.replace("\x00", "")[:300],
            text=text.replace("\x00", ""),
            state=PENDING if usable else DEAD,
            attempts=0,
            next_attempt_at=now,
            created_at=now,
            error=None if usable else NO_ADDRESS,
        )
        try:
            with session.begin_nested():
                session.add(row)
        except IntegrityError:  # another process was faster
            return False
        return True

    def known(self, session: Session, key: str) -> bool:
        """Tell whether a message with this key was ever queued."""
        return session.scalar(select(self.mail.id).where(self.mail.key == key)) is not None

    def keys(self, session: Session, prefix: str) -> set[str]:
        """Return the keys that begin so."""
        query = select(self.mail.key).where(self.mail.key.startswith(prefix, autoescape=True))
        return set(session.scalars(query))

    def deliver(self, session: Session, settings: Settings, now: datetime, limit: int = 100) -> int:
        """Send what is due, oldest first; return how many were taken.

        When the server itself is at fault, all that is due waits for the next attempt.
        """
        taken = 0
        for _ in range(limit if settings.smtp_url is not None else 0):
            found = self._claim(session, now)
            if found is None:
                break
            try:
                self._send(session, settings, found, now)
                taken += 1
            except MailFault as fault:
                if fault.of_server:
                    break
        return taken

    def deliver_one(self, session: Session, settings: Settings, now: datetime, key: str) -> str:
        """Send one message now; return what the server answered. Raises MailFault."""
        found = self._claim(session, now, key)
        if found is None:
            raise MailFault("not-due", "another process is sending it")
        return self._send(session, settings, found, now)

    def _claim(self, session: Session, now: datetime, key: str | None = None) -> Any:
        """Take a due message for this process alone, and for a while: committed before it is sent.

        The update asks again what the selection saw, so of two processes one gets the row.
        """
        mail = self.mail
        due = (mail.state == PENDING) & (mail.next_attempt_at <= now)
        first = select(mail.id).where(due).order_by(mail.next_attempt_at, mail.id).limit(1)
        if key is not None:
            first = first.where(mail.key == key)
        values = {"next_attempt_at": now + CLAIMED_FOR, "attempts": mail.attempts + 1}
        while True:
            row_id = session.scalar(first)
            release(session)
            if row_id is None:
                return None
            with write(session):
                claim = update(mail).where(mail.id == row_id, due).values(values).returning(mail.id)
                won = session.scalar(claim, execution_options={"synchronize_session": False})
            if won is not None:
                found = session.get(mail, row_id)
                session.expunge(found)
                release(session)
                return found

    def _send(self, session: Session, settings: Settings, row: Any, now: datetime) -> str:
        """Send a claimed message, and mark what became of it. Raises MailFault."""
        try:
            message = compose(
                settings.url,
                row.key,
                settings.mail_from,
                row.to,
                row.subject,
                row.text,
                row.created_at,
            )
            words = send(settings.smtp_url, message, settings.ca_file)  # type: ignore[arg-type]
        except MailFault as fault:
            self._failed(session, row, now, fault)
            raise
        self._mark(session, [row.id], {"state": SENT, "sent_at": now, "error": None})
        return words

    def _failed(self, session: Session, row: Any, now: datetime, fault: MailFault) -> None:
        """Put a message off or give it up; all that is due, where it is the server's fault."""
        mail = self.mail
        later = {"next_attempt_at": next_attempt(now, row.attempts), "error": fault.reason[:40]}
        ended = fault.lasting or (row.attempts >= ATTEMPTS and not fault.of_server)
        if fault.of_server:  # nothing of this is held against the message
            later["attempts"] = min(row.attempts, len(RETRY_SECONDS))
        if ended:
            log.error("mail.dead", id=row.id, reason=fault.reason, attempts=row.attempts)
        else:
            log.warning("mail.put-off", id=row.id, reason=fault.reason, attempts=row.attempts)
        self._mark(session, [row.id], {**later, "state": DEAD if ended else PENDING})
        if fault.of_server:
            due = select(mail.id).where(mail.state == PENDING, mail.next_attempt_at <= now)
            others = list(session.scalars(due))
            self._mark(session, others, {k: v for k, v in later.items() if k != "attempts"})

    def _mark(self, session: Session, ids: Collection[int], values: dict[str, Any]) -> None:
        with write(session):
            session.execute(
                update(self.mail)
                .where(self.mail.id.in_(ids), self.mail.state == PENDING)
                .values(values),
                execution_options={"synchronize_session": False},
            )

    def counts(self, session: Session) -> dict[str, int]:
        """Return how many messages were sent, wait, and are dead."""
        query = select(self.mail.state, func.count()).group_by(self.mail.state)
        found = {row[0]: row[1] for row in session.execute(query)}
        return {state: found.get(state, 0) for state in (SENT, PENDING, DEAD)}

    def in_trouble(self, session: Session) -> int:
        """Return how many messages somebody should look at: given up, or not taken so far."""
        mail = self.mail
        given_up = (mail.state == DEAD) & (mail.to != "")
        refused = (mail.state == PENDING) & mail.error.is_not(None)
        return session.scalar(select(func.count()).where(given_up | refused)) or 0

    def held_up(self, session: Session) -> Any | None:
        """Return the oldest message that the server did not take yet, and that waits."""
        mail = self.mail
        query = select(mail).where(mail.state == PENDING, mail.error.is_not(None))
        return session.scalar(query.order_by(mail.id).limit(1))

    def dead(self, session: Session) -> list[Any]:
        """Return what was given up and can still be read, the latest first."""
        mail = self.mail
        query = select(mail).where(mail.state == DEAD, mail.to != "").order_by(mail.id.desc())
        return list(session.scalars(query.limit(SHOWN)))

    def send_again(self, session: Session, now: datetime, row_id: int | None = None) -> int:
        """Queue one dead message anew, or all that have an address; return how many."""
        mail = self.mail
        with write(session):
            again = update(mail).where(mail.state == DEAD, mail.to != "", mail.error != NO_ADDRESS)
            if row_id is not None:
                again = again.where(mail.id == row_id)
            values = {"state": PENDING, "attempts": 0, "next_attempt_at": now, "error": None}
            options = {"synchronize_session": False}
            return int(session.execute(again.values(values), execution_options=options).rowcount)  # type: ignore[attr-defined]

    def forget(self, session: Session, now: datetime) -> None:
        """Empty what is a month old, and give it up: the key stays, so nothing is repeated."""
        mail = self.mail
        with write(session):
            session.execute(
                update(mail)
                .where(mail.created_at < now - KEPT_FOR, mail.to != "")
                .values(
                    to="",
                    subject="",
                    text="",
                    state=case((mail.state == PENDING, DEAD), else_=mail.state),
                ),
                execution_options={"synchronize_session": False},
            )

    def test(self, session: Session, settings: Settings, to: str) -> str:
        """Queue and send one message; return what the server answered. Raises MailFault."""
        if settings.smtp_url is None:
            raise MailFault("not-set", "no mail server is set: *_SMTP_URL is empty")
        if not is_address(to):
            raise MailFault("address", "this is no e-mail address")
        key = f"test:{settings.clock.real().timestamp()}"
        with write(session):
            self.queue(
                session, settings, key, to, f"Passerelle: test / essai ({settings.url})", _TEST
            )
        return self.deliver_one(session, settings, settings.clock.real(), key)


_TEST = """\
Si vous lisez ce message, l’envoi de courriels fonctionne.

If you read this message, sending e-mail works.
"""
