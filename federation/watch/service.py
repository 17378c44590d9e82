"""How this hub is: what ``/metrics`` tells of it, and what the coordination is told."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Flask
from prometheus_client.metrics_core import Metric
from sqlalchemy import func, select

from federation.context import hub
from federation.db import db
from federation.mail.service import mailbox
from federation.nodes.models import Node
from federation.trust import node_labels
from federation.watch.models import JobRecord, Observation
from federation.webhooks.models import Delivery, Webhook
from shared.ops import state
from shared.ops.concerns import Concerns, concerns
from shared.ops.measures import Measures
from shared.ops.watch import Watch, tally_of
from shared.store.outbox import DEAD, PENDING

watch = Watch(JobRecord, Observation)


def install(app: Flask) -> None:
    Measures(app, {"service": "hub"}, (_common, _nodes, _webhooks))


def write_down(app: Flask) -> None:
    watch.write_down(db.session(), hub().clock.real(), tally_of(app))


def observe_certificate() -> None:
    watch.observe_certificate(db.session(), hub().clock.real(), hub().peers, hub().url)


def _common() -> Iterable[Metric]:
    session, now = db.session(), hub().clock.real()
    yield from state.info(session)
    yield from state.disk(hub().settings.data_dir)
    yield from state.jobs(session, watch, now)
    yield from state.certificate(session, watch)
    yield from state.letters(session, mailbox, now)


def _nodes() -> Iterable[Metric]:
    query = select(Node.state, func.count()).group_by(Node.state)
    found: dict[str, int] = {row[0]: row[1] for row in db.session().execute(query)}
    words = "Nodes by how they were last heard of"
    yield state.gauges("nodes", words, "state", {**dict.fromkeys(node_labels.STATES, 0), **found})


def _webhooks() -> Iterable[Metric]:
    """What the receivers of webhooks are still to be told, and whether they are told at all."""
    session, now = db.session(), hub().clock.real()
    counts = {
        kind: session.scalar(select(func.count()).where(Delivery.state == kind)) or 0
        for kind in (PENDING, DEAD)
    }
    words = "Messages of webhooks that wait, or were given up"
    yield state.gauges("webhook_messages", words, "state", counts)
    first = select(func.min(Delivery.id)).where(Delivery.state == PENDING).scalar_subquery()
    oldest = session.scalar(select(Delivery.created_at).where(Delivery.id == first))
    words = "Age of the oldest message of a webhook that waits"
    yield state.gauge("webhook_messages_oldest_age_seconds", words, state.age(oldest, now))
    query = select(Webhook.state, func.count()).group_by(Webhook.state)
    found: dict[str, int] = {row[0]: row[1] for row in session.execute(query)}
    kinds = dict.fromkeys(("active", "paused", "disabled"), 0)
    yield state.gauges("webhooks", "Webhooks by state", "state", {**kinds, **found})


def own_concerns() -> Concerns:
    """Return what is amiss with this hub itself."""
    context = hub()
    folder, now = context.settings.data_dir, context.clock.real()
    return concerns(db.session(), watch, folder, context.url, now)


def lost_messages() -> int:
    """Return how many messages of webhooks were given up lately."""
    session = db.session()
    return session.scalar(select(func.count()).where(Delivery.state == DEAD)) or 0
