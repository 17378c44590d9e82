"""How this node is: what ``/metrics`` tells of it, and what its admin is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from flask import Flask
from prometheus_client.metrics_core import Metric
from sqlalchemy import func, select

from node.context import Node, node
from node.db import db
from node.hub import outbox
from node.hub import service as sync
from node.hub.models import Cached, Outbox
from node.mail.service import mailbox
from node.watch.models import JobRecord, Observation
from shared.ops import state
from shared.ops.concerns import Concerns, concerns
from shared.ops.measures import Measures
from shared.ops.watch import Watch, tally_of
from shared.store.outbox import PENDING

watch = Watch(JobRecord, Observation)


def install(app: Flask) -> None:
    def partners() -> Mapping[str, bool]:
        context: Node = app.extensions["node"]
        return {"hub": context.hub.away}

    Measures(app, {"service": "node"}, (_common, _outbox, _network), partners)


def write_down(app: Flask) -> None:
    watch.write_down(db.session(), node().clock.real(), tally_of(app))


def observe_certificate() -> None:
    watch.observe_certificate(db.session(), node().clock.real(), node().peers, node().url)


def _common() -> Iterable[Metric]:
    session, now = db.session(), node().clock.real()
    yield from state.info(session)
    yield from state.disk(node().settings.data_dir)
    yield from state.jobs(session, watch, now)
    yield from state.certificate(session, watch)
    yield from state.letters(session, mailbox, now)


def _outbox() -> Iterable[Metric]:
    """What the hub is still to be told, and what it has refused for good."""
    session, now = db.session(), node().clock.real()
    words = "Messages for the hub that wait, fail again and again, or were refused for good"
    yield state.gauges("outbox_messages", words, "state", outbox.waiting(session))
    first = select(func.min(Outbox.id)).where(Outbox.state == PENDING).scalar_subquery()
    oldest = session.scalar(select(Outbox.created_at).where(Outbox.id == first))
    words = "Age of the oldest message for the hub that waits"
    yield state.gauge("outbox_oldest_age_seconds", words, state.age(oldest, now))


def _network() -> Iterable[Metric]:
    fetched = trust_list_at()
    if fetched is not None:
        words = "How long ago the hub last said that the trust list is good"
        age = state.age(fetched, node().clock.real())
        yield state.gauge("trust_list_age_seconds", words, age)


def trust_list_at() -> datetime | None:
    """Return when the trust list was last fetched, or said to be still good."""
    query = select(Cached.fetched_at).where(Cached.name == sync.TRUST_LIST)
    return db.session().scalar(query)


def own_concerns() -> Concerns:
    """Return what is amiss with this node itself."""
    context = node()
    folder, now = context.settings.data_dir, context.clock.real()
    return concerns(db.session(), watch, folder, context.url, now, trust_list_at())
