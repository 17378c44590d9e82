"""Webhooks: who is told what, and what is owed to whom."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson
from flask_babel import lazy_gettext
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.webhooks import signing
from federation.webhooks.models import Delivery, Webhook
from shared.net.http import PeerError, check_url
from shared.store.db import write
from shared.store.outbox import DEAD, PENDING
from shared.wire.problems import Problem

TEST = "webhook.test"
AVAILABILITY = "availability.changed"
KINDS = {
    "space.published": lazy_gettext("A space is on the map"),
    "space.changed": lazy_gettext("A space’s sheet has changed"),
    "space.withdrawn": lazy_gettext("A space is no longer on the map"),
    AVAILABILITY: lazy_gettext("Free places have changed, or are not known any more"),
    "event.published": lazy_gettext("A space announces an event"),
    "event.changed": lazy_gettext("An announced event has changed"),
    "event.withdrawn": lazy_gettext("An event is no longer announced"),
    "node.state": lazy_gettext("A node is connected, late, offline, suspended, or has left"),
    "charter.adopted": lazy_gettext("A version of the charter is adopted"),
    "charter.in_force": lazy_gettext("A version of the charter comes into force"),
    "statement.issued": lazy_gettext("A month’s account is issued"),
    "statement.final": lazy_gettext("A month’s account is final"),
}
OVERLAP = timedelta(days=1)  # for which the former secret signs too
KEPT_FOR = timedelta(days=30)


# What is owed


def active(session: Session) -> list[Webhook]:
    """Return who is to be told, now and in this transaction."""
    return list(session.scalars(select(Webhook).where(Webhook.state == "active")))


def enqueue(
    session: Session,
    webhooks: Sequence[Webhook],
    now: datetime,
    real: datetime,
    kind: str,
    subject: str,
    data: Mapping[str, Any],
) -> None:
    """Add a message to who asked for its kind, in the caller's transaction.

    Of a space's free places only the latest is owed: what nobody has taken yet is replaced.
    """
    asked = [webhook for webhook in webhooks if kind == TEST or kind in webhook.kinds]
    if not asked:
        return
    if kind == AVAILABILITY:
        session.execute(
            delete(Delivery).where(
                Delivery.webhook_id.in_([webhook.id for webhook in asked]),
                Delivery.state == PENDING,
                Delivery.kind == kind,
                Delivery.subject == subject,
            )
        )
    message_id = f"msg_{secrets.token_hex(12)}"
    body = orjson.dumps({"type": kind, "timestamp": now.isoformat(), "data": data}).decode()
    for webhook in asked:
        session.add(
            Delivery(
                webhook_id=webhook.id,
                message_id=message_id,
                kind=kind,
                subject=subject,
                body=body,
                created_at=real,
                next_attempt_at=real,
            )
        )


# What a coordinator does


def subscribe(
    session: Session, hub: Hub, actor: str, name: str, url: str, email: str, kinds: Sequence[str]
) -> tuple[Webhook, str]:
    """Add a webhook; return it and its secret, which is shown once. Raises PeerError."""
    check_address(url, allow_private=hub.settings.allow_private_peers)
    secret = signing.new_secret()
    with write(session):
        webhook = Webhook(
            name=name,
            url=url,
            email=email,
            kinds=list(kinds),
            state="active",
            secret=signing.seal(hub.settings.secret_key, secret),
            created_at=hub.clock.real(),
        )
        session.add(webhook)
        session.flush()
        after = {"url": _origin(url), "kinds": list(kinds)}
        audit(session, hub.clock.now(), actor, "webhook-added", _subject(webhook), after=after)
    return webhook, secret


def check_address(url: str, *, allow_private: bool) -> None:
    """Raises PeerError where nothing will ever be sent to this address."""
    if "#" in url:
        raise PeerError("url-malformed")
    check_url(url.partition("?")[0], allow_private=allow_private)


def rotate(session: Session, hub: Hub, actor: str, webhook_id: int) -> str:
    """Give a webhook a new secret; the former one signs too for a day. Raises Problem."""
    with _locked(session, webhook_id) as webhook:
        secret = signing.new_secret()
        webhook.former_secret, webhook.former_until = webhook.secret, hub.clock.real() + OVERLAP
        webhook.secret = signing.seal(hub.settings.secret_key, secret)
        audit(session, hub.clock.now(), actor, "webhook-secret-changed", _subject(webhook))
    return secret


def set_state(session: Session, hub: Hub, actor: str, webhook_id: int, state: str) -> None:
    """Pause a webhook (what it was owed is dropped), or go on. Raises Problem."""
    with _locked(session, webhook_id) as webhook:
        if webhook.state != state:
            before, webhook.state, webhook.failing_since = webhook.state, state, None
            if state != "active":
                cancel(session, webhook_id, "paused")
            now, subject = hub.clock.now(), _subject(webhook)
            audit(session, now, actor, "webhook-state", subject, before=before, after=state)


def cancel(session: Session, webhook_id: int, fault: str) -> None:
    """Owe a webhook nothing any more, in the caller's transaction."""
    session.execute(
        update(Delivery)
        .where(Delivery.webhook_id == webhook_id, Delivery.state == PENDING)
        .values(state=DEAD, fault=fault)
    )


def remove(session: Session, hub: Hub, actor: str, webhook_id: int) -> None:
    """Forget a webhook, and everything it was told or owed. Raises Problem."""
    with _locked(session, webhook_id) as webhook:
        before = {"url": _origin(webhook.url), "kinds": webhook.kinds}
        audit(session, hub.clock.now(), actor, "webhook-removed", _subject(webhook), before=before)
        session.execute(delete(Delivery).where(Delivery.webhook_id == webhook_id))
        session.execute(delete(Webhook).where(Webhook.id == webhook_id))


def try_out(session: Session, hub: Hub, webhook_id: int) -> Delivery:
    """Owe a webhook a message that says nothing, and return it. Raises Problem."""
    with _locked(session, webhook_id) as webhook:
        now, real = hub.clock.now(), hub.clock.real()
        enqueue(session, [webhook], now, real, TEST, "test", {"hub": hub.url})
        session.flush()
        query = select(Delivery).where(Delivery.webhook_id == webhook_id, Delivery.kind == TEST)
        return session.scalars(query.order_by(Delivery.id.desc()).limit(1)).one()


def send_again(session: Session, hub: Hub, webhook_id: int, delivery_id: int) -> None:
    """Owe a message once more, the same and with the same id. Raises Problem."""
    with _locked(session, webhook_id):
        row = session.get(Delivery, delivery_id)
        if row is None or row.webhook_id != webhook_id:
            raise Problem("not-found")
        row.state, row.attempts, row.next_attempt_at = PENDING, 0, hub.clock.real()


def webhooks(session: Session) -> list[tuple[Webhook, int]]:
    """Return every webhook, and how much each is owed."""
    owed = func.count(Delivery.id)
    query = (
        select(Webhook, owed)
        .outerjoin(Delivery, (Delivery.webhook_id == Webhook.id) & (Delivery.state == PENDING))
        .group_by(Webhook.id)
        .order_by(Webhook.id)
    )
    return [(webhook, number) for webhook, number in session.execute(query)]


def webhook(session: Session, webhook_id: int) -> Webhook:
    """Raises Problem("not-found")."""
    found = session.get(Webhook, webhook_id)
    if found is None:
        raise Problem("not-found")
    return found


def deliveries(session: Session, webhook_id: int, limit: int = 50) -> list[Delivery]:
    """Return the latest first."""
    query = select(Delivery).where(Delivery.webhook_id == webhook_id)
    return list(session.scalars(query.order_by(Delivery.id.desc()).limit(limit)))


def purge_expired(session: Session, now: datetime) -> None:
    """Forget what was told, or given up, a month ago."""
    with write(session):
        old = Delivery.created_at < now - KEPT_FOR
        session.execute(delete(Delivery).where(Delivery.state != PENDING, old))


@contextmanager
def _locked(session: Session, webhook_id: int) -> Iterator[Webhook]:
    """Begin to change a webhook, its row locked. Raises Problem("not-found")."""
    with write(session):
        found = session.get(Webhook, webhook_id, with_for_update=True)
        if found is None:
            raise Problem("not-found")
        yield found


def _subject(webhook: Webhook) -> str:
    return f"webhook:{webhook.id}"


def _origin(url: str) -> str:
    """Return what may be logged of an address: some hold a secret behind it."""
    return "/".join(url.split("/")[:3])
