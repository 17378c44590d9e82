"""Keys of ours: what the hub is told of them, and what the network knows of each."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from joserfc.jwk import OKPKey
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import service as sync
from shared.crypto import jose
from shared.crypto.keys import KeyRing, add_key, load_key_ring, make_current, public_jwk, remove_key
from shared.net.http import Answer, PeerError
from shared.store.db import release
from shared.wire.problems import Problem

KEY_TYP = "passerelle-key+jwt"


def rotate_key(session: Session, node: Node, invitation: str | None = None) -> str:
    """Make a new key, tell the hub, and let it sign from the next start on; returns its number.

    The hub calls this node back meanwhile. The old key stays published, and good: what it signed
    still holds. With a coordinator's ``invitation`` no other key need be good. Raises Problem or
    PeerError.
    """
    own, path = sync.node_id(session), node.key_file
    release(session)
    kid, key = add_key(path).keys[-1]
    try:
        if invitation is not None:
            sync.enrol(session, node, invitation, KeyRing(((kid, key),)))
        else:
            _check(announce_key(node, own, kid, key))
    except (Problem, PeerError):
        remove_key(path, kid)
        raise
    make_current(path, kid)
    return kid


def _check(answer: Answer) -> None:
    if answer.status != 200:
        raise Problem("conflict", answer.json().get("detail"))


def announce_key(node: Node, own: str, kid: str, key: OKPKey) -> Answer:
    """Tell the hub of a key of ours. Raises PeerError."""
    claims = {"iss": own, "aud": node.hub.url, "iat": int(time.time())}
    body = {"jwk": public_jwk(kid, key), "proof": jose.sign(claims, key, KEY_TYP, kid=kid)}
    return node.hub.call("POST", "/api/v1/nodes/me/keys", json=body, timeout=10)


@dataclass(frozen=True, slots=True)
class OwnKey:
    """``state``: ``signs``, ``good``, ``withdrawn``, or ``unknown`` to the network."""

    kid: str
    state: str
    withdrawn_at: datetime | None = None


def known(session: Session, node: Node) -> list[OwnKey]:
    """Return the keys of the key file, the one that signs first, as the trust list has them."""
    network, row = sync.network(session, node), sync.enrolment(session)
    entry = network.trust.nodes.get(row.node_id, {}) if network and row else {}
    listed = {jwk["kid"]: jwk for jwk in entry.get("keys", ())}
    return [
        _known(kid, listed.get(kid), signs=number == 0)
        for number, (kid, _) in enumerate(load_key_ring(node.key_file).keys)
    ]


def _known(kid: str, jwk: dict[str, str] | None, *, signs: bool) -> OwnKey:
    if jwk is None:
        return OwnKey(kid, "unknown")
    if jwk.get("withdrawn"):
        since = jwk.get("withdrawn_at")
        return OwnKey(kid, "withdrawn", datetime.fromisoformat(since) if since else None)
    return OwnKey(kid, "signs" if signs else "good")


def withdraw_key(
    session: Session, node: Node, kid: str, reason: str, since: datetime | None = None
) -> str:
    """Withdraw a key of ours, from now on or since an instant; returns that instant (RFC 3339).

    Not the one that signs. Raises Problem with the hub's own words, or PeerError.
    """
    signs = {load_key_ring(node.key_file).kid, node.ring.kid}
    if kid in signs:
        raise Problem("conflict", "this key signs: rotate first, and start the services again")
    release(session)
    said = {"reason": reason, **({"since": since.isoformat()} if since else {})}
    path = f"/api/v1/nodes/me/keys/{kid}?{urlencode(said)}"
    answer = node.hub.call("DELETE", path, timeout=10)
    told = answer.json()
    if answer.status == 422:
        raise Problem("validation", errors=told.get("errors", {}))
    if answer.status != 200:
        raise Problem("conflict", told.get("detail") or told.get("title"))
    sync.refresh(session, node)
    return str(told["withdrawn_at"])
