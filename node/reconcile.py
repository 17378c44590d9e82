"""Making this node and the network agree again after one of them has forgotten something.

A database may have been restored from a backup, here or at the hub. Both sides are compared, and
each takes from the other what it has lost; nothing of it counts twice.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.orm import Session

from node.bookings import restore
from node.context import Node
from node.desk import reconcile_visits as visits
from node.hub import checkpoint, hub_registration, outbox
from node.hub import service as sync
from node.passes import reconcile_passes as passes
from node.spaces import service as spaces
from shared.store.db import release, write

log = structlog.get_logger()


def converge(session: Session, node: Node) -> None:
    """Compare with the hub where it is time, and ask partners for what is left. Raises PeerError.

    What was not finished is done again the next time.
    """
    if checkpoint.exchange(session, node):
        _compare(session, node)
    restore.ask_due(session, node)


def _compare(session: Session, node: Node) -> None:
    row = checkpoint.memory(session)
    forgot = row is not None and row.behind is not None and row.compared_at is None
    copies = row is not None and row.copies
    release(session)
    if forgot and not copies:
        _tell_all(session, node)
    visited, passed = visits.compare(session, node), passes.compare(session, node)
    found: dict[str, Any] = {"visits": visited, "passes": passed}
    log.info("compared", visits=visited, passes={**passed, "members": len(passed["members"])})
    checkpoint.compared(session, node.clock.now(), found if forgot else None)
    outbox.flush(session, node)


def _tell_all(session: Session, node: Node) -> None:
    """Publish, sign, and ask partners anew: what they had of us may be gone, or ours of them."""
    known, own = sync.network(session, node), sync.node_id(session)
    partners = [name for name in known.trust.nodes if name != own] if known else []
    with write(session):
        spaces.queue_publication(session, node)
    with checkpoint.locked(session) as row:
        row.to_ask = partners
    hub_registration.sign_again(session, node)
