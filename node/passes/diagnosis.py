"""Whether a member's pass would work at a space, and whose fault it is where it would not.

The phone looks at itself (``arrive.js``); the rest is looked at from the home.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask_babel import gettext
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import outbox
from node.hub import service as sync
from shared.crypto.trust_list import TrustList


@dataclass(frozen=True, slots=True)
class Check:
    """``part`` is home, hub or host; ``state`` is yes, warn or no; ``words`` say what to do."""

    part: str
    state: str
    words: str


def trial(session: Session, node: Node, host: str, decision: dict[str, Any] | None) -> list[Check]:
    """Look at home, hub and host; ``decision`` is the hub's, None when it was not had."""
    known = sync.network(session, node)
    if known is None:
        return [Check("home", "no", gettext("Your home space is not part of the network yet."))]
    return [
        _home(session, node, known.trust),
        _hub(decision is not None),
        _host(known.trust, host),
    ]


def _home(session: Session, node: Node, trust: TrustList) -> Check:
    entry = trust.nodes.get(sync.node_id(session), {})
    kids = {key["kid"] for key in entry.get("keys", ()) if not key.get("withdrawn")}
    if entry.get("state") in (None, "suspended", "left"):
        return Check(
            "home", "no", gettext("Your home space is suspended from the network: ask it.")
        )
    if entry.get("charter") != trust.charter_version:
        words = gettext("Your home space has not signed the charter in force: ask it to.")
        return Check("home", "no", words)
    if not kids & {key["kid"] for key in node.ring.public_jwks()}:
        words = gettext("The network does not know your home space’s key: tell its admin.")
        return Check("home", "no", words)
    if outbox.waiting(session)["pending"]:
        words = gettext("Your home space has not told the network everything yet: wait a minute.")
        return Check("home", "warn", words)
    return Check("home", "yes", gettext("Your home space vouches for your pass."))


def _hub(answers: bool) -> Check:
    if answers:
        return Check("hub", "yes", gettext("The network answers."))
    words = gettext(
        "The network does not answer your home space. Doors decide with what they last knew."
    )
    return Check("hub", "warn", words)


def _host(trust: TrustList, host: str) -> Check:
    entry = trust.nodes.get(host, {})
    if entry.get("state") in (None, "suspended", "left"):
        return Check("host", "no", gettext("This space does not take part in the network now."))
    if entry.get("charter") != trust.charter_version:
        words = gettext("This space has not signed the charter in force: it welcomes nobody yet.")
        return Check("host", "no", words)
    if entry["state"] != "connected":
        words = gettext("This space was not heard of for a while. Its door may work all the same.")
        return Check("host", "warn", words)
    return Check("host", "yes", gettext("This space is connected to the network."))
