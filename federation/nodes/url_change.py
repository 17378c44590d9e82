"""A node's new address: more is needed for it than the key, which may be stolen.

The node proves its key in its request and by an answer at the new address. Then the present
address is asked whether the node there is the one that moves: one that says so has moved; one that
answers as before is another copy, or the node itself, whose key somebody else has, and refuses it;
and where nobody answers, a coordinator confirms the change, or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import audit
from federation.context import Hub
from federation.nodes import keys, node_urls, notifications
from federation.nodes.challenges import call_back, check_fresh
from federation.nodes.models import Node, UrlChange
from federation.nodes.service import find_key_of
from shared.crypto import jose
from shared.net.http import PeerError, check_url
from shared.store.db import release, write
from shared.wire.problems import Problem

TYP = "passerelle-move+jwt"


def move(session: Session, hub: Hub, node_id: str, *, url: str, proof: str) -> Node:
    """Take a node's new address. Asking again changes nothing. Raises Problem, ValidationError.

    Problem("url-unconfirmed") while its present address does not say so and no coordinator has.
    """
    try:
        url = check_url(url, allow_private=hub.settings.allow_private_peers)
    except PeerError as error:
        raise ValidationError(
            {"url": [f"Not an address a node can have ({error.reason})."]}
        ) from None
    try:
        claims = jose.verify(proof, find_key_of(session, node_id), TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    check_fresh(claims, {"iss": node_id, "aud": hub.url, "url": url})
    if session.get_one(Node, node_id).url != url:
        node_urls.check_free(session, hub.clock.now(), url, node_id)
        if not _confirmed(session, hub, node_id, url):
            _ask_coordination(session, hub, node_id, url)
            raise Problem("url-unconfirmed")
    return _change(session, hub, node_id, url, f"node:{node_id}")


def confirm(session: Session, hub: Hub, node_id: str, url: str, account_id: int) -> Node:
    """Let a node be at the address that it asked for. Raises Problem."""
    pending = session.get(UrlChange, node_id)
    if pending is None or pending.url != url:
        raise Problem("conflict", "the node does not ask for this address any more")
    node_urls.check_free(session, hub.clock.now(), url, node_id)
    # Where nobody answers at the present address, the coordinator answers for it.
    _confirmed(session, hub, node_id, url)
    return _change(session, hub, node_id, url, f"account:{account_id}")


def refuse(session: Session, hub: Hub, node_id: str, account_id: int) -> None:
    """Leave a node where it is. Raises Problem("not-found") where it asked for nothing."""
    with write(session):
        pending = session.get(UrlChange, node_id)
        if pending is None:
            raise Problem("not-found")
        session.delete(pending)
        audit(session, hub.clock.now(), f"account:{account_id}", "move-refused", node_id)


def _confirmed(session: Session, hub: Hub, node_id: str, url: str) -> bool:
    """Ask the node at both addresses; tell whether the present one says that it moves.

    Raises Problem where the new one does not answer, or the present one goes on as before.
    """
    node = session.get_one(Node, node_id)
    present, public = node.url, {key.kid: key.jwk for key in keys.usable(node)}
    release(session)  # nothing is held while the node is asked
    find_key = _finder(public)
    call_back(hub.peers, hub.ring, hub.url, url, find_key)
    try:
        told = call_back(hub.peers, hub.ring, hub.url, present, find_key, moves_to=url)
    except Problem:
        return False
    if told.get("moves_to") != url:
        raise Problem("conflict", "this node still answers at its old address")
    return True


def _change(session: Session, hub: Hub, node_id: str, url: str, actor: str) -> Node:
    now = hub.clock.now()
    try:
        with write(session):
            node = session.get_one(Node, node_id, with_for_update=True, populate_existing=True)
            if node.url != url:
                audit(session, now, actor, "move", node_id, before=node.url, after=url)
            node_urls.change(session, now, node, url)
    except IntegrityError:
        raise Problem("url-taken") from None
    return node


def _ask_coordination(session: Session, hub: Hub, node_id: str, url: str) -> None:
    """Note the address that waits, and write to the coordination and the node's people, once."""
    now = hub.clock.now()
    with write(session):
        node = session.get_one(Node, node_id, with_for_update=True, populate_existing=True)
        pending = session.get(UrlChange, node_id)
        if pending is not None and pending.url == url:
            return
        session.merge(UrlChange(node_id=node_id, url=url, asked_at=now))
        audit(session, now, f"node:{node_id}", "move-asked", node_id, before=node.url, after=url)
        key, template = f"move:{node_id}:{now:%Y%m%dT%H%M%S%f}", "console/mail/move.txt"
        page = f"{hub.url}/coordination/nodes/{node_id}"
        facts: dict[str, Any] = {"node": node, "new_url": url, "url": page}
        notifications.write_to_coordinators(session, hub, key, template, **facts)
        own = notifications.contacts(session, [node_id]).get(node_id)
        if own:
            notifications.write(session, hub, f"{key}:node", own, template, **facts)


def _finder(public: Mapping[str, Mapping[str, Any]]) -> jose.FindKey:
    def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> Any:
        if header.get("kid") not in public:
            raise jose.TokenFault("key")
        return jose.import_public(public[str(header["kid"])])

    return find
