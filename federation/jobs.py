"""What the hub does by itself."""

from __future__ import annotations

from datetime import timedelta

import structlog
from flask import Flask, current_app

from federation.context import hub
from federation.db import db
from federation.directory import leaving, publications
from federation.directory import service as directory
from federation.feeds import service as feeds
from federation.governance import proposals
from federation.identity import service as identity
from federation.mail.service import mailbox
from federation.statements import month_end
from federation.statements import service as statements
from federation.webhooks import delivery, news
from federation.webhooks import service as webhooks
from shared.jobs import JOBS_LOCK, Job, run_jobs

log = structlog.get_logger()

_sender = delivery.Sender()

LATE_AFTER = timedelta(minutes=5)
OFFLINE_AFTER = timedelta(hours=1)


def harvest() -> None:
    wrong = publications.harvest(db.session(), hub().clock.now(), hub().peers)
    for node_id, reason in wrong.items():
        log.warning("harvest.failed", node=node_id, reason=reason)


def mark_silent() -> None:
    directory.mark_silent(db.session(), hub().clock.now(), LATE_AFTER, OFFLINE_AFTER)


def leave_due() -> None:
    leaving.leave_due(db.session(), hub().clock.now())


def send_mail() -> None:
    mailbox.deliver(db.session(), hub().settings, hub().clock.real())


def refresh_feeds() -> None:
    feeds.refresh(db.session(), hub().clock, hub().url)
    news.owe_states(db.session(), hub().clock.now(), hub().clock.real(), hub().url)


def send_webhooks() -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    _sender.run(app, delivery.due(db.session(), hub().clock.real()))


def tidy() -> None:
    identity.forget_assertions(db.session(), hub().clock.now())
    mailbox.forget(db.session(), hub().clock.real())
    feeds.forget_deleted(db.session(), hub().clock.now())
    webhooks.forget(db.session(), hub().clock.real())


def issue_due() -> None:
    month_end.issue_due(db.session(), hub().clock.now())


def finalise_due() -> None:
    statements.finalise_due(db.session(), hub().clock.now())


def advance_votes() -> None:
    proposals.advance(db.session(), hub().clock.now())


JOBS = (
    Job("votes", 20, advance_votes),
    Job("harvest", 60, harvest),
    Job("mark-silent", 30, mark_silent),
    Job("leave-due", 30, leave_due),
    Job("finalise-due", 600, finalise_due),
    Job("issue-due", 900, issue_due),
    Job("feeds", 5, refresh_feeds),
    Job("webhooks", 1, send_webhooks),
    Job("mail", 5, send_mail),
    Job("tidy", 600, tidy),
)


def run(app: Flask) -> None:
    with app.app_context():
        engine = db.engine
        lock_file = hub().settings.data_dir / JOBS_LOCK
    run_jobs(app, engine, lock_file, JOBS)
