"""Suspending a node, and taking it back: what a coordinator decides, and who is told.

The audit log's lines made here (``suspended``, ``connected``, ``left``) are read by votes: they
say when an operator was out of the network.
"""

from __future__ import annotations

from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.charters import proposals
from federation.context import Hub
from federation.nodes import notifications, trust_changes
from federation.nodes.models import Node
from federation.trust import leaving
from shared.store.db import write
from shared.wire.problems import Problem


def set_state(
    session: Session, hub: Hub, node_id: str, state: str, account_id: int, reason: str
) -> Node:
    """Suspend a node, take it back, or note that it has left, for good. Raises Problem.

    Out of the network, it has no open proposal any more: what it had put to the vote is withdrawn.
    Its own people and the other coordinators are told; what is so already is told to nobody.
    """
    with write(session):
        node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
        now = hub.clock.now()  # once its row is held: what is told of it comes in this order
        if node is None:
            raise Problem("not-found")
        if node.state == "left":
            raise Problem("conflict", "this node has left the network")
        before = node.state
        if state == before or (state == "connected" and before != "suspended"):
            return session.get_one(Node, node_id)
        actor = f"account:{account_id}"
        if state == "left":
            leaving.leave(session, now, node, actor, reason)
        else:
            audit(session, now, actor, state, node_id, before=before, after=state, reason=reason)
            node.state = state
            trust_changes.note(session)
        if state == "suspended":
            proposals.withdraw_of(session, now, node_id, actor, state)
        _tell(session, hub, node, account_id, reason)
    return node


def _tell(session: Session, hub: Hub, node: Node, account_id: int, reason: str) -> None:
    key = f"standing:{node.id}:{hub.clock.now():%Y%m%dT%H%M%S%f}"
    facts = {"node": node, "reason": reason, "url": f"{hub.url}/coordination/nodes/{node.id}"}
    template = "console/mail/standing.txt"
    notifications.write_to_coordinators(session, hub, key, template, besides=account_id, **facts)
    own = notifications.contacts(session, [node.id]).get(node.id)
    if own:
        notifications.write(session, hub, key, own, "console/mail/standing_node.txt", **facts)
