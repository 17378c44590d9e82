"""The vote on a proposal: its terms, frozen at the opening; who says what; where it stands."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from fractions import Fraction
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, select
from sqlalchemy.orm import Session

from charter import voting
from charter.rules import Vote
from federation.audit.models import AuditEntry
from federation.audit.service import audit
from federation.charters import service
from federation.charters.models import Ballot, CharterVersion, Signature
from federation.nodes.models import Node
from shared.store.db import write
from shared.wire.problems import Problem

IN_NETWORK = ("connected", "late", "offline")
# What the audit log calls a change of an operator's standing; the first two put it out.
_STANDINGS = ("suspended", "left", "connected")


def entitled(session: Session) -> set[str]:
    """Return the operators with a voice now: in the network, the charter in force signed."""
    query = (
        select(Signature.node_id)
        .join(Node, Node.id == Signature.node_id)
        .where(Signature.version == service.in_force(session).version, Node.state.in_(IN_NETWORK))
    )
    return set(session.scalars(query))


def open_vote(session: Session, now: datetime, row: CharterVersion) -> None:
    """Open the vote on a version as it stands, or open it anew, and write down what is promised.

    In the caller's transaction; what the row has from here on holds until the vote is closed.
    """
    current = service.in_force(session)
    rule, electorate = current.rules.vote, entitled(session)
    proposal = voting.Proposal("", now, rule, frozenset(electorate))
    row.state, row.base = "open", current.version
    row.proposal_sha256 = voting.proposal_fingerprint(row.version, row.sources, row.argument)
    row.opened_at, row.closes_at = now, proposal.closes_at
    row.days, row.quorum, row.majority = rule.days, str(rule.quorum), str(rule.majority)
    row.electorate = sorted(electorate)


def terms(row: CharterVersion) -> voting.Proposal | None:
    """Return a proposal on the terms of its opening; None for a version without such a vote."""
    if row.electorate is None or row.opened_at is None or not row.quorum or not row.majority:
        return None
    rule = service.as_charter(row).rules.vote  # for the number of its article alone
    promised = Vote(rule.article, Fraction(row.quorum), Fraction(row.majority), row.days or 0)
    return voting.Proposal(
        row.proposal_sha256 or "", row.opened_at, promised, frozenset(row.electorate)
    )


def lock_voter(session: Session, node_id: str) -> None:
    """Hold an operator's standing until the caller's transaction ends. Raises Problem.

    It is taken before the row of a version, as by who suspends an operator.
    """
    node = session.get(Node, node_id, with_for_update={"read": True}, populate_existing=True)
    if node is None or node.state not in IN_NETWORK:
        raise Problem("forbidden")


def lock_open(session: Session, now: datetime, version: str) -> CharterVersion:
    """Return a version whose vote is open, its row locked. Raises Problem."""
    row = session.get(CharterVersion, version, with_for_update=True, populate_existing=True)
    if row is None:
        raise Problem("not-found")
    if row.state != "open" or row.closes_at is None or now >= row.closes_at:
        raise Problem("conflict", "its vote is closed")
    return row


def vote(
    session: Session,
    now: datetime,
    node_id: str,
    version: str,
    choice: str,
    reason: str,
    proposal_sha256: str | None = None,
) -> Ballot:
    """Cast an operator's vote on the proposal as it stands; the last one counts. Raises Problem.

    ``proposal_sha256`` is of what the voter read: on anything else the vote is not taken.
    """
    faults = voting.check_ballot(choice, reason)
    if faults:
        errors = {"reason": ["A “no” gives its reason."]}
        raise Problem("validation", errors=errors if "reason_missing" in faults else {})
    with write(session):
        lock_voter(session, node_id)
        row = lock_open(session, now, version)
        if node_id not in (row.electorate or ()):
            raise Problem("forbidden", "only who had signed when this vote opened takes part in it")
        if proposal_sha256 not in (None, row.proposal_sha256):
            raise Problem("conflict", "the text has changed since it was read")
        ballot = Ballot(
            version=version,
            node_id=node_id,
            proposal_sha256=row.proposal_sha256,
            choice=choice,
            reason=reason.strip(),
            at=now,
        )
        session.add(ballot)
        audit(session, now, f"node:{node_id}", "vote", f"charter:{version}", choice=choice)
    return ballot


def ballots(
    session: Session,
    row: CharterVersion,
    *,
    only: str | None = None,
    after: str = "",
    limit: int | None = None,
) -> Sequence[Ballot]:
    """Return each operator's last ballot on the proposal as it stands, by the operators' ids.

    ``only`` one operator's; from behind the id ``after``, as many as ``limit``.
    """
    last = select(func.max(Ballot.id)).where(_on(row)).group_by(Ballot.node_id)
    query = select(Ballot).where(Ballot.id.in_(last), Ballot.node_id > after)
    if only is not None:
        query = query.where(Ballot.node_id == only)
    return session.scalars(query.order_by(Ballot.node_id).limit(limit)).all()


def number_of_ballots(
    session: Session, row: CharterVersion, among: Collection[str] | None = None
) -> int:
    """Return how many operators have voted on the proposal as it stands, of all or of some."""
    query = select(func.count(Ballot.node_id.distinct())).where(_on(row))
    if among is not None:
        query = query.where(Ballot.node_id.in_(among))
    return session.scalar(query) or 0


def _on(row: CharterVersion) -> ColumnElement[bool]:
    """Edited and edited back, a vote began anew: what was cast before is none."""
    if row.opened_at is None:
        return false()
    return and_(
        Ballot.version == row.version,
        Ballot.proposal_sha256 == row.proposal_sha256,
        Ballot.at >= row.opened_at,
    )


def out_of_network(session: Session, row: CharterVersion, now: datetime) -> frozenset[str]:
    """Return the electors whose ballots are suspended: as of now, or of the deadline once over."""
    promised = terms(row)
    if promised is None:
        return frozenset()
    return voting.out_of_network(promised, _standings(session, promised), now)


def _standings(session: Session, promised: voting.Proposal) -> list[voting.Standing]:
    """Return the changes since the opening, when every elector was in the network.

    They come from the audit log: it says when each change was, and nothing alters it.
    """
    query = (
        select(AuditEntry.subject, AuditEntry.action, AuditEntry.at)
        .where(
            AuditEntry.at >= promised.opened_at,
            AuditEntry.at < promised.closes_at,
            AuditEntry.action.in_(_STANDINGS),
        )
        .order_by(AuditEntry.id)
    )
    return [
        voting.Standing(entry.subject, entry.action != "connected", entry.at)
        for entry in session.execute(query)
    ]


def outcome(session: Session, row: CharterVersion, now: datetime) -> voting.Outcome:
    """Return where a vote stands, on the terms of its opening. Raises ValueError without a vote."""
    promised = terms(row)
    if promised is None:
        raise ValueError("this version was not put to a vote with terms")
    cast = [
        voting.Ballot(b.node_id, b.choice, b.reason, b.at, b.proposal_sha256)
        for b in ballots(session, row)
    ]
    return voting.outcome(promised, cast, _standings(session, promised), now)


def counted(found: voting.Outcome, electors: int) -> dict[str, Any]:
    """Return an outcome as it is kept and told."""
    return {**asdict(found.tally), "entitled": electors, "reason": found.reason}
