"""What a node does by itself."""

from __future__ import annotations

import structlog
from flask import Flask, current_app

from node import reconcile
from node.adapters import service as sources
from node.bookings import ending, hosted, telling
from node.bookings import outgoing as trips
from node.console import diagnostics
from node.context import node
from node.db import db
from node.desk import (
    availability,
    hub_messages,
    idempotency,
    incidents,
    reconcile_visits,
    recording,
    showings,
)
from node.governance import reminders
from node.hub import callbacks, hub_registration, outbox
from node.hub import service as sync
from node.identity import service as identity
from node.leaving import service as leaving
from node.mail.service import mailbox
from node.members import importing
from node.members.password_links import links, passwords
from node.passes import cards, digits, lifecycle
from node.photos import service as photos
from node.publication import service as publication
from node.reports import service as reports
from node.spaces import service as spaces
from node.statements import forecast, month_end, network_figures
from node.visits import presence
from node.watch import service as watching
from shared.net.http import PeerError
from shared.ops.jobs import JOBS_LOCK, Job, run_jobs
from shared.ops.watch import WRITTEN_EVERY_SECONDS

log = structlog.get_logger()


def deliver() -> None:
    """Deliver the outbox, if the hub answers."""
    if sync.enrolment(db.session()) is not None:
        outbox.flush(db.session(), node())


def publish() -> None:
    """See that what changed is told to the hub, also what only the day changed."""
    if sync.enrolment(db.session()) is not None:
        publication.keep_up(db.session(), node())


def tell_availability() -> None:
    """Tell the hub how many places are free, when that changed."""
    if sync.enrolment(db.session()) is not None:
        availability.tell(db.session(), node())


def check_node() -> None:
    """Have the hub look at this node, if the admin asked."""
    diagnostics.run_due(db.session(), node())


def note_jobs() -> None:
    """Write down what the jobs did: the sign that they are at work."""
    watching.write_down(current_app._get_current_object())  # type: ignore[attr-defined]  # noqa: SLF001


def look_at_certificate() -> None:
    watching.observe_certificate()


def learn() -> None:
    """Ask for the trust list, or whether it is still good."""
    if sync.enrolment(db.session()) is None:
        return
    try:
        sync.refresh(db.session(), node())
    except PeerError as error:
        log.info("network.not-refreshed", reason=error.reason)


def learn_if_told() -> None:
    """Ask for the trust list at once where the hub said that it changed."""
    if callbacks.is_told(db.session(), node()):
        learn()


def refresh() -> None:
    """See that the hub knows what we are, and we what it knows."""
    if sync.enrolment(db.session()) is None:
        return
    try:
        known = sync.network(db.session(), node()) or sync.refresh(db.session(), node())
        hub_registration.put_right(db.session(), node(), known)
        hub_messages.reconcile(db.session(), node())
        reconcile.converge(db.session(), node())
    except PeerError as error:
        log.info("network.not-refreshed", reason=error.reason)


def refresh_status_lists() -> None:
    if sync.enrolment(db.session()) is not None:
        sync.refresh_status_lists(db.session(), node())


def close_forgotten() -> None:
    presence.close_forgotten(db.session(), node())


def remind() -> None:
    """Tell the admins of votes and signatures that are due."""
    if sync.enrolment(db.session()) is not None:
        reminders.remind(db.session(), node())


def warn() -> None:
    """Tell the admins when the month's balance nears the tolerance."""
    if sync.enrolment(db.session()) is not None:
        forecast.warn(db.session(), node())


def compare_log() -> None:
    """Compare last month's log with the account, so that the month can be issued."""
    if sync.enrolment(db.session()) is not None:
        month_end.compare(db.session(), node())


def ask_for_reports() -> None:
    """Ask the hub what people report about our spaces."""
    if sync.enrolment(db.session()) is None:
        return
    try:
        reports.fetch(db.session(), node())
    except PeerError as error:
        log.info("reports.not-fetched", reason=error.reason)


def tend_bookings() -> None:
    """Keep bookings as they should be, here and with the hosts of our members."""
    if sync.enrolment(db.session()) is not None:
        hosted.tend(db.session(), node())
        ending.end_due(db.session(), node())
        trips.settle_due(db.session(), node())
        trips.tell_new_passes(db.session(), node())


def tell_asked() -> None:
    """Tell the hub, in numbers, what hosts answered to our members' bookings."""
    if sync.enrolment(db.session()) is not None and not node().hub.away:
        network_figures.tell_asked(db.session(), node())


def tell_homes() -> None:
    if sync.enrolment(db.session()) is not None:
        telling.tell_homes(db.session(), node())


def tend_leaving() -> None:
    """Do what follows from a notice to leave the network, ours or a partner's."""
    leaving.tend(db.session(), node())


def end_subscriptions() -> None:
    lifecycle.end_due(db.session(), node())


def send_mail() -> None:
    mailbox.deliver(db.session(), node().settings, node().clock.real())


def tidy() -> None:
    now = node().clock.now()
    idempotency.purge_expired(db.session(), now)
    reconcile_visits.forget_reports(db.session(), now)
    showings.purge_expired(db.session(), now)
    identity.forget_logins(db.session(), now)
    incidents.purge_expired(db.session(), now)
    recording.forget_refusals(db.session(), now)
    photos.sweep(db.session(), node())
    cards.forget_showings(db.session(), now)
    digits.purge_expired(db.session(), node().clock.real())
    passwords.forget(db.session(), node().clock.real())
    links.forget(db.session(), now)
    importing.purge_expired(db.session(), now)
    mailbox.forget(db.session(), node().clock.real())
    outbox.purge_expired(db.session(), node().clock.real())


def end_pauses() -> None:
    spaces.end_pauses(db.session(), node())


def read_sources() -> None:
    sources.read_due(db.session(), node())


JOBS = (
    Job("deliver", 1, deliver),
    Job("publish", 5, publish),
    Job("availability", 1, tell_availability),
    Job("check", 1, check_node),
    Job("trust-list", 60, learn),
    Job("trust-list-told", 1, learn_if_told),
    Job("refresh", 10, refresh),
    Job("status-lists", 60, refresh_status_lists),
    Job("close-forgotten", 30, close_forgotten),
    Job("end-pauses", 60, end_pauses),
    Job("end-subscriptions", 60, end_subscriptions),
    Job("reminders", 120, remind),
    Job("warn", 1800, warn),
    Job("compare-log", 3600, compare_log),
    Job("reports", 60, ask_for_reports),
    Job("bookings", 30, tend_bookings),
    Job("asked", 7200, tell_asked),
    Job("leaving", 30, tend_leaving),
    Job("tell-homes", 2, tell_homes),
    Job("read-sources", 60, read_sources),
    Job("mail", 5, send_mail),
    Job("tidy", 600, tidy),
    Job("note-jobs", WRITTEN_EVERY_SECONDS, note_jobs),
    Job("certificate", 600, look_at_certificate),
)


def run(app: Flask) -> None:
    with app.app_context():
        engine = db.engine
        lock_file = node().settings.data_dir / JOBS_LOCK
    run_jobs(app, engine, lock_file, JOBS)
