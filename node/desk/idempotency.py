"""The same key and body get the same answer; the same key with another body is a mistake."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from marshmallow import ValidationError
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.visits.models import IdempotencyKey
from shared.store.db import write
from shared.wire.problems import Problem

KEPT = timedelta(days=2)
UNANSWERED = 0


def check_key(key: str | None) -> str | None:
    """Return a usable Idempotency-Key header, or None without one. Raises ValidationError."""
    if key is None:
        return None
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise ValidationError({"Idempotency-Key": ["1 to 200 printable ASCII characters."]})
    return key


def fingerprint(body: Mapping[str, Any], secret: str) -> str:
    """Return what tells one body from another; a PIN in it cannot be guessed from that."""
    plain = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return hmac.new(secret.encode(), plain, hashlib.sha256).hexdigest()


def is_used(session: Session, account_id: int, key: str, body_sha256: str) -> bool:
    """Tell whether a key was used with this body."""
    row = session.get(IdempotencyKey, (account_id, key))
    return row is not None and row.body_sha256 == body_sha256


def check_unused(session: Session, account_id: int, key: str, body_sha256: str) -> None:
    """Raise Problem("idempotency-conflict") if the key was used with another body."""
    row = session.get(IdempotencyKey, (account_id, key))
    if row is not None and row.body_sha256 != body_sha256:
        raise Problem("idempotency-conflict")


def claim(
    session: Session, now: datetime, account_id: int, key: str, body_sha256: str
) -> tuple[int, dict[str, Any]] | None:
    """Take a key for a body before anything is done; return the answer if there was one.

    A repeat is answered 200 where the first was 201, with the same body. A key that is taken
    and not answered yet, by a request under way or one that died, may be tried again.
    Raises Problem("idempotency-conflict").
    """
    try:
        with write(session):
            row = session.get(IdempotencyKey, (account_id, key))
            if row is None:
                row = IdempotencyKey(
                    account_id=account_id,
                    key=key,
                    body_sha256=body_sha256,
                    status=UNANSWERED,
                    answer={},
                    created_at=now,
                )
                session.add(row)
    except IntegrityError:  # taken at the same moment
        row = session.get_one(IdempotencyKey, (account_id, key))
    if row.body_sha256 != body_sha256:
        raise Problem("idempotency-conflict")
    if row.status == UNANSWERED:
        return None
    return (200 if row.status == 201 else row.status), dict(row.answer)


def store(session: Session, account_id: int, key: str, status: int, answer: dict[str, Any]) -> None:
    """Keep the answer to a claimed key. Of two at the same moment, an admission stays."""
    with write(session):
        row = session.get(IdempotencyKey, (account_id, key))
        if row is not None and row.status != 201:
            row.status, row.answer = status, answer


def purge_expired(session: Session, now: datetime) -> None:
    with write(session):
        session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT))
