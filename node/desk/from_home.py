"""What a home hands to the door in place of a scanned code: for a paper card, or for six digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy.orm import Session

from charter import Fault, decide
from node.context import Node
from node.desk import service
from node.visits.scan import Scan, at_door, read_fresh
from shared.net.http import PeerError
from shared.store.db import release

_WAIT_SECONDS = 1.5


class AtHome(Protocol):
    """Something shown at the desk for which the member's home has the pass."""

    def show(self, session: Session, node: Node, space_id: str) -> str | Fault:
        """Return the pass as the home shows it for this space, or why it does not."""


@at_door()
def check_in(session: Session, node: Node, space_id: str, at_home: AtHome) -> service.Outcome:
    """Check in whoever shows it. Raises Problem or ValidationError."""
    shown = at_home.show(session, node, space_id)
    if isinstance(shown, Fault):
        scan = _refused(session, node, space_id, shown)
        return service.refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    return service.check_in(session, node, space_id, shown)


@at_door()
def preview(session: Session, node: Node, space_id: str, at_home: AtHome) -> Mapping[str, Any]:
    """Return the decision that ``check_in`` would take. Raises Problem or ValidationError."""
    shown = at_home.show(session, node, space_id)
    if isinstance(shown, Fault):
        scan = _refused(session, node, space_id, shown)
        return decide(scan.charter, scan.facts, scan.now).to_json("fr")
    return service.preview(session, node, space_id, shown)


def ask(session: Session, node: Node, url: str, request: str) -> Mapping[str, Any]:
    """Return what a home answers to our signed request; nothing where it does not answer."""
    release(session)  # nothing is kept waiting meanwhile
    try:
        answer = node.peers.request("POST", url, json={"request": request}, timeout=_WAIT_SECONDS)
        document = answer.json()
    except PeerError:
        return {}
    return document if isinstance(document, dict) else {}


def _refused(session: Session, node: Node, space_id: str, fault: Fault) -> Scan:
    scan = read_fresh(session, node, space_id, "")
    scan.facts = replace(scan.facts, faults=(fault,))
    return scan
