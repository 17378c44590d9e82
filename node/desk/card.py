"""A paper card at the door: asked of its home, it becomes a pass like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from charter import Fault, decide
from node.context import Node
from node.desk import service
from node.desk.scan import Scan, read_fresh
from node.passes import cards
from node.sync import service as sync
from shared.http import PeerError
from shared.passes import PASS_ID
from shared.problems import Problem

_WAIT_SECONDS = 4.0
# What a home says of a card that it does not show, and what the door makes of it.
_FAULTS: Mapping[Any, Fault] = {
    "pin": Fault("pass_malformed", "pin"),
    "pass_suspended": Fault("pass_suspended", "paper"),
    "pass_revoked": Fault("pass_revoked"),
    "pass_expired": Fault("pass_expired"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A paper card of the network: its home's address, the pass it stands for, the PIN given."""

    home_url: str
    pass_id: str
    pin: str


def read(session: Session, node: Node, text: str, pin: str | None) -> Shown | None:
    """Return the card that a scanned text is, or None. Raises ValidationError without a PIN.

    Homes and their addresses come from the hub's trust list, never from the card.
    """
    base, at, pass_id = text.strip().rpartition(cards.PATH)
    if not at or not PASS_ID.fullmatch(pass_id):
        return None
    known = sync.network(session, node)
    home = base if base == node.url else _home_at(known, base)
    if home is None:
        return None
    if not pin:
        raise ValidationError({"pin": ["This is a paper card: ask for its PIN."]})
    return Shown(home, pass_id, "".join(pin.split()))


def _home_at(known: sync.Network | None, base: str) -> str | None:
    """Return the address of the home that is, or was, at the one on a card."""
    for entry in known.trust.nodes.values() if known else ():
        if base in (entry["url"], *entry.get("former_urls", ())):
            return str(entry["url"])
    return None


def check_in(session: Session, node: Node, space_id: str, card: Shown) -> service.Outcome:
    """Check in whoever shows a card and knows its PIN. Raises Problem or ValidationError."""
    shown = _show(session, node, card)
    if isinstance(shown, Fault):
        scan = _refused(session, node, space_id, shown)
        return service.refuse(session, node, scan, decide(scan.charter, scan.facts, scan.now))
    return service.check_in(session, node, space_id, shown)


def preview(session: Session, node: Node, space_id: str, card: Shown) -> Mapping[str, Any]:
    """Return the decision that ``check_in`` would take. Raises Problem or ValidationError."""
    shown = _show(session, node, card)
    if isinstance(shown, Fault):
        scan = _refused(session, node, space_id, shown)
        return decide(scan.charter, scan.facts, scan.now).to_json("fr")
    return service.preview(session, node, space_id, shown)


def _refused(session: Session, node: Node, space_id: str, fault: Fault) -> Scan:
    scan = read_fresh(session, node, space_id, "")
    scan.facts = replace(scan.facts, faults=(fault,))
    return scan


def _show(session: Session, node: Node, card: Shown) -> str | Fault:
    """Return the pass that the card's home shows for its PIN, or why it does not."""
    try:
        if card.home_url == node.url:
            return cards.show(session, node, card.pass_id, card.pin)
        answer = _ask_home(session, node, card)
    except Problem as problem:
        if problem.slug != "card-refused":
            raise
        answer = problem.extra
    if isinstance(answer.get("pass"), str):
        return str(answer["pass"])
    return _FAULTS.get(answer.get("reason"), Fault("offline_budget", "paper"))


def _ask_home(session: Session, node: Node, card: Shown) -> Mapping[str, Any]:
    request = cards.ask_to_show(node, sync.node_id(session), card.home_url, card.pass_id, card.pin)
    session.rollback()  # nothing is kept waiting while the home is asked
    url = f"{card.home_url}/api/v1/cards/{card.pass_id}/showings"
    try:
        answer = node.peers.request("POST", url, json={"request": request}, timeout=_WAIT_SECONDS)
        document = answer.json()
    except PeerError:
        return {}
    return document if isinstance(document, dict) else {}
