"""Telling nodes that the trust list has changed, so that they ask for it at once: best effort."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from federation.context import Hub
from federation.nodes.models import Node
from federation.trust import trust_list
from shared.net.http import PeerError
from shared.store.db import release

NOTICE_TYP = "passerelle-notice+jwt"
NOTICE_SECONDS = 60
THREADS, SECONDS = 16, 2.0


class Notices:
    """Remembers which list nodes were told of. A process that starts takes them to know."""

    def __init__(self) -> None:
        self._told: datetime | None = None

    def tell(self, session: Session, hub: Hub) -> int:
        """Sign the list if it has to be; tell every node that is here, and return how many.

        Of a change in who is late or offline nobody is told: it is not worth a call.
        """
        head = trust_list.current(session, hub)
        before, self._told = self._told, head.changed_at
        if before in (None, head.changed_at):
            return 0
        here = select(Node.url).where(Node.state.in_(("connected", "late")))
        urls = list(session.scalars(here))
        release(session)  # nothing is held while nodes are told
        issued = int(datetime.now(UTC).timestamp())
        claims = {
            "iss": hub.url,
            "iat": issued,
            "exp": issued + NOTICE_SECONDS,
            "changed": "trust-list",
            "etag": head.etag,
        }
        notice = hub.ring.sign(claims, NOTICE_TYP)

        def send(url: str) -> None:
            with suppress(PeerError):  # it asks by itself within a minute
                hub.peers.request(
                    "POST", f"{url}/api/v1/hub/notices", json={"notice": notice}, timeout=SECONDS
                )

        with ThreadPoolExecutor(THREADS, thread_name_prefix="notices") as pool:
            list(pool.map(send, urls))
        return len(urls)
