"""Taking what nodes publish: pushed by them, or asked for in case a push was lost."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.directory.models import Node, Space
from federation.directory.service import active_node, find_key_of, nodes, seen
from shared import jose
from shared.db import begin_write
from shared.http import PeerError, PeerSession
from shared.problems import Problem
from shared.spaces import PUBLICATION_TYP, PublicationSchema, SpaceSchema

_publication = PublicationSchema()


_space = SpaceSchema()


def publish(session: Session, now: datetime, node_id: str, token: str) -> dict[str, Any]:
    """Take a node's signed publication: all of its spaces are right, or nothing changes.

    An older revision than the one held is answered with what is held, and changes nothing.
    Raises Problem or ValidationError; faults are named ``spaces.<n>.<field>``.
    """
    node = active_node(session, node_id)
    try:
        claims = jose.verify(token, find_key_of(session, node_id), PUBLICATION_TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    document = _publication.load(claims)
    if document["iss"] != node_id:
        raise Problem("proof-invalid", "iss is another node")
    spaces = _load_spaces(document["spaces"])
    content = orjson.dumps(
        {k: v for k, v in document.items() if k not in ("iat", "revision")},
        option=orjson.OPT_SORT_KEYS,
    )
    sha256 = hashlib.sha256(content).hexdigest()
    begin_write(session)
    node = session.scalars(select(Node).where(Node.id == node_id).with_for_update()).one()
    if document["revision"] < node.publication_revision:
        return _published(node)
    _check_owner(session, node_id, [space["id"] for space in spaces])
    held = {row.id: row for row in session.scalars(select(Space).where(Space.node_id == node_id))}
    for space in spaces:
        _store_space(session, held.pop(space["id"], None), node_id, space, now)
    for row in held.values():
        row.withdrawn_at = row.withdrawn_at or now
    node.name, node.plans = document["name"], document["plans"]
    node.publication_revision, node.publication_sha256 = document["revision"], sha256
    node.published_at = node.last_seen_at = now
    if node.state in ("late", "offline"):
        node.state = "connected"
    try:
        session.commit()
    except IntegrityError:  # two nodes published a new id at once: the other was first
        session.rollback()
        raise Problem("space-taken") from None
    return _published(node)


def _published(node: Node) -> dict[str, Any]:
    return {
        "revision": node.publication_revision,
        "sha256": node.publication_sha256,
        "published_at": node.published_at.isoformat() if node.published_at else None,
    }


def _load_spaces(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    spaces, faults = [], {}
    for n, document in enumerate(documents):
        try:
            spaces.append(_space.load(document))
        except ValidationError as error:
            faults[str(n)] = error.messages
    if faults:
        raise ValidationError({"spaces": faults})
    return spaces


def _check_owner(session: Session, node_id: str, ids: Sequence[str]) -> None:
    query = select(Space.id).where(Space.id.in_(ids), Space.node_id != node_id)
    taken = sorted(session.scalars(query))
    if taken:
        session.rollback()
        raise Problem("space-taken", ", ".join(taken))


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
        session.add(Space(id=space["id"], node_id=node_id, published_at=now, **values))
        return
    if row.document != space or row.withdrawn_at:
        row.published_at = now
    for name, value in values.items():
        setattr(row, name, value)


def harvest(session: Session, now: datetime, peers: PeerSession) -> dict[str, str]:
    """Ask every node for its publication, in case a push was lost. Returns what went wrong."""
    wrong: dict[str, str] = {}
    for node in nodes(session):
        if node.state in ("suspended", "left"):
            continue
        node_id, url, held = node.id, node.url, node.publication_sha256
        session.rollback()
        try:
            answer = peers.request(
                "GET",
                f"{url}/.well-known/passerelle",
                headers={"If-None-Match": f'"{held}"'} if held else {},
            )
            if answer.status == 200:
                publish(session, now, node_id, answer.body.decode("ascii"))
            elif answer.status == 304:
                seen(session, now, node_id)
            else:
                wrong[node_id] = f"status {answer.status}"
        except (PeerError, Problem, ValidationError, UnicodeDecodeError) as error:
            session.rollback()
            wrong[node_id] = str(error)[:200]
    return wrong
