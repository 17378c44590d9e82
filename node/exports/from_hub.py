"""What the hub keeps for this operator: its members' visits elsewhere, and its statements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from node.context import Node
from node.exports.parts import Part
from node.hub import service as sync
from node.members.listing import table
from node.statements import service as statements
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem

PAGE = 500
SUFFIXES = ("json", "csv", "pdf", "jws")
_HEAD = ("id", "host", "space", "started_at", "ended_at", "state", "half_days", "charter", "online")


class Silent(Exception):
    """The hub does not say; why."""


def remote_parts(session: Session, node: Node) -> Iterator[Part]:
    """Return the parts that the hub gives. Raises Silent; the parts before it are whole."""
    if sync.enrolment(session) is None:
        raise Silent("not enrolled")
    release(session)
    rows = [[visit.get(name) for name in _HEAD] for visit in _visits(node)]
    yield Part("visits/of-members.csv", table([_HEAD, *rows]))
    try:
        months = [item["month"] for item in statements.every(node, "/api/v1/statements?limit=500")]
    except Problem as problem:
        raise Silent(problem.slug) from None
    for month in months:
        for suffix in SUFFIXES:
            try:
                content = statements.file_of(session, node, month, suffix)
            except Problem as problem:
                if problem.slug == "not-found":  # of before this operator was in the network
                    continue
                raise Silent(problem.slug) from None
            yield Part(f"statements/{month}.{suffix}", content)


def _visits(node: Node) -> Iterator[dict[str, Any]]:
    query: dict[str, Any] = {"side": "home", "limit": PAGE}
    while True:
        page = _ask(node, f"/api/v1/visits?{urlencode(query)}")
        yield from page["items"]
        if page["next_cursor"] is None:
            return
        query["cursor"] = page["next_cursor"]


def _ask(node: Node, path: str) -> Any:
    try:
        answer = node.hub.call("GET", path, timeout=15)
        if answer.status == 200:
            return answer.json()
    except PeerError as error:
        raise Silent(error.reason) from None
    raise Silent(f"status {answer.status}")
