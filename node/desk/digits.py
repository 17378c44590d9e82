"""Six digits at the door, where there is no camera: asked of the home, they become a pass."""

from __future__ import annotations

import re
from dataclasses import dataclass

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from charter import Fault
from node.context import Node
from node.desk import from_home
from node.hub import service as sync
from node.passes import digits, host_requests
from shared.wire.problems import Problem

_SIX = re.compile(r"[0-9]{6}")


@dataclass(frozen=True, slots=True)
class Digits:
    """What a visitor says: their home, and six digits."""

    home_url: str
    code: str

    def show(self, session: Session, node: Node, space_id: str) -> str | Fault:
        """Return the pass for which the digits stand, or why there is none. Raises Problem."""
        host = sync.node_id(session)
        if self.home_url == node.url:
            try:
                return digits.take(session, node, host, space_id, self.code)
            except Problem as problem:
                if problem.slug != "code-refused":
                    raise
                return Fault("pass_malformed", "digits")
        about = {"space": space_id, "code": self.code}
        request = host_requests.sign(node, digits.TYP, host, self.home_url, **about)
        answer = from_home.ask(session, node, f"{self.home_url}{digits.PATH}", request)
        if isinstance(answer.get("pass"), str):
            return str(answer["pass"])
        kind = str(answer.get("type", "")).rpartition("/")[2]
        if kind == "too-many-requests":
            raise digits.too_many()
        refused = kind == "code-refused"
        return Fault("pass_malformed", "digits") if refused else Fault("offline_budget", "digits")


def read(session: Session, node: Node, home: str, code: str) -> Digits:
    """Return what was typed at the desk. Raises ValidationError.

    The home's address comes from the hub's trust list.
    """
    known = sync.network(session, node)
    entry = known.trust.nodes.get(home) if known else None
    if entry is None:
        raise ValidationError({"home": ["No space of the network has this id."]})
    typed = "".join(code.split())
    if not _SIX.fullmatch(typed):
        raise ValidationError({"code": ["Six digits are expected."]})
    return Digits(node.url if home == sync.node_id(session) else entry["url"], typed)
