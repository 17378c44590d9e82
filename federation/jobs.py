"""What the hub does by itself."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import structlog
from flask import Flask, current_app

from federation.charters import adoption
from federation.context import Hub, hub
from federation.db import db
from federation.feeds import service as feeds
from federation.identity import service as identity
from federation.listings import fetching
from federation.listings import service as listings
from federation.mail.service import mailbox
from federation.moderation import changes, reports
from federation.nodes import join_requests
from federation.nodes import service as nodes
from federation.oversight import service as oversight
from federation.spaces import harvest as harvesting
from federation.spaces import published_hours
from federation.statements import auto_issue, host_disputes
from federation.statements import service as statements
from federation.statistics import service as pictures
from federation.trust import leaving, notices, offline_alerts, trust_list
from federation.visits import changes as visit_changes
from federation.visits import showings
from federation.watch import service as watching
from federation.webhooks import delivery, events
from federation.webhooks import service as webhooks
from shared.net.http import PeerSession
from shared.ops.jobs import JOBS_LOCK, Job, run_jobs
from shared.ops.watch import WRITTEN_EVERY_SECONDS

log = structlog.get_logger()

_sender = delivery.Sender()

LATE_AFTER = timedelta(minutes=5)
OFFLINE_AFTER = timedelta(hours=1)


# Files and connections that are not those of the harvest.
OTHER_FILES, MOST_FILES = 256, 16_384


def open_connections() -> int:
    """Return how many connections to nodes may stay open: as many files as the system lets us."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return max(wanted - OTHER_FILES, OTHER_FILES)


def harvest() -> None:
    _log_faults(harvesting.harvest(db.session(), hub().clock.now(), hub().peers))


def harvest_again() -> None:
    _log_faults(harvesting.ask_again(db.session(), hub().clock.now(), hub().peers))


def _log_faults(wrong: Mapping[str, str]) -> None:
    for node_id, reason in wrong.items():
        log.warning("harvest.failed", node=node_id, reason=reason)


def mark_silent() -> None:
    nodes.mark_silent(db.session(), hub().clock.now(), LATE_AFTER, OFFLINE_AFTER)
    trust_list.note_states(db.session(), hub())


_notices = notices.Notices()


def tell_trust_list() -> None:
    _notices.tell(db.session(), hub())


_watch = offline_alerts.Watch()


def tell_silence() -> None:
    offline_alerts.tell(db.session(), hub(), _watch)


def check_joining() -> None:
    join_requests.check_new(db.session(), hub())


def leave_due() -> None:
    leaving.leave_due(db.session(), hub().clock.now())


def send_mail() -> None:
    mailbox.deliver(db.session(), hub().settings, hub().clock.real())


def refresh_feeds() -> None:
    feeds.refresh(db.session(), hub().clock, hub().url)
    events.enqueue_states(db.session(), hub().clock.now(), hub().clock.real(), hub().url)


def send_webhooks() -> None:
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    _sender.run(app, delivery.due(db.session(), hub().clock.real()))


def refresh_listings() -> None:
    wrong = fetching.refresh_due(db.session(), hub().clock.now(), hub().peers)
    for source_id, reason in wrong.items():
        log.warning("listing.failed", source=source_id, reason=reason)


def tidy() -> None:
    listings.purge_expired(db.session(), hub().clock.now())
    identity.forget_assertions(db.session(), hub().clock.now())
    identity.passwords.forget(db.session(), hub().clock.real())
    identity.links.forget(db.session(), hub().clock.now())
    join_requests.purge_expired(db.session(), hub().clock.now())
    published_hours.purge_expired(db.session(), hub().clock.now())
    showings.purge_expired(db.session(), hub().clock.now())
    mailbox.forget(db.session(), hub().clock.real())
    reports.purge_expired(db.session(), hub().clock.now())
    changes.purge_expired(db.session(), hub().clock.now())
    feeds.forget_deleted(db.session(), hub().clock.now())
    webhooks.purge_expired(db.session(), hub().clock.real())


def close_visits() -> None:
    visit_changes.close_due(db.session(), hub().clock.now())


def issue_due() -> None:
    auto_issue.issue_due(db.session(), hub().clock.now())


def finalise_due() -> None:
    statements.finalise_due(db.session(), hub().clock.now())


def sign_changed() -> None:
    auto_issue.sign_changed(db.session())


def look_at_hosts() -> None:
    oversight.tell(db.session(), hub())


def go_on_with_hosts() -> None:
    host_disputes.go_on(db.session(), hub().clock.now())


def prepare_pictures() -> None:
    pictures.prepare(db.session(), hub().clock.now())


def note_jobs() -> None:
    """Write down what the jobs did: the sign that they are at work."""
    watching.write_down(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001


def look_at_certificate() -> None:
    watching.observe_certificate()


def advance_votes() -> None:
    adoption.advance(db.session(), hub().clock.now())


JOBS = (
    Job("votes", 20, advance_votes),
    Job("harvest", 60, harvest),
    Job("harvest-again", 20, harvest_again),
    Job("mark-silent", 30, mark_silent),
    Job("trust-list", 1, tell_trust_list),
    Job("tell-silence", 60, tell_silence),
    Job("check-joining", 30, check_joining),
    Job("leave-due", 30, leave_due),
    Job("close-visits", 300, close_visits),
    Job("finalise-due", 600, finalise_due),
    Job("issue-due", 300, issue_due),
    Job("sign-changed", 20, sign_changed),
    Job("look-at-hosts", 6 * 3600, look_at_hosts),
    Job("host-disputes", 600, go_on_with_hosts),
    Job("feeds", 5, refresh_feeds),
    Job("webhooks", 1, send_webhooks),
    Job("mail", 5, send_mail),
    Job("listings", 600, refresh_listings),
    Job("tidy", 600, tidy),
    Job("pictures", 1800, prepare_pictures),
    Job("note-jobs", WRITTEN_EVERY_SECONDS, note_jobs),
    Job("certificate", 600, look_at_certificate),
)


def run(app: Flask) -> None:
    context: Hub = app.extensions["hub"]
    settings = context.settings
    peers = PeerSession(
        allow_private=settings.allow_private_peers,
        keep=open_connections(),
        ca_file=settings.ca_file,
    )
    app.extensions["hub"] = replace(context, peers=peers)
    with app.app_context():
        engine = db.engine
        lock_file = hub().settings.data_dir / JOBS_LOCK
    run_jobs(app, engine, lock_file, JOBS)
