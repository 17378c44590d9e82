"""One scan at one space: the pass as examined here, beside what the space says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from nacl.signing import VerifyKey
from sqlalchemy.orm import Session

from charter import NOT_YET, Charter, Facts
from charter.conditions import NOON, read_conditions
from charter.hours import Schedule
from node.context import Node
from node.hub import service as sync
from node.spaces.space_row import as_document, find_space, local_day, schedule_of
from shared.base import deadline
from shared.base.clock import Clock
from shared.crypto.passes import Evidence, UnknownIssuer, examine
from shared.crypto.trust_list import EVER
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem
from shared.wire.reports import sign_report, visit_id
from shared.wire.spaces import host_facts

REFRESH_AFTER_SECONDS = 2
# Of whoever stands at the door, for all that is asked of others.
ASK_SECONDS = 1.8


@contextmanager
def at_door() -> Iterator[None]:
    """Do what follows for somebody who waits: what is not answered in time goes on without."""
    with deadline.within(ASK_SECONDS):
        yield


@dataclass(slots=True)
class Scan:
    """One scan at one space, as far as the node itself knows."""

    shown: str
    now: datetime
    evidence: Evidence
    facts: Facts
    schedule: Schedule
    network: sync.Network
    booked_places: int  # that visitors who have booked share
    held: bool = False
    member_id: int | None = None  # of this house
    by_poster: bool = False
    late: bool = False  # told afterwards, by a desk's browser
    report: str = ""  # what the hub was told

    @property
    def space_id(self) -> str:
        return self.facts.space

    @property
    def charter(self) -> Charter:
        return self.network.charter

    @property
    def id(self) -> str:
        return visit_id(self.evidence.proof, self.space_id)


def read_fresh(
    session: Session, node: Node, space_id: str, shown: str, clock: Clock | None = None
) -> Scan:
    """Read a scan; a home that is not known yet may have joined since the list was fetched.

    ``clock`` is another than the node's own for a scan that is told late. Where this clock and the
    hub's differ, the phone's, which has signed the code, says which of the two is wrong.
    """
    late = clock is not None
    clock = clock or node.clock
    scan = _read(session, node, space_id, shown, clock, late)
    node.hub.wrong_clock = "hub" if node.hub.ahead else None
    if node.hub.ahead and scan.evidence.faults:
        by_hub = clock.standing(clock.real() - timedelta(seconds=node.hub.ahead))
        corrected = _read(session, node, space_id, shown, by_hub, late)
        if len(corrected.evidence.faults) < len(scan.evidence.faults):
            scan, clock, node.hub.wrong_clock = corrected, by_hub, "node"
    stranger = any(fault.code == "home_unknown" for fault in scan.evidence.faults)
    age = scan.facts.trust_list_age
    if stranger and not node.hub.away and age is not None and age > REFRESH_AFTER_SECONDS:
        try:
            sync.refresh(session, node)
        except PeerError:
            release(session)
        scan = _read(session, node, space_id, shown, clock, late)
    return scan


def _read(
    session: Session, node: Node, space_id: str, shown: str, clock: Clock, late: bool
) -> Scan:
    host = sync.node_id(session)
    space = find_space(session, space_id)
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")

    def key(issuer: str, kid: str) -> VerifyKey:
        # What a browser let in counts by what the hub knew when the key was withdrawn.
        if issuer != host:
            return known.trust.issuer_key(issuer, kid, EVER if late else None)
        own = node.ring.public_key(kid)
        if own is None:
            raise UnknownIssuer("key")
        if known.trust.withdrawn(host, kid) and not late:
            raise UnknownIssuer("withdrawn")
        return own

    now = clock.now()
    schedule = schedule_of(space, now)
    evidence = examine(shown, key, clock)
    if evidence.issuer == host:  # in their own house members are in from the first day
        faults = tuple(fault for fault in evidence.faults if fault != NOT_YET)
        evidence = replace(evidence, faults=faults)
    entry = known.trust.nodes.get(host, {})
    facts = Facts(
        faults=evidence.faults,
        plan=evidence.plan,
        usable_from=evidence.usable_from,
        paper=evidence.paper,
        home=evidence.issuer,
        host=host,
        host_state=entry.get("state", "connected"),
        host_signed=entry.get("charter"),
        online=not node.hub.away,
        trust_list_age=max(0, int((clock.real() - known.fetched_at).total_seconds())),
        **host_facts(as_document(space, local_day(space, now)), schedule, now),
    )
    local = now.astimezone(schedule.zone)
    places = read_conditions(space._mapping).guests_on(local.date())  # noqa: SLF001
    booked_places = places[local.time() >= NOON]
    return Scan(evidence.text, now, evidence, facts, schedule, known, booked_places)


def report(
    node: Node,
    scan: Scan,
    decision: Mapping[str, Any] | None = None,
    ended_at: datetime | None = None,
) -> str:
    return sign_report(
        node.ring, node.hub.url, scan.shown, scan.now, scan.facts, decision, ended_at
    )
