"""The second step of logging in: a code from the phone, or one of ten from paper."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from shared.accounts.service import Accounts
from shared.base.config import Settings
from shared.crypto import totp
from shared.store.account_tables import hash_token
from shared.store.db import write
from shared.wire.problems import Problem

RECOVERY_CODES = 10
_RECOVERY_BYTES = 10  # 80 bits: nobody guesses one, not even from its hash
# After so many wrong codes in a row none is taken for a while, and for longer each time.
WRONG_IN_A_ROW = 5
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=15), timedelta(hours=24)

RIGHT, WRONG, WAIT = "right", "wrong", "wait"


class TwoFactor:
    """Bound once to a service's accounts and its RecoveryCode model.

    An account's key is sealed with the service's secret key. Where that was changed, codes from
    the phone are no longer taken: a recovery code is, or the second step is reset.
    """

    def __init__(self, accounts: Accounts, recovery: Any) -> None:
        self.accounts, self.account, self.recovery = accounts, accounts.account, recovery

    def begin(self, session: Session, settings: Settings, account_id: int) -> None:
        """Give an account a new key, which counts once ``turn_on`` has seen a code of it."""
        with self._locked(session, account_id) as account:
            if account.totp_on_at is None:
                account.totp_secret = totp.seal(settings.secret_key, account_id, totp.new_key())
                account.totp_step = None

    def key(self, settings: Settings, account: Any) -> bytes | None:
        """Return an account's key, or None where there is none that can be read."""
        if account.totp_secret is None:
            return None
        return totp.unseal(settings.secret_key, account.id, account.totp_secret)

    def turn_on(
        self, session: Session, settings: Settings, account_id: int, typed: str
    ) -> list[str] | None:
        """Turn it on with a first code; return the recovery codes, None where the code is wrong.

        Every other log-in of the account ends.
        """
        with self._locked(session, account_id) as account:
            key = self.key(settings, account)
            step = key and totp.matching_step(key, typed, settings.clock.real(), account.totp_step)
            if account.totp_on_at is not None or not step:
                return None
            now = settings.clock.now()
            account.totp_on_at, account.totp_step = now, step
            account.wrong_codes, account.codes_after = 0, None
            self.accounts.end_other_logins(session, account_id)
            self.accounts.note(session, now, account_id, "two-factor-on", before="off", after="on")
            return self._new_codes(session, account_id)

    def check(self, session: Session, settings: Settings, account_id: int, typed: str) -> str:
        """Take a code, once: ``right``, ``wrong``, or ``wait`` while too many were wrong."""
        with self._locked(session, account_id) as account:
            return self._check(session, settings, account, typed)

    def _check(self, session: Session, settings: Settings, account: Any, typed: str) -> str:
        now = settings.clock.real()
        if account.totp_on_at is None or account.disabled_at is not None:
            return WRONG
        if self._use_recovery_code(session, account, settings, typed):
            return RIGHT
        if account.codes_after is not None and now < account.codes_after:
            return WAIT
        key = self.key(settings, account)
        step = key and totp.matching_step(key, typed, now, account.totp_step)
        if step:
            account.totp_step, account.wrong_codes, account.codes_after = step, 0, None
            return RIGHT
        account.wrong_codes += 1
        if account.wrong_codes % WRONG_IN_A_ROW == 0:
            times = account.wrong_codes // WRONG_IN_A_ROW
            account.codes_after = now + min(FIRST_WAIT * 2 ** min(times - 1, 10), LONGEST_WAIT)
        told = {"in_a_row": account.wrong_codes}
        self.accounts.note(session, settings.clock.now(), account.id, "code-refused", **told)
        return WRONG

    def _use_recovery_code(
        self, session: Session, account: Any, settings: Settings, typed: str
    ) -> bool:
        used = delete(self.recovery).where(
            self.recovery.account_id == account.id, self.recovery.code_hash == _hash(typed)
        )
        if session.execute(used).rowcount != 1:  # type: ignore[attr-defined]
            return False
        account.wrong_codes, account.codes_after = 0, None
        now, left = settings.clock.now(), self.codes_left(session, account.id)
        self.accounts.note(session, now, account.id, "recovery-code-used", left=left)
        return True

    def codes_left(self, session: Session, account_id: int) -> int:
        query = select(func.count()).where(self.recovery.account_id == account_id)
        return session.scalar(query) or 0

    def renew_codes(self, session: Session, settings: Settings, account_id: int) -> list[str]:
        """Return ten new recovery codes; those before work no more."""
        with self._locked(session, account_id):
            self.accounts.note(session, settings.clock.now(), account_id, "recovery-codes")
            return self._new_codes(session, account_id)

    def _new_codes(self, session: Session, account_id: int) -> list[str]:
        session.execute(delete(self.recovery).where(self.recovery.account_id == account_id))
        codes = [_written(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]
        session.add_all(
            self.recovery(account_id=account_id, code_hash=_hash(code)) for code in codes
        )
        return codes

    def turn_off(
        self, session: Session, now: datetime, account_id: int, by: int | None = None
    ) -> None:
        """Turn it off, for the account itself; by another, all log-ins and tokens end."""
        with self._locked(session, account_id) as account:
            self.take_off(session, now, account, account_id if by is None else by)
            if by not in (None, account_id):
                self.accounts.start_anew(session, now, account_id)

    def take_off(self, session: Session, now: datetime, account: Any, by: int | str) -> None:
        """Do the same within the caller's transaction, in which the account is locked."""
        if account.totp_on_at is not None:
            action = "two-factor-off" if by == account.id else "two-factor-reset"
            told = {"before": "on", "after": "off"}
            self.accounts.note(session, now, by, action, subject=account.id, **told)
        account.totp_secret = account.totp_on_at = account.totp_step = None
        account.wrong_codes, account.codes_after = 0, None
        session.execute(delete(self.recovery).where(self.recovery.account_id == account.id))

    @contextmanager
    def _locked(self, session: Session, account_id: int) -> Iterator[Any]:
        with write(session):
            account = session.get(self.account, account_id, with_for_update=True)
            if account is None:
                raise Problem("not-found")
            yield account


def _written(code: bytes) -> str:
    text = base64.b32encode(code).decode().lower()
    return "-".join(text[n : n + 4] for n in range(0, len(text), 4))


def _hash(typed: str) -> str:
    plain = "".join(sign for sign in typed.lower() if sign.isalnum())
    return hash_token(f"recovery:{plain}")
