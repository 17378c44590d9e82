"""How many places are free now, for everybody to know: counts, and nothing about who is here."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Charter
from charter.conditions import guest_places
from node.context import Node
from node.hub import contact
from node.hub import service as sync
from node.hub_client import HubClient
from node.spaces.models import Space
from node.spaces.space_row import as_document, find_space, local_day, schedule_of
from node.visits.seats import places_left
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.availability import SAY_AGAIN_SECONDS, TTL_SECONDS
from shared.wire.problems import Problem
from shared.wire.spaces import host_facts

log = structlog.get_logger()

PATH = "/api/v1/availability"
SAY_AGAIN = timedelta(seconds=SAY_AGAIN_SECONDS)
# After an answer that did not take all: a space that is on its way, or a hub that knows no better.
TRY_AGAIN = timedelta(seconds=5)

# By the hub's client, one a process: what the hub was last told, and when to tell it again.
_told: WeakKeyDictionary[HubClient, tuple[list[dict[str, Any]], datetime]] = WeakKeyDictionary()


def availability(session: Session, node: Node) -> dict[str, Any]:
    """Return the document of all our spaces as of now. Raises Problem before the network is known.

    ``as_of`` is RFC 3339, ``ttl`` in seconds.
    """
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    now = node.clock.now()
    ids = session.scalars(select(Space.id).order_by(Space.id)).all()
    return {
        "as_of": now.isoformat(),
        "ttl": TTL_SECONDS,
        "spaces": [_space(session, space_id, known.charter, now) for space_id in ids],
    }


def _space(session: Session, space_id: str, charter: Charter, now: datetime) -> dict[str, Any]:
    row = find_space(session, space_id)
    schedule = schedule_of(row, now)
    facts = host_facts(as_document(row, local_day(row, now)), schedule, now)
    cap = guest_places(charter.rules, facts["guest_cap"])
    places = facts["guest_cap"] if cap is None else cap
    left = places_left(session, charter, row, schedule, now)
    paused = facts["paused"] or facts["closed_date"] is not None
    return {
        "id": space_id,
        "open": facts["opening"] is not None if facts["hours_known"] else None,
        "paused": paused,
        "guest_places": places,
        "guest_places_free": 0 if paused else places if left is None else left,
    }


def tell(session: Session, node: Node) -> bool:
    """Tell the hub, if something changed or some time has passed; says whether it was told.

    Only the latest matters: what could not be told is forgotten. Called every second.
    """
    try:
        said = availability(session, node)
    except Problem:
        return False
    finally:
        release(session)
    now, figures = node.clock.now(), said["spaces"]
    before = _told.get(node.hub)
    if before and before[0] == figures and now < before[1] <= now + SAY_AGAIN:
        return False
    try:
        answer = node.hub.call("POST", PATH, json=said)
    except PeerError as error:
        log.debug("availability.not-told", reason=error.reason)
        return False
    told = answer.json() if answer.status == 200 else {}
    all_of_it = told.get("spaces") == [space["id"] for space in figures]
    _told[node.hub] = figures, now + (SAY_AGAIN if all_of_it else TRY_AGAIN)
    if answer.status != 200:
        log.info("availability.refused", status=answer.status)
        return False
    contact.note_hub(session, now, told)
    return True
