"""Admitting nodes: invitation, proof of the key, call back, and the id that the hub gives."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc.jwk import OKPKey
from marshmallow import ValidationError
from nacl.signing import VerifyKey
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import CLI, audit
from federation.directory.addresses import check_free
from federation.directory.models import Invitation, Node, NodeKey
from shared import jose
from shared.db import begin_write
from shared.http import PeerError, PeerSession, check_url
from shared.identity import hash_token, new_token
from shared.keys import KeyRing, key_id
from shared.names import slug
from shared.problems import Problem

INVITATION_DAYS = 14


INVITATION_TRIES = 20


PROOF_TYP = "passerelle-enrolment+jwt"


CHALLENGE_TYP = "passerelle-challenge+jwt"


ANSWER_TYP = "passerelle-challenge-answer+jwt"


PROOF_SECONDS = 300


CALL_BACK_SECONDS = 5.0


def invite(
    session: Session, now: datetime, operator: str, account_id: int | None
) -> tuple[str, Invitation]:
    """Return a one-time token for an operator, and its invitation. The id is settled here."""
    token = new_token("inv_")
    for _ in range(INVITATION_TRIES):
        begin_write(session)
        invitation = add_invitation(session, now, token, operator, account_id)
        try:
            session.commit()
        except IntegrityError:  # somebody else took this id at the same moment
            session.rollback()
        else:
            return token, invitation
    raise Problem("conflict", "many are being invited under this name")


def add_invitation(
    session: Session,
    now: datetime,
    token: str,
    operator: str,
    account_id: int | None,
    email: str | None = None,
) -> Invitation:
    """Add an invitation in the caller's transaction, which fails if its id was just taken."""
    invitation = Invitation(
        token_hash=hash_token(token),
        operator=operator,
        node_id=_free_id(session, operator),
        created_by=account_id,
        created_at=now,
        expires_at=now + timedelta(days=INVITATION_DAYS),
        email=email,
    )
    session.add(invitation)
    actor = CLI if account_id is None else f"account:{account_id}"
    audit(session, now, actor, "invite", invitation.node_id, operator=operator)
    return invitation


def _free_id(session: Session, operator: str) -> str:
    base = slug(operator)
    taken = set(
        session.scalars(select(Invitation.node_id).where(Invitation.node_id.startswith(base)))
    )
    node_id, n = base, 2
    while node_id in taken:
        node_id, n = f"{base}-{n}", n + 1
    return node_id


def enrol(
    session: Session,
    now: datetime,
    peers: PeerSession,
    ring: KeyRing,
    hub_url: str,
    *,
    invitation: str,
    url: str,
    jwk: Mapping[str, Any],
    proof: str,
    allow_private: bool,
) -> Node:
    """Admit the node that holds this invitation, this key and this URL.

    The proof shows the key; the call back shows that who asks also answers at the URL. The
    invitation is taken in the last step, so a failed attempt does not use it up.
    """
    row = _valid_invitation(session, now, invitation)
    url, key = _read_candidate(url, jwk, allow_private=allow_private)
    _check_proof(proof, key, hub_url, url, invitation)
    check_free(session, now, url)
    node_id, operator, invitation_id = row.node_id, row.operator, row.id
    session.rollback()  # nothing is held while the node is called back
    call_back(peers, ring, hub_url, url, lambda _header, _claims: key)

    begin_write(session)
    taken = session.execute(
        update(Invitation)
        .where(Invitation.id == invitation_id, Invitation.used_at.is_(None))
        .values(used_at=now)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        session.rollback()
        raise Problem("invitation-invalid")
    stored = {"kty": "OKP", "crv": "Ed25519", "x": jwk["x"]}
    kid = key_id(OKPKey.import_key(stored))
    node = Node(
        id=node_id,
        name=operator,
        url=url,
        state="connected",
        plans={},
        enrolled_at=now,
        last_seen_at=now,
    )
    session.add(node)
    session.add(NodeKey(node_id=node_id, kid=kid, jwk={**stored, "kid": kid}, added_at=now))
    audit(session, now, f"node:{node_id}", "enrol", node_id, url=url)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise Problem("url-taken") from None
    return node


def _read_candidate(
    url: str, jwk: Mapping[str, Any], *, allow_private: bool
) -> tuple[str, VerifyKey]:
    try:
        return check_url(url, allow_private=allow_private), jose.import_public(jwk)
    except PeerError as error:
        raise ValidationError(
            {"url": [f"Not an address a node can have ({error.reason})."]}
        ) from None
    except ValueError as error:
        raise ValidationError({"jwk": [str(error)]}) from None


def _valid_invitation(session: Session, now: datetime, token: str) -> Invitation:
    row = session.scalar(select(Invitation).where(Invitation.token_hash == hash_token(token)))
    if row is None or row.used_at is not None or row.expires_at <= now:
        raise Problem("invitation-invalid")
    return row


def _check_proof(proof: str, key: Any, hub_url: str, url: str, invitation: str) -> None:
    try:
        claims = jose.verify(proof, lambda _h, _c: key, PROOF_TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    wanted = {"aud": hub_url, "url": url, "invitation": hash_token(invitation)}
    if any(claims.get(name) != value for name, value in wanted.items()):
        raise Problem("proof-invalid", "aud, url or invitation differ")
    issued = claims.get("iat")
    now = int(datetime.now(UTC).timestamp())
    if not isinstance(issued, int) or abs(now - issued) > PROOF_SECONDS:
        raise Problem("proof-invalid", "the node's clock is more than five minutes off")


def call_back(
    peers: PeerSession, ring: KeyRing, hub_url: str, url: str, find_key: jose.FindKey
) -> None:
    """See whether a node of these keys answers at an address. Raises Problem("peer-refused")."""
    nonce = secrets.token_urlsafe(24)
    issued = int(datetime.now(UTC).timestamp())
    challenge = ring.sign(
        {"iss": hub_url, "aud": url, "nonce": nonce, "iat": issued, "exp": issued + 60},
        CHALLENGE_TYP,
    )
    try:
        answer = peers.request(
            "POST",
            f"{url}/api/v1/enrolment/challenge",
            json={"challenge": challenge},
            timeout=CALL_BACK_SECONDS,
        )
        signed = answer.json().get("answer", "") if answer.status == 200 else ""
        claims = jose.verify(str(signed), find_key, ANSWER_TYP).claims
    except PeerError as error:
        raise Problem("peer-refused", error.reason) from None
    except (jose.TokenFault, AttributeError):
        raise Problem("peer-refused", "the node at that address does not hold the key") from None
    if claims.get("nonce") != nonce or claims.get("aud") != hub_url:
        raise Problem("peer-refused", "the node answered another challenge")


KEY_TYP = "passerelle-key+jwt"
MOST_KEYS = 50


def add_key(
    session: Session,
    now: datetime,
    hub_url: str,
    node_id: str,
    jwk: Mapping[str, Any],
    proof: str,
) -> NodeKey:
    """Take a further key of a node that proves to hold it; the ones before stay good.

    The same key again changes nothing. Raises Problem.
    """
    try:
        key = OKPKey.import_key({name: str(jwk[name]) for name in ("kty", "crv", "x")})
        public = jose.import_public(jwk)
    except ValueError:
        raise Problem("proof-invalid", "key") from None
    kid = key_id(key)

    def own(_header: Mapping[str, Any], _claims: Mapping[str, Any]) -> VerifyKey:
        return public

    try:
        claims = jose.verify(proof, own, KEY_TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    issued = claims.get("iat")
    fresh = isinstance(issued, int) and abs(datetime.now(UTC).timestamp() - issued) <= PROOF_SECONDS
    if claims.get("iss") != node_id or claims.get("aud") != hub_url or not fresh:
        raise Problem("proof-invalid", "iss, aud or iat are not right")
    begin_write(session)
    node = session.get(Node, node_id, with_for_update=True)
    if node is None or len(node.keys) >= MOST_KEYS:
        session.rollback()
        raise Problem("conflict", "this node has many keys already")
    row = session.get(NodeKey, (node_id, kid))
    if row is None:
        public_part = {"kty": "OKP", "crv": "Ed25519", "x": str(jwk["x"]), "kid": kid, "use": "sig"}
        row = NodeKey(node_id=node_id, kid=kid, jwk=public_part, added_at=now)
        session.add(row)
        audit(session, now, f"node:{node_id}", "add-key", node_id, kid=kid)
    session.commit()
    return row
