"""A node's new address: proved by its key and by an answer there, and not answered at the old."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.directory.addresses import check_free
from federation.directory.enrolment import PROOF_SECONDS, call_back
from federation.directory.models import FormerUrl, Node
from federation.directory.service import find_key_of
from shared import jose
from shared.db import begin_write
from shared.http import PeerError, PeerSession, check_url
from shared.keys import KeyRing
from shared.problems import Problem

TYP = "passerelle-move+jwt"


def move(
    session: Session,
    now: datetime,
    peers: PeerSession,
    ring: KeyRing,
    hub_url: str,
    node_id: str,
    *,
    url: str,
    proof: str,
    allow_private: bool,
) -> Node:
    """Take a node's new address. Asking again changes nothing. Raises Problem, ValidationError.

    Refused while the old address still answers with the node's key: then two copies run.
    """
    try:
        url = check_url(url, allow_private=allow_private)
    except PeerError as error:
        raise ValidationError(
            {"url": [f"Not an address a node can have ({error.reason})."]}
        ) from None
    find_key = find_key_of(session, node_id)
    _check_proof(find_key, proof, hub_url, node_id, url)
    old = session.get_one(Node, node_id).url
    if old == url:
        return session.get_one(Node, node_id)
    check_free(session, now, url, node_id)
    keys = {key.kid: key.jwk for key in session.get_one(Node, node_id).keys if not key.withdrawn_at}
    session.rollback()  # nothing is held while the node is called back
    call_back(peers, ring, hub_url, url, _finder(keys))
    if _still_there(peers, ring, hub_url, old, _finder(keys)):
        raise Problem("conflict", "this node still answers at its old address")
    begin_write(session)
    node = session.scalars(select(Node).where(Node.id == node_id).with_for_update()).one()
    own = session.get(FormerUrl, url)  # back to where it was before
    if own is not None and own.node_id == node_id:
        session.delete(own)
    session.merge(FormerUrl(url=old, node_id=node_id, left_at=now))
    node.url = url
    node.harvest_failures, node.harvest_due_at = 0, None
    audit(session, now, f"node:{node_id}", "move", node_id, before=old, after=url)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise Problem("url-taken") from None
    return node


def _check_proof(find_key: jose.FindKey, proof: str, hub_url: str, node_id: str, url: str) -> None:
    try:
        claims = jose.verify(proof, find_key, TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    issued = claims.get("iat")
    fresh = isinstance(issued, int) and abs(datetime.now(UTC).timestamp() - issued) <= PROOF_SECONDS
    wanted = {"iss": node_id, "aud": hub_url, "url": url}
    if any(claims.get(name) != value for name, value in wanted.items()) or not fresh:
        raise Problem("proof-invalid", "iss, aud, url or iat are not right")


def _finder(keys: Mapping[str, Mapping[str, Any]]) -> jose.FindKey:
    def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> Any:
        if header.get("kid") not in keys:
            raise jose.TokenFault("key")
        return jose.import_public(keys[str(header["kid"])])

    return find


def _still_there(
    peers: PeerSession, ring: KeyRing, hub_url: str, url: str, find_key: jose.FindKey
) -> bool:
    try:
        call_back(peers, ring, hub_url, url, find_key)
    except Problem:
        return False
    return True
