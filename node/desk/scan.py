"""One scan at one space: the pass as examined here, and what the space says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from charter import Charter, Facts
from node.context import Node
from node.spaces import service as spaces
from node.spaces.models import Space
from node.sync import service as sync
from shared.http import PeerError
from shared.passes import Evidence, UnknownIssuer, examine
from shared.problems import Problem
from shared.reports import sign_report, visit_id
from shared.spaces import host_facts

REFRESH_AFTER_SECONDS = 2


@dataclass(slots=True)
class Scan:
    """One scan at one space, as far as the node itself knows."""

    space: Space
    shown: str
    now: datetime
    evidence: Evidence
    facts: Facts
    charter: Charter
    held: bool = False

    @property
    def id(self) -> str:
        return visit_id(self.evidence.proof, self.space.id)


def find_space(session: Session, space_id: str) -> Space:
    """Return the space a request names. Raises ValidationError."""
    space = session.get(Space, space_id)
    if space is None:
        raise ValidationError({"space": ["This node has no such space."]})
    return space


def read_fresh(session: Session, node: Node, space_id: str, shown: str) -> Scan:
    """Read a scan; a home that is not known yet may have joined since the list was fetched."""
    scan = _read(session, node, space_id, shown)
    stranger = any(fault.code == "home_unknown" for fault in scan.evidence.faults)
    age = scan.facts.trust_list_age
    if stranger and not node.hub.away and age is not None and age > REFRESH_AFTER_SECONDS:
        try:
            sync.refresh(session, node)
        except PeerError:
            session.rollback()
        scan = _read(session, node, space_id, shown)
    return scan


def _read(session: Session, node: Node, space_id: str, shown: str) -> Scan:
    host = sync.node_id(session)
    space = find_space(session, space_id)
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")

    def key(issuer: str, kid: str) -> Any:
        if issuer == host:
            for own_kid, own_key in node.ring.keys:
                if own_kid == kid:
                    return own_key
            raise UnknownIssuer("key")
        return known.trust.issuer_key(issuer, kid)

    now = node.clock.now()
    document = spaces.document(space, now.date(), node.url)
    facts = Facts(
        host=host,
        online=not node.hub.away,
        **host_facts(document, spaces.schedule(space, now.date()), now),
    )
    evidence = examine(shown, key, node.clock)
    facts = replace(facts, faults=evidence.faults, plan=evidence.plan, home=evidence.issuer)
    facts = replace(facts, usable_from=evidence.usable_from)
    entry = known.trust.nodes.get(host, {})
    facts = replace(
        facts,
        host_state=entry.get("state", "connected"),
        host_signed=entry.get("charter"),
        trust_list_age=int((node.clock.real() - known.fetched_at).total_seconds()),
    )
    return Scan(space, shown.strip(), now, evidence, facts, known.charter)


def report(node: Node, scan: Scan, decision: Mapping[str, Any] | None = None) -> str:
    return sign_report(node.ring, node.hub.url, scan.shown, scan.now, scan.facts, decision)
