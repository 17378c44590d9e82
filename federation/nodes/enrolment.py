"""Admitting nodes: invitation, proof of the key, call back, and the id that the hub gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError
from nacl.signing import VerifyKey
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.audit.service import CLI, audit
from federation.nodes import keys, node_urls, operator_names, trust_changes
from federation.nodes.challenges import PROOF_SECONDS, call_back
from federation.nodes.models import Invitation, Node
from federation.nodes.node_urls import check_free
from shared.base.names import slug
from shared.crypto import jose
from shared.crypto.keys import KeyRing
from shared.net.http import PeerError, PeerSession, check_url
from shared.store.account_tables import hash_token, new_token
from shared.store.db import release, write
from shared.wire.problems import Problem

INVITATION_DAYS = 14
INVITATION_TRIES = 20
PROOF_TYP = "passerelle-enrolment+jwt"


def invite(
    session: Session, now: datetime, operator: str, account_id: int | None
) -> tuple[str, Invitation]:
    """Return a one-time token for an operator, and its invitation. The id is settled here."""
    token = new_token("inv_")
    for _ in range(INVITATION_TRIES):
        try:
            with write(session):
                invitation = add_invitation(session, now, token, operator, account_id)
        except IntegrityError:  # somebody else took this id at the same moment
            continue
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
    """Add an invitation in the caller's transaction, which fails if its id was just taken.

    Raises Problem("name-taken") at once, rather than when its node enrols.
    """
    operator_names.check_free(session, "", operator)
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


def invite_again(
    session: Session, now: datetime, node_id: str, account_id: int | None
) -> tuple[str, Invitation]:
    """Return a one-time token by which a node that is in the network registers another key.

    For one that has lost its keys, or whose last key was withdrawn: it keeps its id, spaces and
    past, and may be at another address. A token given before is no longer good. Raises Problem.
    """
    with write(session):
        node = session.get(Node, node_id, with_for_update=True)
        row = session.scalar(select(Invitation).where(Invitation.node_id == node_id))
        if node is None or row is None:
            raise Problem("not-found")
        if node.state == "left":
            raise Problem("node-left")
        token = new_token("inv_")
        row.token_hash, row.used_at = hash_token(token), None
        row.expires_at = now + timedelta(days=INVITATION_DAYS)
        actor = CLI if account_id is None else f"account:{account_id}"
        audit(session, now, actor, "invite-again", node_id)
    return token, row


def _free_id(session: Session, operator: str) -> str:
    base = slug(operator)
    taken = set(
        session.scalars(select(Invitation.node_id).where(Invitation.node_id.startswith(base)))
    )
    node_id, n = base, 2
    while node_id in taken:
        node_id, n = f"{base}-{n}", n + 1
    return node_id


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a node is told once it is in; ``kid`` is the number by which its key goes."""

    node_id: str
    name: str
    kid: str


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
) -> Enrolled:
    """Admit the node that holds this invitation, this key and this URL.

    The proof shows the key; the call back shows that who asks also answers at the URL. The
    invitation is taken in the last step, so a failed attempt does not use it up.
    """
    row = _valid_invitation(session, now, invitation)
    url, key = _read_candidate(url, jwk, allow_private=allow_private)
    _check_proof(proof, key, hub_url, url, invitation)
    node_id, operator, invitation_id = row.node_id, row.operator, row.id
    check_free(session, now, url, node_id)
    public = keys.public_part(jwk)
    release(session)  # nothing is held while the node is called back
    call_back(peers, ring, hub_url, url, lambda _header, _claims: key, public["kid"])

    try:
        with write(session):
            taken = session.execute(
                update(Invitation)
                .where(Invitation.id == invitation_id, Invitation.used_at.is_(None))
                .values(used_at=now)
            )
            if taken.rowcount != 1:  # type: ignore[attr-defined]
                raise Problem("invitation-invalid")
            node = _admit(session, now, node_id, operator, url)
            keys.take(session, now, node, public)
            found = Enrolled(node.id, node.name, public["kid"])
            trust_changes.note(session)
    except IntegrityError:
        raise Problem("url-taken") from None
    return found


def _admit(session: Session, now: datetime, node_id: str, operator: str, url: str) -> Node:
    """Add a node, or take one back that was invited anew, at its address. Raises Problem."""
    node = session.get(Node, node_id, with_for_update=True, populate_existing=True)
    if node is None:
        operator_names.check_free(session, node_id, operator)
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
        audit(session, now, f"node:{node_id}", "enrol", node_id, url=url)
        session.flush()
        return node
    if node.state == "left":
        raise Problem("node-left")
    audit(session, now, f"node:{node_id}", "enrol-again", node_id, before=node.url, after=url)
    node_urls.change(session, now, node, url)
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


def invitation_of(session: Session, node_id: str) -> Invitation | None:
    """Return the invitation by which a node came in, or is to come in."""
    return session.scalar(select(Invitation).where(Invitation.node_id == node_id))


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
