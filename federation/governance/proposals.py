"""From a proposal to the charter in force: proposing, editing, voting, adopting (article 14)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Charter, RulesError, TextError, read_charter, voting
from charter.rules import Vote, nonsense
from federation.audit.service import JOBS, audit
from federation.directory import trust_changes
from federation.directory.models import Node
from federation.governance import service
from federation.governance.models import Ballot, CharterVersion, Signature
from shared.db import begin_write
from shared.problems import Problem

SOURCES = ("rules.toml", "fr.md", "en.md")
# Between the end of a vote and its effect: time for every operator to sign.
SIGNATURE_WINDOW = timedelta(days=14)
UNDER_WAY = ("open", "adopted")


def propose(
    session: Session, now: datetime, node_id: str, sources: Mapping[str, str], argument: str
) -> CharterVersion:
    """Put a text and its rules to the vote; one proposal is under way at a time. Raises Problem."""
    begin_write(session)
    _check_member(session, node_id)
    number = (session.scalar(select(func.max(CharterVersion.number))) or 0) + 1
    charter = _read(session, str(number), sources)
    _check_differs(session, charter)
    row = CharterVersion(
        version=charter.version,
        number=number,
        sources=dict(charter.sources),
        sha256=charter.sha256,
        state="open",
        argument=argument,
        proposed_by=node_id,
        opened_at=now,
    )
    session.add(row)
    told = {"sha256": charter.sha256, "argument": argument[:300]}
    audit(session, now, f"node:{node_id}", "propose", f"charter:{number}", **told)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise Problem("conflict", "another proposal is under way") from None
    return row


def _read(session: Session, version: str, sources: Mapping[str, str]) -> Charter:
    """Read what is proposed. Raises Problem naming every fault."""
    wanted = {name: sources[name] for name in SOURCES}
    try:
        charter = read_charter(version, wanted)
        _check_sense(charter)
    except RulesError as error:
        session.rollback()
        raise Problem("validation", errors={"sources": {"rules.toml": error.faults}}) from None
    except TextError as error:
        session.rollback()
        raise Problem("validation", errors={"sources": {"text": [str(error)]}}) from None
    return charter


def _check_sense(charter: Charter) -> None:
    faults = list(nonsense(charter.rules))
    if faults:
        raise RulesError(faults)


def _check_differs(session: Session, charter: Charter) -> None:
    if dict(service.in_force(session).sources) == dict(charter.sources):
        session.rollback()
        raise Problem("conflict", "this is the charter in force, word for word")


def edit(
    session: Session,
    now: datetime,
    node_id: str,
    version: str,
    sources: Mapping[str, str],
    argument: str,
) -> CharterVersion:
    """Change one's own proposal while its vote is open: the vote starts anew. Raises Problem."""
    begin_write(session)
    row = _own_open(session, now, node_id, version)
    charter = _read(session, version, sources)
    _check_differs(session, charter)
    hashes = {"before": row.sha256, "after": charter.sha256}
    audit(session, now, f"node:{node_id}", "edit-proposal", f"charter:{version}", **hashes)
    row.argument = argument
    if charter.sha256 != row.sha256:
        row.sources, row.sha256, row.opened_at = dict(charter.sources), charter.sha256, now
    session.commit()
    return row


def withdraw(session: Session, now: datetime, node_id: str, version: str) -> CharterVersion:
    """Take one's own proposal back while its vote is open. Raises Problem."""
    begin_write(session)
    row = _own_open(session, now, node_id, version)
    row.state, row.closed_at = "withdrawn", now
    states = {"before": "open", "after": "withdrawn"}
    audit(session, now, f"node:{node_id}", "withdraw-proposal", f"charter:{version}", **states)
    session.commit()
    return row


def _own_open(session: Session, now: datetime, node_id: str, version: str) -> CharterVersion:
    row = _open(session, now, version)
    if row.proposed_by != node_id:
        session.rollback()
        raise Problem("forbidden", "only who proposed it may change it")
    return row


def _open(session: Session, now: datetime, version: str) -> CharterVersion:
    row = session.get(CharterVersion, version, with_for_update=True)
    if row is None:
        session.rollback()
        raise Problem("not-found")
    if row.state != "open" or now >= closes_at(session, row):
        session.rollback()
        raise Problem("conflict", "its vote is closed")
    return row


def _check_member(session: Session, node_id: str) -> None:
    if node_id not in entitled(session):
        session.rollback()
        raise Problem("forbidden", "only who signed the charter in force takes part")


def entitled(session: Session) -> set[str]:
    """Return the operators with a voice: those of the network who signed the charter in force."""
    query = (
        select(Signature.node_id)
        .join(Node, Node.id == Signature.node_id)
        .where(
            Signature.version == service.in_force(session).version,
            Node.state.in_(("connected", "late", "offline")),
        )
    )
    return set(session.scalars(query))


def _rule(session: Session) -> Vote:
    return service.in_force(session).rules.vote


def closes_at(session: Session, row: CharterVersion) -> datetime:
    """Return the end of a vote, under the charter in force."""
    return voting.closes_at(_rule(session), row.opened_at or row.closed_at)


def vote(
    session: Session,
    now: datetime,
    node_id: str,
    version: str,
    choice: str,
    reason: str,
    sha256: str | None = None,
) -> Ballot:
    """Cast an operator's vote on the text as it stands; the last one counts. Raises Problem.

    ``sha256`` is of the text that the voter read: on another one her vote is not taken.
    """
    faults = voting.check_ballot(choice, reason)
    if faults:
        errors = {"reason": ["A “no” gives its reason."]}
        raise Problem("validation", errors=errors if "reason_missing" in faults else {})
    begin_write(session)
    _check_member(session, node_id)
    row = _open(session, now, version)
    if sha256 not in (None, row.sha256):
        session.rollback()
        raise Problem("conflict", "the text has changed since it was read")
    ballot = Ballot(
        version=version,
        node_id=node_id,
        sha256=row.sha256,
        choice=choice,
        reason=reason.strip(),
        at=now,
    )
    session.add(ballot)
    audit(session, now, f"node:{node_id}", "vote", f"charter:{version}", choice=choice)
    session.commit()
    return ballot


def ballots(session: Session, row: CharterVersion) -> list[Ballot]:
    """Return each operator's last ballot on the text as it stands, the first cast first."""
    query = select(Ballot).where(Ballot.version == row.version, Ballot.sha256 == row.sha256)
    if row.opened_at is not None:  # edited and edited back, its vote began anew
        query = query.where(Ballot.at >= row.opened_at)
    last = {ballot.node_id: ballot for ballot in session.scalars(query.order_by(Ballot.id))}
    return sorted(last.values(), key=lambda ballot: ballot.id)


def standing(session: Session, row: CharterVersion, now: datetime) -> voting.Outcome:
    """Return where a vote stands, by the rule in force."""
    cast = [
        voting.Ballot(b.node_id, b.choice, b.reason, b.at, b.sha256)
        for b in session.scalars(
            select(Ballot).where(Ballot.version == row.version).order_by(Ballot.id)
        )
    ]
    proposal = voting.Proposal(row.sha256, row.opened_at or now)
    return voting.outcome(_rule(session), entitled(session), cast, proposal, now)


def advance(session: Session, now: datetime) -> None:
    """Close the vote that is due, and put in force what was adopted and is due."""
    begin_write(session)
    query = select(CharterVersion).where(CharterVersion.state.in_(UNDER_WAY)).with_for_update()
    for row in session.scalars(query).all():
        if row.state == "open":
            _close(session, row, now)
        if row.state == "adopted" and row.effective_at is not None and row.effective_at <= now:
            _put_in_force(session, row, now)
    session.commit()


def _close(session: Session, row: CharterVersion, now: datetime) -> None:
    found = standing(session, row, now)
    if found.state == voting.OPEN:
        return
    row.closed_at = closes_at(session, row)
    row.state, row.outcome = found.state, _shown(found, len(entitled(session)))
    if found.state == voting.ADOPTED:
        row.adopted_at = row.closed_at
        row.effective_at = row.closed_at + SIGNATURE_WINDOW
    told = {"before": "open", "after": row.state, **row.outcome}
    audit(session, now, JOBS, "vote-closed", f"charter:{row.version}", **told)


def _shown(found: voting.Outcome, voters: int) -> dict[str, Any]:
    tally = found.tally
    return {
        "yes": tally.yes,
        "no": tally.no,
        "abstain": tally.abstain,
        "entitled": voters,
        "reason": found.reason,
    }


def _put_in_force(session: Session, row: CharterVersion, now: datetime) -> None:
    current = session.scalar(select(CharterVersion).where(CharterVersion.state == "in_force"))
    if current is not None:
        current.state = "past"
        session.flush()
    row.state = "in_force"
    trust_changes.note(session)
    told = {"before": current and current.version, "after": row.version}
    audit(session, now, JOBS, "in-force", f"charter:{row.version}", **told)
    session.flush()
