"""Sending what webhooks are owed: each receiver in a thread of its own, so none delays another.

A message is claimed before it is sent and marked after: who dies between the two leaves it to be
sent once more, with the same id. The order of messages is not promised.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

import structlog
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from federation.context import Hub, hub
from federation.db import db
from federation.mail.service import mailbox
from federation.webhooks import signing
from federation.webhooks.models import Delivery, Webhook
from federation.webhooks.service import TEST, cancel
from shared.mail.letters import letter
from shared.net.http import Answer, PeerError
from shared.store.db import release, write
from shared.store.outbox import DEAD, DONE, PENDING

log = structlog.get_logger()

TIMEOUT_SECONDS = 5.0
MOST_BYTES = 64 << 10
SHOWN_BYTES = 300
CLAIMED_FOR = timedelta(minutes=1)
AT_ONCE = 50  # of one webhook, before others have a turn in its thread
MINUTE, HOUR = 60, 3600
# Three days and some hours, as the Standard Webhooks specification proposes.
RETRY_SECONDS = (
    *(5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
JITTER = 0.2
DISABLED_AFTER = timedelta(days=3)
GONE = 410


class Sender:
    """Sends in the background; a webhook that is being served is not served twice at a time."""

    def __init__(self, threads: int = 16) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="webhook")
        self._busy: set[int] = set()
        self._lock = threading.Lock()

    def run(self, app: Flask, due: Iterable[int]) -> list[Future[None]]:
        """Begin to serve these webhooks; return what is under way."""
        begun = []
        for webhook_id in due:
            with self._lock:
                if webhook_id in self._busy:
                    continue
                self._busy.add(webhook_id)
            begun.append(self._pool.submit(self._serve, app, webhook_id))
        return begun

    def _serve(self, app: Flask, webhook_id: int) -> None:
        try:
            with app.app_context():
                deliver(db.session(), hub(), webhook_id)
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread's result
            log.error("webhook.failed", webhook=webhook_id, error=type(error).__name__)
        finally:
            with self._lock:
                self._busy.discard(webhook_id)


def due(session: Session, real: datetime) -> list[int]:
    """Return the webhooks that something is to be sent to now."""
    query = select(Delivery.webhook_id).where(
        Delivery.state == PENDING, Delivery.next_attempt_at <= real
    )
    found = list(session.scalars(query.distinct()))
    release(session)
    return found


def deliver(session: Session, hub: Hub, webhook_id: int) -> int:
    """Send what one webhook is owed and is due; return how many it took."""
    taken = 0
    for _ in range(AT_ONCE):
        row = _claim(session, hub.clock.real(), webhook_id)
        if row is None or not send(session, hub, row):
            break
        taken += 1
    return taken


def _claim(session: Session, real: datetime, webhook_id: int) -> Delivery | None:
    """Take a message for this process alone, and for a while: committed before it is sent."""
    with write(session):
        query = (
            select(Delivery)
            .join(Webhook)
            .where(
                Delivery.webhook_id == webhook_id,
                Delivery.state == PENDING,
                Delivery.next_attempt_at <= real,
                (Webhook.state == "active") | (Delivery.kind == TEST),
            )
            .order_by(Delivery.next_attempt_at, Delivery.id)
            .limit(1)
            .with_for_update(skip_locked=True, of=Delivery)
        )
        row = session.scalars(query.execution_options(populate_existing=True)).first()
        if row is not None:
            row.next_attempt_at = real + CLAIMED_FOR
            row.attempts += 1
    return row


def send_now(session: Session, hub: Hub, delivery_id: int) -> None:
    """Send one message at once, unless another process is about to."""
    row = session.get_one(Delivery, delivery_id)
    found = _claim(session, hub.clock.real(), row.webhook_id)
    while found is not None and send(session, hub, found) and found.id != delivery_id:
        found = _claim(session, hub.clock.real(), row.webhook_id)


def send(session: Session, hub: Hub, row: Delivery) -> bool:
    """Send a claimed message, and mark what became of it; False where nothing more is to be sent.

    A receiver that does not answer at all is not asked again for its other messages either.
    """
    delivery_id, real, began = row.id, hub.clock.real(), time.perf_counter()
    answer: Answer | None = None
    fault: str | None = None
    try:
        headers = _headers(hub, row, int(real.timestamp()))
        url, body = row.webhook.url, row.body.encode()
        release(session)
        answer = hub.peers.request(
            "POST",
            url,
            data=body,
            headers=headers,
            timeout=TIMEOUT_SECONDS,
            max_bytes=MOST_BYTES,
        )
    except PeerError as error:
        fault = str(error)[:60]
    except signing.SealBroken:
        fault = "secret-unreadable"
    ms = round((time.perf_counter() - began) * 1000)
    _mark(session, hub, delivery_id, answer, fault, ms)
    return answer is not None


def _headers(hub: Hub, row: Delivery, timestamp: int) -> dict[str, str]:
    webhook, key = row.webhook, hub.settings.secret_key
    sealed = [webhook.secret]
    if webhook.former_secret and webhook.former_until and hub.clock.real() < webhook.former_until:
        sealed.append(webhook.former_secret)
    signatures = [
        signing.sign(signing.unseal(key, each), row.message_id, timestamp, row.body)
        for each in sealed
    ]
    return {
        "Content-Type": "application/json",
        "webhook-id": row.message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _mark(
    session: Session, hub: Hub, row_id: int, answer: Answer | None, fault: str | None, ms: int
) -> None:
    with write(session):
        row = session.get(Delivery, row_id, with_for_update=True, populate_existing=True)
        if row is None or row.state != PENDING:  # removed or paused meanwhile
            return
        real = hub.clock.real()
        row.status, row.ms, row.fault = answer.status if answer else None, ms, fault
        row.answer = _words(answer.body) if answer else None
        if answer is not None and 200 <= answer.status < 300:
            row.state, row.done_at, row.webhook.failing_since = DONE, real, None
        elif row.kind == TEST:
            row.state = DEAD
        else:
            _failed(session, hub, row, real)


def _words(body: bytes) -> str:
    text = body[:SHOWN_BYTES].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else " " for each in text)[:SHOWN_BYTES]


def _failed(session: Session, hub: Hub, row: Delivery, real: datetime) -> None:
    """Put a message off, or give it up; disable a receiver that has taken nothing for days."""
    webhook = row.webhook
    webhook.failing_since = webhook.failing_since or real
    if row.attempts > len(RETRY_SECONDS):
        row.state = DEAD
    else:
        later = RETRY_SECONDS[row.attempts - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        row.next_attempt_at = real + timedelta(seconds=later)
        if row.status is None:  # nor would it take the others
            session.execute(
                update(Delivery)
                .where(
                    Delivery.webhook_id == webhook.id,
                    Delivery.state == PENDING,
                    Delivery.next_attempt_at < row.next_attempt_at,
                )
                .values(next_attempt_at=row.next_attempt_at)
            )
    if row.status == GONE or real - webhook.failing_since > DISABLED_AFTER:
        _disable(session, hub, webhook, real)


def _disable(session: Session, hub: Hub, webhook: Webhook, real: datetime) -> None:
    webhook.state = "disabled"
    cancel(session, webhook.id, "disabled")
    log.warning("webhook.disabled", webhook=webhook.id)
    if webhook.email:
        url = f"{hub.url}/open-data#webhooks"
        subject, text = letter("webhooks/mail/disabled.txt", webhook=webhook, url=url)
        key = f"webhook-disabled:{webhook.id}:{real:%Y%m%dT%H%M%S}"
        mailbox.queue(session, hub.settings, key, webhook.email, subject, text)
