"""Taking what nodes publish: pushed by them, or asked for in case a push was lost.

A publication is taken document by document: one that is wrong keeps none of the others back. Only
a whole publication that is pushed as such (``publish``) is all right or changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.nodes import operator_names, trust_changes
from federation.nodes.models import Node
from federation.nodes.service import active_node, find_key_of, record_contact
from federation.spaces import documents, events, published_hours
from federation.spaces.models import LISTED_PREFIX, Document, Space
from shared.crypto import jose
from shared.store.db import write
from shared.wire.documents import (
    DOCUMENTS_TYP,
    OPERATOR,
    DocumentsSchema,
    fingerprint,
    index_hash,
    space_of,
    split,
)
from shared.wire.problems import Problem
from shared.wire.spaces import PUBLICATION_TYP, PublicationSchema, SpaceSchema

MOST_BYTES = 2 << 20
# A node restored from a backup is believed when asked, but not what a cache kept for long.
FRESH_SECONDS = 300

Body = Mapping[str, Any] | None
# Called in the transaction in which a node's document becomes another, with what it was and is;
# rooms above add what they note of it.
ON_CHANGE: list[Callable[[Session, datetime, str, str, Body, Body, int], None]] = []

_publication = PublicationSchema()
_changes = DocumentsSchema()
_space = SpaceSchema()
_id = SpaceSchema(only=("id",))


@dataclass(frozen=True, slots=True)
class Told:
    """What a node publishes as of a revision: the hash of every document, and some of them.

    A version that is None was not told. ``strict`` takes all of it or nothing. ``after`` is the
    revision that the hub held when it asked for this by itself: None for what was pushed.
    """

    revision: int
    hashes: Mapping[str, str]
    versions: Mapping[str, int | None]
    bodies: Mapping[str, Mapping[str, Any]]
    strict: bool = False
    after: int | None = None


def publish(session: Session, now: datetime, node_id: str, token: str) -> dict[str, Any]:
    """Take a node's signed publication: all of its spaces are right, or nothing changes.

    An older revision than the one held is answered with what is held, and changes nothing.
    Raises Problem or ValidationError; faults are named ``spaces.<n>.<field>``.
    """
    document = _read(session, node_id, token, PUBLICATION_TYP, _publication)
    _check_spaces(document["spaces"])
    return _take(session, now, node_id, _as_told(document, strict=True))


def publish_documents(session: Session, now: datetime, node_id: str, token: str) -> dict[str, Any]:
    """Take the documents that changed; the answer says of each whether it was accepted.

    Raises Problem("documents-missing") when one is neither sent nor held as the index has it:
    nothing is changed then, and all are to be sent.
    """
    document = _read(session, node_id, token, DOCUMENTS_TYP, _changes)
    index, bodies = document["documents"], document["bodies"]
    wrong = {
        name: ["This is not the document that the index has."]
        for name, body in bodies.items()
        if name not in index or index[name]["sha256"] != _hash(name, body)
    }
    if OPERATOR not in index:
        wrong[OPERATOR] = ["Missing data for required field."]
    if wrong:
        raise ValidationError({"bodies": wrong})
    told = Told(
        document["revision"],
        {name: entry["sha256"] for name, entry in index.items()},
        {name: entry["version"] for name, entry in index.items()},
        bodies,
    )
    return _take(session, now, node_id, told)


def _read(session: Session, node_id: str, token: str, typ: str, schema: Any) -> dict[str, Any]:
    active_node(session, node_id)
    try:
        claims = jose.verify(token, find_key_of(session, node_id), typ).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    document: dict[str, Any] = schema.load(claims)
    if document["iss"] != node_id:
        raise Problem("proof-invalid", "iss is another node")
    return document


def _check_spaces(spaces: Sequence[Mapping[str, Any]], schema: Any = _space) -> None:
    faults: dict[str, Any] = {}
    known = set()
    for n, space in enumerate(spaces):
        try:
            space_id = schema.load(space)["id"]
        except ValidationError as error:
            faults[str(n)] = error.messages
            continue
        if space_id in known:
            faults[str(n)] = {"id": ["This space is in the list twice."]}
        known.add(space_id)
    if faults:
        raise ValidationError({"spaces": faults})


def _as_told(
    document: Mapping[str, Any], *, strict: bool = False, after: int | None = None
) -> Told:
    bodies = split(document["name"], document["plans"], document["spaces"])
    hashes = {name: _hash(name, body) for name, body in bodies.items()}
    index = document["documents"]
    versions = {
        name: index[name]["version"] if index.get(name, {}).get("sha256") == sha256 else None
        for name, sha256 in hashes.items()
    }
    return Told(document["revision"], hashes, versions, bodies, strict, after)


def _hash(name: str, body: Any) -> str:
    try:
        return fingerprint(body)
    except ValueError:  # text or a number that programs do not read alike
        raise ValidationError({"bodies": {name: ["Invalid value."]}}) from None


def _owned_by_others(session: Session, node_id: str, names: Iterable[str]) -> set[str]:
    ids = {space_of(name) for name in names} - {None}
    others = Space.node_id.is_distinct_from(node_id)
    query = select(Space.id).where(Space.id.in_(ids), others)
    reserved = {each for each in ids if each is not None and each.startswith(LISTED_PREFIX)}
    return set(session.scalars(query)) | reserved


def _take(session: Session, now: datetime, node_id: str, told: Told) -> dict[str, Any]:
    try:
        return _take_once(session, now, node_id, told)
    except IntegrityError:  # two nodes published a new id at once: the other was first
        return _take_once(session, now, node_id, told)


def _take_once(session: Session, now: datetime, node_id: str, told: Told) -> dict[str, Any]:
    with write(session):
        query = select(Node).where(Node.id == node_id).with_for_update()
        node = session.scalars(query.execution_options(populate_existing=True)).one()
        rows = {
            row.name: row
            for row in session.scalars(select(Document).where(Document.node_id == node_id))
        }
        if _is_late(node, told):
            return _answer(node, rows.values())  # nothing changes
        missing = sorted(
            name
            for name, sha256 in told.hashes.items()
            if name not in told.bodies and (name not in rows or rows[name].sha256 != sha256)
        )
        if missing:
            raise Problem("documents-missing", missing=missing)
        taken = _owned_by_others(session, node_id, told.hashes)
        if taken and told.strict:
            raise Problem("space-taken", ", ".join(sorted(taken)))
        named = _named_like_another(session, node_id, rows.get(OPERATOR), told)
        if named and told.strict:
            raise ValidationError(named)
        for name in rows.keys() - told.hashes.keys():
            gone = rows.pop(name)
            _announce(session, now, gone, gone.body, None, gone.version)
            session.delete(gone)
        for name in told.hashes:
            if name not in rows:
                rows[name] = Document(node_id=node_id, name=name, version=0)
                session.add(rows[name])
            _judge(session, rows[name], told, taken, now, named if name == OPERATOR else {})
        before = _trusted(session, node)
        _store(session, node, rows, now)
        session.flush()
        if _trusted(session, node) != before:
            trust_changes.note(session)
        node.publication_revision = told.revision
        node.publication_sha256 = index_hash(told.hashes)
        node.published_at = now
        record_contact(node, now)
        return _answer(node, rows.values())  # before the commit, after which all is read anew


def _is_late(node: Node, told: Told) -> bool:
    """Tell whether something newer was taken since this was said.

    What the hub asked for by itself is what the node has now, also when its revision is lower: the
    node was restored from a backup. Unless it pushed something meanwhile.
    """
    if told.after is not None:
        return told.after != node.publication_revision
    return told.revision < node.publication_revision


def _named_like_another(
    session: Session, node_id: str, held: Document | None, told: Told
) -> dict[str, list[str]]:
    """Return what is wrong with the operator's name, if it is new and somebody else's."""
    body = told.bodies.get(OPERATOR)
    if body is None or (held is not None and held.sha256 == told.hashes[OPERATOR]):
        return {}
    if not operator_names.is_anothers(session, node_id, str(body.get("name"))):
        return {}
    return {"name": ["Another operator goes by this name."]}


def _judge(
    session: Session,
    row: Document,
    told: Told,
    taken: set[str],
    now: datetime,
    named: Mapping[str, Any],
) -> None:
    """Accept a document, or note why not; what was accepted before is kept then."""
    sha256, body = told.hashes[row.name], told.bodies.get(row.name)
    version = told.versions[row.name] or row.version + (row.sha256 != sha256)
    known = body is None or row.sha256 == sha256  # accepted as it is
    found = {} if known or body is None else named or documents.faults(row.name, body, taken)
    if found:
        row.refused = {
            "sha256": sha256,
            "version": version,
            "at": now.isoformat(),
            "errors": dict(found),
        }
        return
    if row.sha256 != sha256:
        _announce(session, now, row, row.body, body, version)
        row.sha256, row.body, row.accepted_at = sha256, dict(body or {}), now
    row.version, row.refused = version, None


def _announce(
    session: Session, now: datetime, row: Document, before: Body, after: Body, version: int
) -> None:
    for note in ON_CHANGE:
        note(session, now, row.node_id, row.name, before, after, version)


def _store(session: Session, node: Node, rows: Mapping[str, Document], now: datetime) -> None:
    """Make the node and its spaces what their accepted documents say."""
    operator = rows[OPERATOR].body
    if operator is not None:
        node.name, node.plans = operator["name"], operator["plans"]
    held = {row.id: row for row in session.scalars(select(Space).where(Space.node_id == node.id))}
    parts: dict[str, list[Document]] = {}
    for name, row in rows.items():
        space_id = space_of(name)
        if space_id is not None:
            parts.setdefault(space_id, []).append(row)
    for space_id, of_space in parts.items():
        space = documents.compose(of_space)
        found = held.pop(space_id, None)
        if space is not None:
            _store_space(session, found, node.id, space, now)
    for gone in held.values():
        gone.withdrawn_at = gone.withdrawn_at or now
        published_hours.note(session, gone.id, None, now)


def _trusted(session: Session, node: Node) -> Any:
    """Return what the trust list says that a publication may change."""
    query = select(Space.id, Space.name, Space.town).where(
        Space.node_id == node.id, Space.withdrawn_at.is_(None)
    )
    return node.name, node.plans, session.execute(query.order_by(Space.id)).all()


def _store_space(
    session: Session, row: Space | None, node_id: str, space: dict[str, Any], now: datetime
) -> None:
    values: dict[str, Any] = {
        "name": space["name"],
        "town": space["address"]["town"],
        "latitude": space.get("latitude"),
        "longitude": space.get("longitude"),
        "document": space,
        "withdrawn_at": None,
    }
    if row is None:
        row = Space(id=space["id"], node_id=node_id, published_at=now, **values)
        session.add(row)
        events.store(session, row)
        published_hours.note(session, row.id, space, now)
        return
    differs = row.document != space
    if differs or row.withdrawn_at:
        row.published_at = now
        published_hours.note(session, row.id, space, now)
    for name, value in values.items():
        setattr(row, name, value)
    if differs:
        events.store(session, row)


def _answer(node: Node, rows: Iterable[Document]) -> dict[str, Any]:
    return {
        "revision": node.publication_revision,
        "sha256": node.publication_sha256,
        "published_at": node.published_at.isoformat() if node.published_at else None,
        "documents": {row.name: documents.verdict(row) for row in rows},
    }


# In case a push was lost: see harvest


def take_pulled(
    session: Session, now: datetime, node_id: str, body: bytes, revision: int
) -> dict[str, Any]:
    """Take the publication that a node gave when it was asked, document by document.

    ``revision`` is the one that was held when the node was asked. Raises Problem, ValidationError
    or UnicodeDecodeError.
    """
    document = _read(session, node_id, body.decode("ascii"), PUBLICATION_TYP, _publication)
    _check_spaces(document["spaces"], _id)
    fresh = abs(datetime.now(UTC).timestamp() - document["iat"]) <= FRESH_SECONDS
    return _take(session, now, node_id, _as_told(document, after=revision if fresh else None))
