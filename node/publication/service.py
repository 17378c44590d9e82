"""What the node publishes, as documents with versions; telling the hub which of them changed.

The hub's word on each is kept beside it. A delta leaves out what the hub accepted; a hub that lacks
one of those says so, and is sent all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.events.listing import published as published_events
from node.hub import outbox
from node.hub import service as sync
from node.hub.models import Enrolment
from node.members.models import Plan
from node.photos.listing import published as published_photos
from node.publication.document import document
from node.spaces import service as spaces
from node.spaces.models import Document, Space
from node.spaces.service import TOPIC, queue_publication
from shared.net.http import Answer, PeerError
from shared.store.db import release, write
from shared.wire.documents import DOCUMENTS_TYP, fingerprint, index_hash, split
from shared.wire.problems import Problem
from shared.wire.spaces import PUBLICATION_TYP

PATH = "/api/v1/publications"
SECONDS = 5
# A delta, then perhaps a higher revision, then perhaps all documents.
TRIES = 4


@dataclass(frozen=True, slots=True)
class Said:
    """What the node says of itself now: ``index`` has each document's hash and version."""

    node_id: str
    name: str
    plans: dict[str, int | None]
    spaces: list[dict[str, Any]]
    bodies: dict[str, dict[str, Any]]
    index: dict[str, dict[str, Any]]
    revision: int
    changed: bool  # since it was last recorded

    @property
    def etag(self) -> str:
        return index_hash({name: entry["sha256"] for name, entry in self.index.items()})


def say(session: Session, node: Node) -> Said:
    """Return what is to be published now; nothing is written. Raises Problem before enrolment.

    What is not recorded yet has the version and the revision that recording will give it.
    """
    row = sync.enrolment(session)
    if row is None:
        raise Problem("unavailable", "this node is not enrolled yet")
    plans = _plans(session)
    rows = spaces.published(session, node.clock.now())
    described = [full_document(session, node, row) for row in rows]
    bodies = split(node.settings.name, plans, described)
    held = {each.name: each for each in documents(session)}
    index = {}
    for name, body in bodies.items():
        sha256, known = fingerprint(body), held.get(name)
        version = 1 if known is None else known.version + (known.sha256 != sha256)
        index[name] = {"sha256": sha256, "version": version}
    changed = {name: entry["sha256"] for name, entry in index.items()} != {
        name: each.sha256 for name, each in held.items()
    }
    return Said(
        row.node_id,
        node.settings.name,
        plans,
        described,
        bodies,
        index,
        row.revision + changed,
        changed,
    )


def full_document(session: Session, node: Node, row: Space) -> dict[str, Any]:
    """Return a space's document as of now, with its events and photos."""
    now = node.clock.now()
    events = published_events(session, row.id, now, row.timezone)
    photos = published_photos(session, row.id, node.url)
    return document(row, spaces.today(row, now), node.url, events, photos)


def _plans(session: Session) -> dict[str, int | None]:
    plans: dict[str, int | None] = {}
    for plan in session.scalars(select(Plan).order_by(Plan.id)):
        # A pass names the class alone: of two plans of one class, the larger holds.
        known, own = plans.get(plan.plan_class, 0), plan.half_days_per_month
        plans[plan.plan_class] = None if known is None or own is None else max(known, own)
    return plans


def documents(session: Session) -> list[Document]:
    """Return the documents as last recorded, by name."""
    return list(session.scalars(select(Document).order_by(Document.name)))


def publication(session: Session, node: Node) -> tuple[str, str]:
    """Return the whole signed publication and its ETag. Raises Problem before enrolment."""
    said = say(session, node)
    return _whole(node, said), said.etag


def _whole(node: Node, said: Said) -> str:
    content = {"iss": said.node_id, "name": said.name, "plans": said.plans, "spaces": said.spaces}
    return _sign(node, said, PUBLICATION_TYP, **content)


def _sign(node: Node, said: Said, typ: str, **content: Any) -> str:
    issued = int(node.clock.real().timestamp())
    claims = {**content, "documents": said.index, "iat": issued, "revision": said.revision}
    return node.ring.sign(claims, typ)


def record(session: Session, node: Node) -> tuple[Said, dict[str, Document]]:
    """Note which documents changed, in the caller's transaction, under the enrolment's row.

    A change that nobody announced (a day passed, an event is over) is a new revision, too.
    """
    row = session.get_one(Enrolment, 1, with_for_update=True, populate_existing=True)
    said, now = say(session, node), node.clock.now()
    held = {each.name: each for each in documents(session)}
    for name in held.keys() - said.index.keys():
        session.delete(held.pop(name))
    for name, entry in said.index.items():
        if name not in held:
            held[name] = Document(name=name, changed_at=now, **entry)
            session.add(held[name])
        elif held[name].sha256 != entry["sha256"]:
            each = held[name]
            each.sha256, each.version, each.changed_at = entry["sha256"], entry["version"], now
    row.revision = said.revision
    return said, held


def keep_up(session: Session, node: Node) -> None:
    """Record what changed, and see that the hub is told: also what only the day changed."""
    said, waiting = say(session, node), _is_owed(session)
    release(session)
    if not said.changed and not waiting:
        return
    with write(session):
        record(session, node)
        if not outbox.is_queued(session, TOPIC):
            queue_publication(session, node)


def _is_owed(session: Session) -> bool:
    """Tell whether the hub lacks something that it never refused, and no message says so."""
    row = sync.enrolment(session)
    if row is None or row.publication_fault or outbox.is_queued(session, TOPIC):
        return False
    return any(each.state == "waiting" for each in documents(session))


# Telling the hub


def _deliver(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
    """Send what the hub lacks, as it is now: a later revision makes an earlier message harmless."""
    del payload
    everything = False
    for _ in range(TRIES):
        with write(session):
            said, held = record(session, node)
            lacking = {
                name: body
                for name, body in said.bodies.items()
                if everything or held[name].accepted_sha256 != said.index[name]["sha256"]
            }
        token = _sign(node, said, DOCUMENTS_TYP, iss=said.node_id, bodies=lacking)
        answer = node.hub.call("POST", PATH, json={"documents": token}, timeout=SECONDS)
        if answer.status == 409 and b"/problems/documents-missing" in answer.body:
            everything = True
        elif answer.status == 200 and answer.json()["revision"] > said.revision:
            _catch_up(session, answer.json())
        else:
            break
    if answer.status == 422 and "publication" in answer.json().get("errors", {}):
        # a hub of before documents: it takes the whole or nothing
        whole = {"publication": _whole(node, said)}
        return node.hub.call("POST", PATH, json=whole, timeout=SECONDS)
    return answer


def _catch_up(session: Session, told: Mapping[str, Any]) -> None:
    """Go on from where the hub is: this database is older than what the hub was once told.

    What is here now is what holds; it takes numbers that were never given to anything else.
    """
    with write(session):
        row = session.get_one(Enrolment, 1, with_for_update=True)
        if told["revision"] > row.revision:
            row.revision = told["revision"] + 1
        for each in documents(session):
            theirs = told.get("documents", {}).get(each.name)
            if theirs and theirs["sha256"] != each.sha256:
                each.version = max(each.version, theirs["version"] + 1)


def _receipt(session: Session, node: Node, payload: Mapping[str, Any], answer: Answer) -> None:
    """Note the hub's word on each document. An answer older than one noted before says nothing."""
    row = session.get(Enrolment, 1, with_for_update=True)
    if row is None:
        return
    if answer.status != 200:
        row.publication_fault = _fault(answer)
        return
    told = answer.json()
    if told["revision"] < row.accepted_revision:
        return
    row.accepted_revision = told["revision"]
    row.accepted_at = datetime.fromisoformat(told["published_at"])
    refused = {}
    for each in documents(session):
        # A hub of before documents took them all.
        word = told.get("documents", {each.name: _taken(each, told)}).get(each.name)
        if word is not None:
            _note(each, word)
        if each.state == "refused" and word is not None:
            refused[each.name] = word["errors"]
    row.publication_fault = (
        {"title": "Some of what was sent is missing or wrong", "errors": refused}
        if refused
        else None
    )


def _taken(each: Document, told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "state": "accepted",
        "sha256": each.sha256,
        "version": each.version,
        "at": told["published_at"],
    }


def _note(each: Document, word: Mapping[str, Any]) -> None:
    if word["state"] == "refused":
        each.refused = {name: word[name] for name in ("sha256", "version", "at", "errors")}
        return
    each.accepted_sha256, each.accepted_version = word["sha256"], word["version"]
    each.accepted_at, each.refused = datetime.fromisoformat(word["at"]), None


def _fault(answer: Answer) -> dict[str, Any]:
    try:
        found: dict[str, Any] = answer.json()
    except PeerError:
        return {"title": f"status {answer.status}"}
    return found


outbox.DELIVERIES[TOPIC] = _deliver
outbox.ON_ANSWER[TOPIC] = _receipt
