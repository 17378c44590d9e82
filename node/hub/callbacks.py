"""What the hub asks and tells of itself: to prove a key, and that the trust list has changed.

Whatever comes is signed by the hub, and by nobody else.
"""

from __future__ import annotations

import time
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import service as sync
from node.hub.models import Cached
from shared.crypto import jose
from shared.crypto.keys import load_key_ring
from shared.net.http import PeerError
from shared.wire.problems import Problem

CHALLENGE_TYP = "passerelle-challenge+jwt"
ANSWER_TYP = "passerelle-challenge-answer+jwt"
NOTICE_TYP = "passerelle-notice+jwt"
# Among what is kept: that the hub said there is another trust list.
TOLD = "trust-list:told"
TOLD_LATELY = timedelta(minutes=1)


def answer_challenge(session: Session, node: Node, challenge: str) -> str:
    """Prove to the hub, and to nobody else, that this address holds our key. Raises Problem.

    The key that is asked for is looked up in the file, where a new one is before services start
    again. Asked at an address that we leave, we say where we go.
    """
    try:
        claims = jose.verify(challenge, sync.hub_keys(session, node), CHALLENGE_TYP).claims
    except (jose.TokenFault, PeerError) as fault:
        raise Problem("proof-invalid", str(fault)) from None
    expires, nonce = claims.get("exp"), claims.get("nonce")
    fresh = isinstance(expires, int) and expires > time.time()
    moves = claims.get("moves_to") == node.url
    for_us = claims.get("iss") == node.hub.url and (claims.get("aud") == node.url or moves)
    if not for_us or not fresh or not nonce:
        raise Problem("proof-invalid", "iss, aud or exp are not right")
    told = {"iss": node.url, "aud": node.hub.url, "nonce": nonce}
    if moves:
        told["moves_to"] = node.url
    asked = claims.get("kid", node.ring.kid)
    for kid, key in load_key_ring(node.key_file).keys:
        if kid == asked:
            return jose.sign(told, key, ANSWER_TYP, kid=kid)
    raise Problem("proof-invalid", "this node has no such key")


def hear_notice(session: Session, node: Node, notice: str) -> None:
    """Note that the hub says its trust list has changed: the jobs process asks. Raises Problem."""
    try:
        claims = jose.verify(notice, sync.hub_keys(session, node), NOTICE_TYP).claims
    except (jose.TokenFault, PeerError) as fault:
        raise Problem("proof-invalid", str(fault)) from None
    expires = claims.get("exp")
    fresh = isinstance(expires, int) and expires > time.time()
    if claims.get("iss") != node.hub.url or not fresh:
        raise Problem("proof-invalid", "iss, aud or exp are not right")
    kept = session.get(Cached, sync.TRUST_LIST)
    if claims.get("changed") == "trust-list" and (kept is None or kept.sha256 != claims["etag"]):
        sync.store(session, node.clock.real(), TOLD, str(claims["etag"]))


def is_told(session: Session, node: Node) -> bool:
    """Tell whether the hub said lately that there is another trust list than the one kept."""
    query = select(Cached.name, Cached.fetched_at).where(Cached.name.in_((sync.TRUST_LIST, TOLD)))
    at = {row.name: row.fetched_at for row in session.execute(query)}
    told = at.get(TOLD)
    if told is None or node.clock.real() - told > TOLD_LATELY:
        return False
    return sync.TRUST_LIST not in at or at[sync.TRUST_LIST] <= told
