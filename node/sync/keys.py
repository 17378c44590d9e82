"""Keys of ours that the hub is told of: a new one, or one that it has lost."""

from __future__ import annotations

import time
from pathlib import Path

from joserfc.jwk import OKPKey
from sqlalchemy.orm import Session

from node.context import Node
from node.sync.service import node_id
from shared import jose
from shared.http import Answer, PeerError
from shared.keys import add_key, make_current, public_jwk, remove_key
from shared.problems import Problem

KEY_TYP = "passerelle-key+jwt"


def rotate_key(session: Session, node: Node, path: Path) -> str:
    """Make a new key, tell the hub, and let it sign from the next start on; returns its number.

    The old one stays published, and good: what it signed still holds. Raises Problem or PeerError.
    """
    own = node_id(session)
    session.rollback()
    kid, key = add_key(path).keys[-1]
    try:
        answer = announce_key(node, own, kid, key)
    except PeerError:
        remove_key(path, kid)
        raise
    if answer.status != 200:
        remove_key(path, kid)
        raise Problem("conflict", answer.json().get("detail"))
    make_current(path, kid)
    return kid


def announce_key(node: Node, own: str, kid: str, key: OKPKey) -> Answer:
    """Tell the hub of a key of ours. Raises PeerError."""
    claims = {"iss": own, "aud": node.hub.url, "iat": int(time.time())}
    body = {"jwk": public_jwk(kid, key), "proof": jose.sign(claims, key, KEY_TYP, kid=kid)}
    return node.hub.call("POST", "/api/v1/nodes/me/keys", json=body, timeout=10)
