"""A paper card at the door: asked of its home, it becomes a pass like any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from charter import Fault
from node.context import Node
from node.desk import from_home
from node.hub import service as sync
from node.passes import cards
from shared.crypto.passes import PASS_ID
from shared.wire.problems import Problem

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

    def show(self, session: Session, node: Node, space_id: str) -> str | Fault:
        """Return the pass that the card's home shows for its PIN, or why it does not."""
        try:
            answer = self._ask(session, node, space_id)
        except Problem as problem:
            if problem.slug != "card-refused":
                raise
            answer = problem.extra
        if isinstance(answer.get("pass"), str):
            return str(answer["pass"])
        return _FAULTS.get(answer.get("reason"), Fault("offline_budget", "paper"))

    def _ask(self, session: Session, node: Node, space_id: str) -> Mapping[str, Any]:
        host = sync.node_id(session)
        if self.home_url == node.url:
            return {"pass": cards.show(session, node, self.pass_id, self.pin, host, space_id)}
        request = cards.ask_to_show(node, host, space_id, self.home_url, self.pass_id, self.pin)
        url = f"{self.home_url}/api/v1/cards/{self.pass_id}/showings"
        return from_home.ask(session, node, url, request)


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
