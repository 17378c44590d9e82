"""The month's account, made from the half-day lines alone: anybody can recompute it.

open → issued → final. An issued month takes in nothing any more: what arrives late, and what is
reversed, is of the next one. A disputed visit is kept out until the dispute is settled.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Charter, outlook
from charter import statement as document
from charter.outlook import Outlook
from charter.settlement import Line
from federation.audit.service import JOBS, audit
from federation.directory.models import Node
from federation.governance import service as governance
from federation.governance.models import CharterVersion
from federation.statements import lines
from federation.statements.models import Dispute, LogCheck, Statement
from federation.visits import changes as visits
from federation.visits.models import HalfDayLine, Member, Visit
from shared.db import begin_write
from shared.problems import Problem

TYP = "passerelle-statement+jwt"
_ZONE = ZoneInfo("Europe/Paris")
_MONTH = re.compile("20[0-9]{2}-(0[1-9]|1[0-2])")


def is_month(text_: str) -> bool:
    return bool(_MONTH.fullmatch(text_))


@dataclass(frozen=True, slots=True)
class Sheet:
    """A month as it stands: all but its lines, and which lines these are."""

    head: Mapping[str, Any]
    totals: tuple[Line, ...]
    chosen: lines.Selection

    @property
    def half_days(self) -> int:
        return sum(line.quantity for line in self.totals)

    @property
    def matrix(self) -> dict[tuple[str, str], int]:
        """Half-days by (home, host), reversals taken off."""
        return {(line.home, line.host): line.quantity for line in self.totals}


def sheet(session: Session, month: str, node_id: str | None = None) -> Sheet:
    """Return a month (``YYYY-MM``) of the network, or of one node's own lines.

    ``balances`` are half-days given minus received and sum to zero over the network;
    ``compensation`` is in cents, positive to receive.
    """
    own = session.get(Statement, month)
    before = session.get(Statement, lines.neighbour(month, -1))
    charter = _charter_of(session, own)
    chosen = lines.select_lines(session, month, node_id)
    totals = tuple(lines.totals(session, chosen))
    nodes = own.nodes if own else session.scalars(select(Node.id).order_by(Node.id)).all()
    carried = own.carried if own else _carry(session, before)
    head: dict[str, Any] = {
        "month": month,
        "state": own.state if own else "open",
        "revision": own.revision if own else 0,
        "issued_at": _stamp(own.issued_at) if own else None,
        "charter": charter.version,
        "disputed": list(own.excluded) if own else lines.disputed(session, before),
        **document.figures(totals, nodes, charter.rules.balance, carried),
    }
    return Sheet(_of_node(head, node_id) if node_id else head, totals, chosen)


def _charter_of(session: Session, own: Statement | None) -> Charter:
    if own is None:
        return governance.in_force(session)
    return governance.as_charter(governance.find(session, own.charter))


def _stamp(instant: datetime) -> str:
    return instant.astimezone(_ZONE).isoformat(timespec="seconds")


def _carry(session: Session, before: Statement | None) -> dict[str, int]:
    """Return what barter brings forward: half-days by node, as the month before left them."""
    carried = sheet(session, before.month).head["carried"] if before is not None else {}
    return {node: count for node, count in carried.items() if count}


def _of_node(head: Mapping[str, Any], node_id: str) -> dict[str, Any]:
    mine = {name: {node_id: head[name].get(node_id, 0)} for name in ("balances", "compensation")}
    carried = {node: count for node, count in head["carried"].items() if node == node_id}
    transfers = [t for t in head["transfers"] if node_id in (t["from"], t["to"])]
    return {**head, "node": node_id, **mine, "carried": carried, "transfers": transfers}


def statement(session: Session, month: str, node_id: str | None = None) -> dict[str, Any]:
    """Return the whole document; for a large month, ``as_bytes`` holds less."""
    found = sheet(session, month, node_id)
    return {
        **found.head,
        "visits": list(lines.visits(session, found.chosen)),
        "corrections": list(lines.corrections(session, found.chosen)),
    }


def as_bytes(session: Session, month: str, node_id: str | None = None) -> bytes:
    """Return the document as canonical JSON: what is signed, and what anybody recomputes."""
    found = sheet(session, month, node_id)
    return document.render(
        found.head,
        lines.visits(session, found.chosen),
        lines.corrections(session, found.chosen),
    )


def outlooks(session: Session, found: Sheet, now: datetime) -> Mapping[str, Outlook]:
    """Return where the month under way is heading, by operator; nothing for any other month."""
    today = now.astimezone(_ZONE).date()
    if found.head["month"] != f"{today:%Y-%m}" or found.head["state"] != "open":
        return {}
    rules = _charter_of(session, None).rules
    return outlook.outlooks(found.totals, found.head["balances"], today, rules)


def statement_of(session: Session, month: str) -> Statement | None:
    """Return what was issued of a month; None while it is open."""
    return session.get(Statement, month)


def issued(session: Session) -> list[Statement]:
    """Return the months that were issued, the latest first."""
    return list(session.scalars(select(Statement).order_by(Statement.month.desc())))


# From open to final


def issue(session: Session, now: datetime, month: str, actor: str) -> Statement:
    """Close a month: from now on it takes in nothing more. Raises Problem.

    Issuing it again changes nothing. Months are issued in order, once they are over, and once the
    one before is final.
    """
    begin_write(session)
    row = session.get(Statement, month)
    if row is not None:
        session.rollback()
        return session.get_one(Statement, month)
    _check_turn(session, now, month)
    if session.get_bind().dialect.name == "postgresql":
        # Lines get their number before they can be seen: whoever is writing one is waited for.
        session.execute(text("LOCK TABLE half_day_line IN SHARE MODE"))
    before = session.get(Statement, lines.neighbour(month, -1))
    charter = governance.in_force(session)
    row = Statement(
        month=month,
        state="issued",
        revision=1,
        cutoff=session.scalar(select(func.max(HalfDayLine.id))) or 0,
        charter=charter.version,
        nodes=list(session.scalars(select(Node.id).order_by(Node.id))),
        carried=_carry(session, before),
        excluded=lines.disputed(session, before),
        issued_at=now,
    )
    session.add(row)
    audit(session, now, actor, "issue", month, before="open", after="issued", cutoff=row.cutoff)
    try:
        session.commit()
    except IntegrityError:  # issued by somebody else at the same moment
        session.rollback()
    return session.get_one(Statement, month)


def _check_turn(session: Session, now: datetime, month: str) -> None:
    """Raise Problem unless this month is over, and the next to be issued."""
    if f"{now.astimezone(_ZONE):%Y-%m}" <= month:
        session.rollback()
        raise Problem("conflict", "this month is not over yet")
    last = session.scalar(select(func.max(Statement.month)))
    due = lines.neighbour(last, 1) if last else session.scalar(select(func.min(HalfDayLine.month)))
    if last is None and month < (due or _founded(session)):
        session.rollback()
        raise Problem("conflict", "there was no visit yet in this month")
    if due is not None and due < month:
        session.rollback()
        raise Problem("conflict", "an earlier month is to be issued first")
    if last is not None and (due != month or session.get_one(Statement, last).state != "final"):
        session.rollback()
        raise Problem("conflict", "the month before is not final yet")


def _founded(session: Session) -> str:
    """Return the month of the first charter."""
    first = session.scalar(select(func.min(CharterVersion.adopted_at)))
    return f"{first.astimezone(_ZONE):%Y-%m}" if first else ""


def deadline(session: Session, row: Statement) -> datetime:
    """Return until when a line can be contested (article 12)."""
    return row.issued_at + timedelta(days=_charter_of(session, row).rules.dispute.days)


def finalise(session: Session, now: datetime, month: str, actor: str = JOBS) -> Statement:
    """Make an issued month final once its lines can no longer be contested. Raises Problem.

    What is still disputed stays out, and is of a later month once it is settled.
    """
    begin_write(session)
    row = session.get(Statement, month, with_for_update=True)
    if row is None or (row.state == "issued" and now < deadline(session, row)):
        session.rollback()
        still = "its lines can be contested yet" if row else "this month is not issued yet"
        raise Problem("conflict", still)
    if row.state == "issued":
        row.state, row.final_at, row.revision = "final", now, row.revision + 1
        audit(session, now, actor, "final", month, before="issued", after="final")
    session.commit()
    return row


def finalise_due(session: Session, now: datetime) -> None:
    """Make final whatever is due."""
    due = [row.month for row in issued(session) if row.state == "issued"]
    for month in due:
        if now >= deadline(session, session.get_one(Statement, month)):
            finalise(session, now, month)


# Disputes


def dispute(
    session: Session, now: datetime, month: str, node_id: str, visit_id: str, reason: str
) -> Dispute:
    """Contest one visit's lines in an issued month, as its home or its host. Raises Problem.

    Contesting it again changes nothing: what is said first is what is settled.
    """
    begin_write(session)
    row = session.get(Statement, month, with_for_update=True)
    if row is None or row.state != "issued" or now >= deadline(session, row):
        session.rollback()
        raise Problem("conflict", "its lines are final" if row else "this month is not issued yet")
    visit = session.get(Visit, visit_id)
    if visit is None or node_id not in (visit.home_id, visit.host_id):
        session.rollback()
        raise Problem("not-found")
    known = session.scalar(select(Dispute).where(Dispute.visit_id == visit_id))
    if known is not None:
        session.rollback()
        return session.get_one(Dispute, known.id)
    if not _has_visit(session, month, visit):
        session.rollback()
        raise Problem("not-found", "this month has no line of this visit")
    found = Dispute(
        month=month, visit_id=visit_id, node_id=node_id, reason=reason, opened_at=now, state="open"
    )
    session.add(found)
    row.excluded, row.revision = sorted({*row.excluded, visit_id}), row.revision + 1
    audit(session, now, f"node:{node_id}", "dispute", visit_id, month=month)
    session.commit()
    return found


def _has_visit(session: Session, month: str, visit: Visit) -> bool:
    chosen = lines.select_lines(session, month)
    query = select(HalfDayLine.id).where(
        chosen.condition,
        HalfDayLine.member_id == visit.member_id,
        HalfDayLine.visit_id == visit.id,
    )
    return session.scalar(query.limit(1)) is not None


def settle(
    session: Session, now: datetime, dispute_id: int, outcome: str, words: str, actor: str
) -> Dispute:
    """Decide a dispute: ``upheld`` reverses the visit, ``rejected`` or ``withdrawn`` lets it stand.

    Raises Problem. A visit that stands is back in its month while that is not final, else in
    the next one. What is reversed is a line of the first month that is open.
    """
    begin_write(session)
    row = session.get(Dispute, dispute_id, with_for_update=True)
    if row is None or row.state not in ("open", outcome):
        session.rollback()
        raise Problem("not-found" if row is None else "conflict", "this dispute is settled")
    if row.state == "open":
        row.state, row.decision, row.decided_at = outcome, words, now
        if outcome == "upheld":
            visit = row.visit
            of_member = select(Member).where(Member.id == visit.member_id)
            session.scalars(of_member.with_for_update()).one()
            visits.void_by_dispute(session, visit, words, now)
        else:
            _take_back(session, row.visit_id)
        told = {"before": "open", "after": outcome, "month": row.month, "reason": words}
        audit(session, now, actor, f"dispute-{outcome}", row.visit_id, **told)
    session.commit()
    return row


def _take_back(session: Session, visit_id: str) -> None:
    for row in session.scalars(select(Statement).where(Statement.state == "issued")):
        if visit_id in row.excluded:
            row.excluded = [each for each in row.excluded if each != visit_id]
            row.revision += 1


def dispute_by(session: Session, dispute_id: int) -> Dispute:
    """Return a dispute. Raises Problem("not-found")."""
    row = session.get(Dispute, dispute_id)
    if row is None:
        raise Problem("not-found")
    return row


def disputes(session: Session, month: str, node_id: str | None = None) -> list[Dispute]:
    """Return what was said against a month's lines, or one node's alone, the oldest first."""
    query = select(Dispute).join(Visit).where(Dispute.month == month).order_by(Dispute.id)
    if node_id is not None:
        query = query.where((Visit.home_id == node_id) | (Visit.host_id == node_id))
    return list(session.scalars(query))


# A node's own log


def log_hash(ids: Iterator[str] | list[str]) -> str:
    """Return the SHA-256, in hex, of visit ids in order, each followed by a line feed."""
    digest = hashlib.sha256()
    for visit_id in sorted(ids):
        digest.update(visit_id.encode() + b"\n")
    return digest.hexdigest()


def check_log(
    session: Session, now: datetime, month: str, host_id: str, count: int, sha256: str
) -> tuple[bool, list[str]]:
    """Compare a host's log of a month's visits with the hub's; note what came of it.

    Returns whether they agree, and, only when they do not, the ids that the hub has.
    """
    ids = _log(session, month, host_id)
    agrees = count == len(ids) and sha256 == log_hash(ids)
    session.rollback()
    begin_write(session)
    row = session.get(LogCheck, (month, host_id))
    if row is None:
        row = LogCheck(month=month, node_id=host_id)
        session.add(row)
    row.visits, row.sha256, row.agrees, row.checked_at = count, sha256, agrees, now
    session.commit()
    return agrees, [] if agrees else sorted(ids)


def _log(session: Session, month: str, host_id: str) -> list[str]:
    """Return the visits of a month at one host's spaces, by their own clocks, that stand."""
    first = datetime.fromisoformat(f"{month}-01T00:00:00+00:00") - timedelta(days=1)
    rows = session.execute(
        select(Visit.id, Visit.started_at, Visit.timezone).where(
            Visit.host_id == host_id,
            Visit.state != "void",
            Visit.started_at >= first,
            Visit.started_at < first + timedelta(days=34),
        )
    )
    return [
        row.id
        for row in rows
        if f"{row.started_at.astimezone(ZoneInfo(row.timezone)):%Y-%m}" == month
    ]


def log_checks(session: Session, month: str) -> dict[str, LogCheck]:
    """Return by node what it last said of its log of a month."""
    rows = session.scalars(select(LogCheck).where(LogCheck.month == month))
    return {row.node_id: row for row in rows}
