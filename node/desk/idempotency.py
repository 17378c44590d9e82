"""The same key and body get the same answer; the same key with another body is a mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from marshmallow import ValidationError
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from node.desk.models import IdempotencyKey
from shared.db import begin_write
from shared.problems import Problem

KEPT = timedelta(days=2)


def check_key(key: str | None) -> str | None:
    """Return a usable Idempotency-Key header, or None without one. Raises ValidationError."""
    if key is None:
        return None
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise ValidationError({"Idempotency-Key": ["1 to 200 printable ASCII characters."]})
    return key


def fingerprint(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


def answered(
    session: Session, account_id: int, key: str, body_sha256: str
) -> tuple[int, dict[str, Any]] | None:
    """Return what a repeat is answered: 200 where the first was 201, and the same body.

    Raises Problem("idempotency-conflict").
    """
    row = session.get(IdempotencyKey, (account_id, key))
    if row is None:
        return None
    if row.body_sha256 != body_sha256:
        raise Problem("idempotency-conflict")
    return (200 if row.status == 201 else row.status), dict(row.answer)


def remember(
    session: Session,
    now: datetime,
    account_id: int,
    key: str,
    body_sha256: str,
    status: int,
    answer: dict[str, Any],
) -> tuple[int, dict[str, Any]]:
    """Keep an answer; when the same request was answered at the same moment, that one holds.

    Whichever of the two was kept, it is the one that admitted that says 201.
    """
    begin_write(session)
    session.add(
        IdempotencyKey(
            account_id=account_id,
            key=key,
            body_sha256=body_sha256,
            status=status,
            answer=answer,
            created_at=now,
        )
    )
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        found = answered(session, account_id, key, body_sha256)
        if found is None:
            return status, answer
        return (201 if status == 201 and found[0] == 200 else found[0]), found[1]
    return status, answer


def forget(session: Session, now: datetime) -> None:
    begin_write(session)
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < now - KEPT))
    session.commit()
