"""What people report about our spaces at the hub, and what we say to that.

The hub keeps it; the last that it told is kept here, so that the console shows it at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import service as sync
from node.hub.models import Cached
from shared.net.http import PeerError
from shared.store.db import release
from shared.wire.problems import Problem

_KEPT = "reports"
_HERE = "/api/v1/nodes/me"


@dataclass(frozen=True, slots=True)
class Told:
    """Reports, the latest first, and our spaces that are kept off the map; ``at`` is real time."""

    reports: tuple[dict[str, Any], ...] = ()
    hidden: tuple[dict[str, Any], ...] = ()
    at: datetime | None = None

    @property
    def waiting(self) -> int:
        """How many wait for a word of ours."""
        unsaid = sum(not each["reply"] for each in self.hidden)
        return unsaid + sum(1 for each in self.reports if each["state"] == "open")


def fetch(session: Session, node: Node) -> None:
    """Ask the hub, and keep what it says in place of what it said before. Raises PeerError."""
    answer = node.hub.call("GET", f"{_HERE}/reports")
    if answer.status != 200:
        raise PeerError("status", str(answer.status))
    _read(answer.body, None)
    body = answer.body.decode()
    kept = session.get(Cached, _KEPT)
    if kept is None or kept.body != body:
        sync.store(session, node.clock.real(), _KEPT, body)


def _read(body: bytes | str, at: datetime | None) -> Told:
    """Read what the hub said. Raises PeerError."""
    try:
        document = orjson.loads(body)
        reports = tuple(
            {
                **{name: str(each[name]) for name in ("id", "space", "words", "at", "state")},
                **{name: str(each.get(name) or "") for name in _OPTIONAL},
            }
            for each in document["reports"]
        )
        hidden = tuple(
            {
                **{name: str(each[name]) for name in ("space", "reason", "hidden_at")},
                "reply": str(each.get("reply") or ""),
            }
            for each in document["hidden"]
        )
        for each in reports:
            datetime.fromisoformat(each["at"])
        for each in hidden:
            datetime.fromisoformat(each["hidden_at"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PeerError("not-json", type(error).__name__) from None
    return Told(reports, hidden, at)


_OPTIONAL = ("kind", "answer", "answer_words", "closed_words")


def told(session: Session) -> Told:
    """Return what the hub last said; nothing before the first time."""
    row = session.get(Cached, _KEPT)
    return _read(row.body, row.fetched_at) if row is not None else Told()


def answer(session: Session, node: Node, report_id: str, outcome: str, words: str) -> None:
    """Say to a report that it is corrected, or is no error. Raises Problem or PeerError.

    The hub has it once this returns, or nothing is changed; said again, it is the same answer.
    """
    if report_id not in {each["id"] for each in told(session).reports}:
        raise Problem("not-found")
    path = f"{_HERE}/reports/{quote(report_id, safe='')}/answer"
    _tell(session, node, path, {"answer": outcome, "words": words})


def reply(session: Session, node: Node, space_id: str, words: str) -> None:
    """Reply to a space of ours being kept off the map. Raises Problem or PeerError."""
    if space_id not in {each["space"] for each in told(session).hidden}:
        raise Problem("not-found")
    _tell(session, node, f"{_HERE}/hidden/{quote(space_id, safe='')}/reply", {"words": words})


def _tell(session: Session, node: Node, path: str, body: dict[str, str]) -> None:
    release(session)  # nothing is held while the hub is asked
    said = node.hub.call("PUT", path, json=body, timeout=5)
    if said.status == 409:
        fetch(session, node)
        raise Problem("conflict", said.json().get("detail"))
    if said.status != 200:
        raise PeerError("status", str(said.status))
    fetch(session, node)
