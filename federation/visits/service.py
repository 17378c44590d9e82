"""Recording visits: authorise, count and account, exactly once.

Everything that decides about one person happens under a lock on their row, so that the last
half-day is given once however many doors ask at the same time. What a host tells afterwards
counts for what the phone signed then; what proves nothing is kept for the coordination, and counts
nothing until somebody there has looked at it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from charter import Decision, decide, facts_to_json
from federation.nodes import service as nodes
from federation.visits import showings
from federation.visits.decision_context import Case, gather
from federation.visits.models import Refusal
from shared.base.clock import Clock
from shared.crypto import jose
from shared.crypto.keys import KeyRing
from shared.crypto.passes import Evidence, examine
from shared.store.db import write
from shared.wire.problems import Problem
from shared.wire.reports import TYP, Receipt, Report, read_receipt, read_report, visit_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind`` is recorded, already or refused; a refused one has no visit.

    ``visit`` has a visit's columns as attributes.
    """

    kind: str
    decision: Mapping[str, Any]
    visit: Any = None


@dataclass(frozen=True, slots=True)
class Told:
    """A report and what it proves; ``receipt`` is the hub's own word on a visit it has lost."""

    report: Report
    evidence: Evidence
    token: str
    receipt: Receipt | None = None


def read(
    session: Session, clock: Clock, node_id: str, ring: KeyRing, hub_url: str, token: str
) -> Told:
    """Verify a node's report and the pass in it. Raises Problem or ValidationError.

    What is wrong with the pass is no error: it is among the evidence. Nothing is locked meanwhile,
    and whether the keys may still be used is seen when the visit is decided.
    """
    find_key = nodes.find_key_of(session, node_id, nodes.any_key)
    try:
        found = jose.verify(token, find_key, TYP)
    except jose.TokenFault as fault:
        nodes.active_node(session, node_id)
        raise Problem("proof-invalid", fault.detail) from None
    report = read_report(found)
    if report.host != node_id or report.audience != hub_url:
        raise Problem("proof-invalid", "iss or aud is another")
    receipt = _receipt(report, ring, hub_url)
    if receipt is not None:
        report = replace(report, at=receipt.at, online=receipt.online)
        evidence = Evidence(
            (), receipt.showing, issuer=receipt.home, pass_id=receipt.pass_id, plan=receipt.plan
        )
        return Told(report, evidence, token, receipt)
    if not report.shown:
        raise Problem("proof-invalid", "the receipt is not one of ours")
    if not report.live:  # told late, maybe: the code was fresh then
        clock = clock.standing(report.at - clock.offset)
    keys = partial(nodes.any_key, session)
    return Told(report, examine(report.shown, keys, clock), token)


def _receipt(report: Report, ring: KeyRing, hub_url: str) -> Receipt | None:
    """Return the hub's own receipt that a report carries, if it is one for this host and space."""
    if not report.again or report.receipt is None:
        return None
    try:
        found = read_receipt(report.receipt, ring.find, hub_url)
    except jose.TokenFault:
        return None
    return found if (found.host, found.space) == (report.host, report.space) else None


def record(session: Session, clock: Clock, told: Told) -> Outcome:
    """Decide and record one visit. Safe to repeat: the same showing is the same visit.

    A visit admitted offline is never refused: it counts, with flags for what the hub would
    have said, or is held where it proves nothing. Nor is one that the hub admitted itself.
    """
    try:
        return _record(session, clock, told)
    except IntegrityError:  # somebody else recorded this person at the same moment
        return _record(session, clock, told)


def preview(session: Session, clock: Clock, told: Told) -> Mapping[str, Any]:
    """Return the decision that ``record`` would take; nothing is recorded."""
    with suppress(_NothingRecorded), write(session) as connection:
        case = gather(session, connection, clock, told.report, told.evidence)
        decision = decide(case.charter, case.facts, case.at)
        known = _known(case, told, decision.allowed)
        found: dict[str, Any] = dict(known.decision) if known else decision.to_json("fr")
        raise _NothingRecorded
    return found


class _NothingRecorded(Exception):
    """Undoes a unit of work in which a report was read and decided."""


def _record(session: Session, clock: Clock, told: Told) -> Outcome:
    with suppress(_NothingRecorded), write(session) as connection:
        case = gather(session, connection, clock, told.report, told.evidence)
        decision = decide(case.charter, case.facts, case.at)
        known = _known(case, told, decision.allowed)
        if known is not None:
            if known is not case.this:
                _keep_showing(case, clock, told.report, "seen")
            return Outcome("already", known.decision, known)
        if case.person is not None and (decision.allowed or not told.report.live):
            return _admit(clock, case, told, decision)
        raise _NothingRecorded
    return _refuse(session, clock, case, told.report, decision.to_json("fr"))


def _admit(clock: Clock, case: Case, told: Told, decision: Decision) -> Outcome:
    """Write down a visit, and what is to be said of it."""
    report = told.report
    stored, flags = decision.to_json("fr"), list[str]()
    if not report.live:
        flags = ["told_again" if told.receipt else "offline"]
        flags += dict.fromkeys(reason.code for reason in decision.reasons)
        tolerated = timedelta(hours=case.charter.rules.offline.trust_list_hours)
        if told.receipt is None and clock.now() - case.at > tolerated:
            flags.append("told_late")
        stored = dict(told.receipt.decision if told.receipt else report.decision or stored)
    if case.untold:
        flags.append("pass_untold")
    visit = _add_visit(clock, case, told, stored, flags)
    return Outcome("recorded", stored, visit)


def _known(case: Case, told: Told, allowed: bool) -> Any:
    """Return the visit that a report is about already, or that the person is on.

    At a door, whoever is here is let in again for as long as their pass holds. A visit that is
    told late is known by its showing alone: of another one, it says when that began.
    """
    this, codes = case.this, {fault.code for fault in case.facts.faults}
    if not told.report.live:
        return this
    if (
        this is not None
        and this.state == "open"
        and not this.held
        and "pass_malformed" not in codes
    ):
        return this
    sound = not any(code.startswith(("pass_", "home_")) for code in codes)
    return case.here if sound else None


def _keep_showing(case: Case, clock: Clock, report: Report, kind: str) -> None:
    if case.claimed and kind == "visit":
        return
    told = showings.told_by(report, case.at, clock.now(), kind)
    known = case.claimed or case.showing is not None
    showings.store(case.connection, known, case.evidence.proof, **told)


def _refuse(
    session: Session, clock: Clock, case: Case, report: Report, decision: dict[str, Any]
) -> Outcome:
    """Keep the reasons, without the person, and that the code was refused: of what was undone."""
    facts, now = case.facts, clock.now()
    codes = [reason["code"] for reason in decision["reasons"]]
    refused = {"host_id": facts.host, "space_id": facts.space, "home_id": facts.home}
    with write(session) as connection:
        session.add(Refusal(at=now, codes=codes, **refused))
        case.connection, case.claimed = connection, False
        case.showing = showings.find(connection, case.evidence.proof)
        if report.live and case.evidence.shown_at is not None and case.showing is None:
            _keep_showing(case, clock, report, "refused")
    return Outcome("refused", decision)


def _add_visit(
    clock: Clock,
    case: Case,
    told: Told,
    decision: dict[str, Any],
    flags: list[str],
) -> Any:
    """Write a visit, and all that follows for the person's others; held where it proves nothing."""
    assert case.person is not None  # noqa: S101
    report, evidence, now = told.report, told.evidence, clock.now()
    held = told.receipt.held if told.receipt else None if report.live else case.distrust
    changed = []
    if held is None and showings.used_elsewhere(case.showing, report.space):
        assert case.showing is not None  # noqa: S101
        ours = told.receipt is not None and report.online and not case.showing.live
        if ours or showings.yields(case.showing, case.at, report.host):
            former = case.person.visits.get(visit_id(evidence.proof, case.showing.space_id))
            changed = [case.person.to_change(former)] if former is not None else []
            for visit in changed:
                visit.held, visit.changed_at = showings.REPLAYED, now
        else:
            held = showings.REPLAYED
    if held is None:
        _keep_showing(case, clock, report, "visit")
    ended = max(case.at, min(report.ended_at, now)) if report.ended_at else None
    hours = case.opening_day.openings
    visit = SimpleNamespace(
        id=visit_id(evidence.proof, report.space),
        member_id=case.person.member_id,
        home_id=evidence.issuer,
        host_id=report.host,
        space_id=report.space,
        pass_id=evidence.pass_id,
        plan=evidence.plan,
        proof=evidence.proof,
        state="open",
        held=held,
        disputed=False,
        upheld=False,
        online=report.online,
        timezone=case.zone.key,
        started_at=case.at.astimezone(UTC),
        shown_at=evidence.shown_at or case.at,
        left_at=ended,
        ended_at=None,
        day=case.opening_day.day,
        hours=None if hours is None else [[each.isoformat() for each in both] for both in hours],
        closes_at=case.opening_day.closes_at,
        charter=case.charter.version,
        facts=facts_to_json(case.facts),
        decision=decision,
        flags=flags,
        evidence=_kept(told),
        recorded_at=now,
        changed_at=now,
        void_reason=None,
    )
    case.person.settle(case.charter.rules.opening_hours.split, now, *changed, visit)
    return visit


def _kept(told: Told) -> dict[str, Any]:
    """Return what the hub keeps of a report: what proves the visit, and no name."""
    digest = hashlib.sha256(told.token.encode()).hexdigest()
    return {
        "digest": digest,
        "claims": told.evidence.claims,
        "binding": told.evidence.binding,
    }


def receipt_of(visit: Any, hub_url: str, now: datetime) -> Receipt:
    """Return the hub's word on a visit, by which its host tells it again should we lose it."""
    return Receipt(
        hub=hub_url,
        issued_at=now,
        visit=visit.id,
        host=visit.host_id,
        space=visit.space_id,
        home=visit.home_id,
        pass_id=visit.pass_id,
        plan=visit.plan,
        showing=visit.proof,
        at=visit.started_at,
        online=visit.online,
        held=visit.held,
        charter=visit.charter,
        decision=visit.decision,
    )
