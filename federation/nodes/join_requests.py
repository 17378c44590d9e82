"""Operators who ask to join: looked at beforehand, then invited or declined, by e-mail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.nodes import findings, notifications
from federation.nodes.enrolment import INVITATION_TRIES, add_invitation
from federation.nodes.findings import SECONDS, Finding
from federation.nodes.models import Invitation, JoinRequest, Node
from federation.nodes.node_urls import check_free
from shared.base.names import slug
from shared.net.http import Answer, PeerError, PeerSession
from shared.store.account_tables import new_token
from shared.store.db import release, write
from shared.wire.problems import Problem

MOST_WAITING = 200
KEPT_FOR = timedelta(days=180)
AT_ONCE = 10
NAMES = ("name", "address", "reachable", "certificate", "software", "clock", "mail")


def waiting(session: Session) -> int:
    query = select(func.count()).select_from(JoinRequest).where(JoinRequest.state == "waiting")
    return session.scalar(query) or 0


def latest(session: Session, limit: int) -> list[JoinRequest]:
    """Return requests, those that wait first, the latest first."""
    query = select(JoinRequest).order_by(
        JoinRequest.decided_at.is_not(None), JoinRequest.asked_at.desc()
    )
    return list(session.scalars(query.limit(limit)))


def find(session: Session, request_id: int) -> tuple[JoinRequest, Invitation | None]:
    """Return a request, and the invitation that it led to. Raises Problem("not-found")."""
    row = session.get(JoinRequest, request_id)
    if row is None:
        raise Problem("not-found")
    return row, session.get(Invitation, row.invitation_id) if row.invitation_id else None


def ask(
    session: Session, hub: Hub, *, operator: str, person: str, email: str, url: str, words: str
) -> JoinRequest:
    """Put a request in the queue, and tell the coordinators; the same again changes nothing.

    Raises Problem("unavailable") while very many wait.
    """
    same = select(JoinRequest).where(
        JoinRequest.state == "waiting",
        JoinRequest.email == email,
        JoinRequest.operator == operator,
    )
    try:
        with write(session):
            row = session.scalar(same)
            if row is not None:
                return row
            if waiting(session) >= MOST_WAITING:
                raise Problem("unavailable", "too many requests wait to be looked at")
            row = JoinRequest(
                operator=operator,
                person=person,
                email=email,
                url=url,
                words=words,
                state="waiting",
                asked_at=hub.clock.now(),
                answer="",
            )
            session.add(row)
            session.flush()
            address = f"{hub.url}/coordination/join/{row.id}"
            template, key = "console/mail/join_asked.txt", f"join-asked:{row.id}"
            notifications.write_to_coordinators(session, hub, key, template, row=row, url=address)
    except IntegrityError:  # sent twice at the same moment
        return session.scalars(same).one()
    return row


def admit(
    session: Session, hub: Hub, request_id: int, account_id: int, answer: str
) -> tuple[JoinRequest, str | None]:
    """Invite who asked, by e-mail. Returns the invitation's token where no mail server is set.

    Raises Problem("conflict") where it was decided before: of two coordinators, one decides.
    """
    token, now = new_token("inv_"), hub.clock.now()
    for _ in range(INVITATION_TRIES):
        try:
            with _undecided(session, request_id) as row:
                made = add_invitation(session, now, token, row.operator, account_id, row.email)
                session.flush()
                _decide(session, hub, row, account_id, "admitted", answer, made)
                facts = {"row": row, "token": token, "invitation": made}
                key, template = f"join-admitted:{row.id}", "console/mail/join_admitted.txt"
                notifications.write(session, hub, key, row.email, template, **facts)
        except IntegrityError:  # somebody else took this id at the same moment
            continue
        return row, None if hub.settings.smtp_url else token
    raise Problem("conflict", "many are being invited under this name")


def decline(session: Session, hub: Hub, request_id: int, account_id: int, answer: str) -> None:
    """Decline with words, which are sent. Raises Problem, as ``admit`` does."""
    with _undecided(session, request_id) as row:
        _decide(session, hub, row, account_id, "declined", answer, None)
        key, template = f"join-declined:{row.id}", "console/mail/join_declined.txt"
        notifications.write(session, hub, key, row.email, template, row=row)


@contextmanager
def _undecided(session: Session, request_id: int) -> Iterator[JoinRequest]:
    """Begin to decide on a request that waits, its row locked. Raises Problem."""
    with write(session):
        row = session.get(JoinRequest, request_id, with_for_update=True, populate_existing=True)
        if row is None or row.state != "waiting":
            raise Problem(*(("not-found",) if row is None else ("conflict", "decided already")))
        yield row


def _decide(
    session: Session,
    hub: Hub,
    row: JoinRequest,
    account_id: int,
    state: str,
    answer: str,
    invitation: Invitation | None,
) -> None:
    row.state, row.answer, row.decided_at = state, answer, hub.clock.now()
    row.decided_by, row.invitation_id = account_id, invitation.id if invitation else None
    subject, who = f"join:{row.id}", f"account:{account_id}"
    audit(session, hub.clock.now(), who, f"join-{state}", subject, before="waiting", after=state)


def purge_expired(session: Session, now: datetime) -> None:
    """Forget who asked, half a year after the answer."""
    with write(session):
        session.execute(delete(JoinRequest).where(JoinRequest.decided_at < now - KEPT_FOR))


# What a coordinator would look at first


def check_new(session: Session, hub: Hub) -> None:
    """Look at the requests that nobody has looked at, the oldest first."""
    query = select(JoinRequest.id).where(
        JoinRequest.state == "waiting", JoinRequest.checked_at.is_(None)
    )
    for request_id in session.scalars(query.order_by(JoinRequest.id).limit(AT_ONCE)).all():
        check(session, hub, request_id)


def check(session: Session, hub: Hub, request_id: int) -> None:
    """Look at a request that waits, and note what is found. Raises Problem("not-found")."""
    row = session.get(JoinRequest, request_id)
    if row is None:
        raise Problem("not-found")
    now, url, email = hub.clock.now(), row.url, row.email
    findings = [_name(session, row.operator), _address(session, now, url)]
    release(session)  # nothing is held while a stranger is asked
    findings += _asked(hub.peers, url, hub.clock.real()) if url else _no_address()
    findings.append(_mail(email, url))
    with write(session):
        row = session.get(JoinRequest, request_id, with_for_update=True, populate_existing=True)
        if row is not None and row.state == "waiting":
            row.checks, row.checked_at = [asdict(one) for one in findings], now


def _name(session: Session, operator: str) -> Finding:
    wanted = slug(operator)
    for node in session.scalars(select(Node).where(Node.state != "left").order_by(Node.id)):
        if slug(node.name) == wanted or node.id == wanted:
            return Finding("name", "warning", "taken", {"name": node.name, "id": node.id})
    return Finding("name", "passed")


def _address(session: Session, now: datetime, url: str) -> Finding:
    if not url:
        return Finding("address", "skipped", "none")
    try:
        check_free(session, now, url)
    except Problem:
        return Finding("address", "failed", "taken")
    return Finding("address", "passed")


def _no_address() -> list[Finding]:
    return [Finding(name, "skipped", "none") for name in NAMES[2:6]]


def _asked(peers: PeerSession, url: str, real: datetime) -> Iterator[Finding]:
    try:
        found = peers.request("GET", f"{url}/healthz", timeout=SECONDS, max_bytes=1 << 16)
    except PeerError as error:
        yield Finding("reachable", "failed", "unreachable", {"reason": error.reason})
        yield findings.certificate(peers, url, real)
        yield Finding("software", "skipped", "unreachable")
        yield Finding("clock", "skipped", "unreachable")
        return
    yield Finding("reachable", "passed")
    yield findings.certificate(peers, url, real)
    yield _software(peers, url, found)
    yield _clock(found, real)


def _software(peers: PeerSession, url: str, health: Answer) -> Finding:
    """A node that is not enrolled yet has no publication; its keys are there all the same."""
    try:
        keys = peers.request("GET", f"{url}/.well-known/jwks.json", timeout=SECONDS).json()
        known = health.status == 200 and bool(keys["keys"])
    except (PeerError, KeyError, TypeError):
        known = False
    return Finding("software", "passed") if known else Finding("software", "warning", "other")


def _clock(found: Answer, real: datetime) -> Finding:
    try:
        said = parsedate_to_datetime(found.headers.get("Date", ""))
    except (ValueError, TypeError):
        return Finding("clock", "skipped", "unreadable")
    said = said if said.tzinfo else said.replace(tzinfo=UTC)
    return findings.clock(int(said.timestamp()), real)


def _mail(email: str, url: str) -> Finding:
    domain, host = email.rpartition("@")[2].lower(), (urlsplit(url).hostname or "").lower()
    params: dict[str, Any] = {"domain": domain, "host": host}
    if not url:
        return Finding("mail", "skipped", "none", params)
    near = host == domain or host.endswith(f".{domain}") or domain.endswith(f".{host}")
    return Finding("mail", "passed" if near else "warning", "ok" if near else "other", params)
