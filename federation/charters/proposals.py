"""Proposing a charter, editing the proposal, and withdrawing it (article on governance)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from charter import Charter, RulesError, TextError, read_charter
from charter.rules import nonsense
from charter.voting import MOST_EDITS, proposal_fingerprint
from federation.audit.service import audit
from federation.charters import service, votes
from federation.charters.models import CharterVersion, FormerText
from shared.store.db import write
from shared.wire.problems import Problem

SOURCES = ("rules.toml", "fr.md", "en.md")


def propose(
    session: Session, now: datetime, node_id: str, sources: Mapping[str, str], argument: str
) -> CharterVersion:
    """Put a text and its rules to the vote. Raises Problem.

    An operator has one open proposal at most; others may have theirs at the same time. Who
    withdrew one waits for as many days as its vote was to last: else withdrawing it and proposing
    anew would be an edit that nothing counts, and would call everybody to vote again at will.
    """
    with write(session):
        votes.lock_voter(session, node_id)
        _lock_in_force(session)
        _check_entitled(session, node_id)
        if session.scalar(_open_of(node_id)) is not None:
            raise Problem("conflict", "your operator has an open proposal: edit it, or withdraw it")
        _check_rested(session, now, node_id)
        number = (session.scalar(select(func.max(CharterVersion.number))) or 0) + 1
        charter = _read(str(number), sources)
        _check_differs(session, charter)
        row = CharterVersion(
            version=charter.version,
            number=number,
            sources=dict(charter.sources),
            sha256=charter.sha256,
            argument=argument,
            proposed_by=node_id,
        )
        votes.open_vote(session, now, row)
        session.add(row)
        told = {"sha256": row.proposal_sha256, "argument": argument[:300]}
        audit(session, now, f"node:{node_id}", "propose", f"charter:{number}", **told)
    return row


def _lock_in_force(session: Session) -> None:
    """Let proposals be made one after the other: each has a number of its own."""
    query = select(CharterVersion.version).where(CharterVersion.state == "in_force")
    session.execute(query.with_for_update())


def _check_entitled(session: Session, node_id: str) -> None:
    if node_id not in votes.entitled(session):
        raise Problem("forbidden", "only who signed the charter in force takes part")


def _open_of(node_id: str) -> Select[CharterVersion]:
    return select(CharterVersion).where(
        CharterVersion.proposed_by == node_id, CharterVersion.state == "open"
    )


def _check_rested(session: Session, now: datetime, node_id: str) -> None:
    query = select(CharterVersion).where(
        CharterVersion.proposed_by == node_id, CharterVersion.withdrawn_because == "proposer"
    )
    last = session.scalar(query.order_by(CharterVersion.closed_at.desc()).limit(1))
    if last is None or last.closed_at is None:
        return
    until = last.closed_at + timedelta(days=last.days or 0)
    if now < until:
        at = until.astimezone(UTC)
        words = f"your operator withdrew a proposal: it proposes again from {at:%Y-%m-%d %H:%M} UTC"
        raise Problem("conflict", words)


def _read(version: str, sources: Mapping[str, str]) -> Charter:
    """Read what is proposed. Raises Problem naming every fault."""
    wanted = {name: sources[name] for name in SOURCES}
    try:
        charter = read_charter(version, wanted)
        _check_sense(charter)
    except RulesError as error:
        raise Problem("validation", errors={"sources": {"rules.toml": error.faults}}) from None
    except TextError as error:
        raise Problem("validation", errors={"sources": {"text": [str(error)]}}) from None
    return charter


def _check_sense(charter: Charter) -> None:
    faults = list(nonsense(charter.rules))
    if faults:
        raise RulesError(faults)


def _check_differs(session: Session, charter: Charter) -> None:
    if dict(service.in_force(session).sources) == dict(charter.sources):
        raise Problem("conflict", "this is the charter in force, word for word")


def edit(
    session: Session,
    now: datetime,
    node_id: str,
    version: str,
    sources: Mapping[str, str],
    argument: str,
) -> CharterVersion:
    """Change one's own proposal while its vote is open: the vote starts anew. Raises Problem.

    What it said before is kept, and can be read. It is changed ``MOST_EDITS`` times at most; the
    very same again is no change.
    """
    with write(session):
        votes.lock_voter(session, node_id)
        row = _own_open(session, now, node_id, version)
        _check_entitled(session, node_id)
        charter = _read(version, sources)
        _check_differs(session, charter)
        before = row.proposal_sha256 or ""
        after = proposal_fingerprint(version, charter.sources, argument)
        if after != before:
            _keep_former(session, now, row, node_id)
            row.sources, row.sha256 = dict(charter.sources), charter.sha256
            row.argument = argument
            votes.open_vote(session, now, row)
            hashes = {"before": before, "after": after}
            audit(session, now, f"node:{node_id}", "edit-proposal", f"charter:{version}", **hashes)
    return row


def _keep_former(session: Session, now: datetime, row: CharterVersion, node_id: str) -> None:
    number = len(former_texts(session, row.version)) + 1
    if number > MOST_EDITS:
        words = f"a proposal is changed {MOST_EDITS} times at most"
        raise Problem("conflict", words)
    session.add(
        FormerText(
            version=row.version,
            number=number,
            sources=dict(row.sources),
            argument=row.argument,
            sha256=row.sha256,
            proposal_sha256=row.proposal_sha256,
            opened_at=row.opened_at,
            edited_at=now,
            edited_by=node_id,
        )
    )


def former_texts(session: Session, version: str) -> Sequence[FormerText]:
    """Return what a proposal said before each edit, the first one first."""
    query = select(FormerText).where(FormerText.version == version)
    return session.scalars(query.order_by(FormerText.number)).all()


def withdraw(session: Session, now: datetime, node_id: str, version: str) -> CharterVersion:
    """Take one's own proposal back while its vote is open. Raises Problem."""
    with write(session):
        row = _own_open(session, now, node_id, version)
        _withdraw(session, now, row, f"node:{node_id}", "proposer")
    return row


def withdraw_of(session: Session, now: datetime, node_id: str, actor: str, because: str) -> None:
    """Withdraw the open proposal of an operator that is ``suspended``, or has ``left``.

    In the caller's transaction, which holds the node's row. A vote whose deadline has come is
    closed: its result stands.
    """
    query = _open_of(node_id).where(CharterVersion.closes_at > now).with_for_update()
    for row in session.scalars(query.execution_options(populate_existing=True)):
        _withdraw(session, now, row, actor, because)


def _withdraw(
    session: Session, now: datetime, row: CharterVersion, actor: str, because: str
) -> None:
    row.state, row.closed_at, row.withdrawn_because = "withdrawn", now, because
    told = {"before": "open", "after": "withdrawn", "reason": because}
    audit(session, now, actor, "withdraw-proposal", f"charter:{row.version}", **told)


def _own_open(session: Session, now: datetime, node_id: str, version: str) -> CharterVersion:
    row = votes.lock_open(session, now, version)
    if row.proposed_by != node_id:
        raise Problem("forbidden", "only who proposed it may change it")
    return row
