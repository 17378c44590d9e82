"""Admitting nodes, taking their publications, and saying who is in the network."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from joserfc.jwk import OKPKey
from marshmallow import ValidationError
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from federation.directory.models import AuditEntry, Invitation, Node, NodeKey, Space
from federation.governance import service as governance
from shared import jose, trust
from shared.db import begin_write
from shared.http import PeerError, PeerSession, check_url
from shared.identity import hash_token, new_token
from shared.keys import KeyRing, key_id
from shared.names import slug
from shared.passes import UnknownIssuer
from shared.problems import Problem
from shared.spaces import PUBLICATION_TYP, PublicationSchema, SpaceSchema

INVITATION_DAYS = 14
INVITATION_TRIES = 20
PROOF_TYP = "passerelle-enrolment+jwt"
CHALLENGE_TYP = "passerelle-challenge+jwt"
ANSWER_TYP = "passerelle-challenge-answer+jwt"
PROOF_SECONDS = 300
CALL_BACK_SECONDS = 5.0
SEEN_AGAIN_AFTER = timedelta(seconds=30)

_publication = PublicationSchema()
_space = SpaceSchema()


def audit(
    session: Session, now: datetime, actor: str, action: str, subject: str, **detail: Any
) -> None:
    """Add a line to the audit log, within the caller's transaction."""
    session.add(AuditEntry(at=now, actor=actor, action=action, subject=subject, detail=detail))


def invite(
    session: Session, now: datetime, operator: str, account_id: int | None
) -> tuple[str, Invitation]:
    """Return a one-time token for an operator, and its invitation. The id is settled here."""
    token = new_token("inv_")
    for _ in range(INVITATION_TRIES):
        begin_write(session)
        invitation = Invitation(
            token_hash=hash_token(token),
            operator=operator,
            node_id=_free_id(session, operator),
            created_by=account_id,
            created_at=now,
            expires_at=now + timedelta(days=INVITATION_DAYS),
        )
        session.add(invitation)
        actor = f"account:{account_id}"
        audit(session, now, actor, "invite", invitation.node_id, operator=operator)
        try:
            session.commit()
        except IntegrityError:  # somebody else took this id at the same moment
            session.rollback()
        else:
            return token, invitation
    raise Problem("conflict", "many are being invited under this name")


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
    if session.scalar(select(Node.id).where(Node.url == url)):
        raise Problem("url-taken")
    node_id, operator, invitation_id = row.node_id, row.operator, row.id
    session.rollback()  # nothing is held while the node is called back
    _call_back(peers, ring, hub_url, url, key)

    begin_write(session)
    taken = session.execute(
        update(Invitation)
        .where(Invitation.id == invitation_id, Invitation.used_at.is_(None))
        .values(used_at=now)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        session.rollback()
        raise Problem("invitation-invalid")
    kid = key_id(key)
    node = Node(
        id=node_id,
        name=operator,
        url=url,
        state="connected",
        plans={},
        enrolled_at=now,
        last_seen_at=now,
    )
    stored = {"kty": "OKP", "crv": "Ed25519", "x": jwk["x"], "kid": kid}
    session.add(node)
    session.add(NodeKey(node_id=node_id, kid=kid, jwk=stored, added_at=now))
    audit(session, now, f"node:{node_id}", "enrol", node_id, url=url)
    try:
        session.commit()
    except IntegrityError:
        session.rollback()
        raise Problem("url-taken") from None
    return node


def _read_candidate(url: str, jwk: Mapping[str, Any], *, allow_private: bool) -> tuple[str, OKPKey]:
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
    if not isinstance(issued, int) or abs(datetime.now(UTC).timestamp() - issued) > PROOF_SECONDS:
        raise Problem("proof-invalid", "the node's clock is more than five minutes off")


def _call_back(peers: PeerSession, ring: KeyRing, hub_url: str, url: str, key: Any) -> None:
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
        claims = jose.verify(str(signed), lambda _h, _c: key, ANSWER_TYP).claims
    except PeerError as error:
        raise Problem("peer-refused", error.reason) from None
    except (jose.TokenFault, AttributeError):
        raise Problem("peer-refused", "the node at that address does not hold the key") from None
    if claims.get("nonce") != nonce or claims.get("aud") != hub_url:
        raise Problem("peer-refused", "the node answered another challenge")


def active_node(session: Session, node_id: str) -> Node:
    """Return a node that may act. Raises Problem."""
    node = session.get(Node, node_id)
    if node is None or node.state in ("suspended", "left"):
        raise Problem("node-suspended")
    return node


def seen(session: Session, now: datetime, node_id: str) -> None:
    """Note that a node was heard; written at most every half minute."""
    node = session.get(Node, node_id)
    if node is None or now - node.last_seen_at < SEEN_AGAIN_AFTER:
        return
    begin_write(session)
    session.execute(
        update(Node)
        .where(Node.id == node_id, Node.state.in_(("connected", "late", "offline")))
        .values(last_seen_at=now, state="connected")
    )
    session.commit()


# Made once: a statement made again is hashed again, at every visit.
_KEYS = (
    select(Node.id, Node.state, NodeKey.kid, NodeKey.jwk, NodeKey.withdrawn_at)
    .outerjoin(NodeKey)
    .where(Node.id.in_((bindparam("first"), bindparam("second"))))
)


class Keys:
    """States and keys of one node or two, as they are now. Not kept beyond a request."""

    def __init__(self, session: Session, node_id: str, other: str | None = None) -> None:
        wanted = [
            name if name and name.isascii() and name.isprintable() else ""
            for name in (node_id, other)
        ]
        rows = session.connection().execute(_KEYS, {"first": wanted[0], "second": wanted[1]})
        self._states: dict[str, str] = {}
        self._keys: dict[tuple[str, str], Any] = {}
        for found, state, kid, jwk, withdrawn_at in rows:
            self._states[found] = state
            if kid is not None:
                self._keys[found, kid] = None if withdrawn_at else _imported(jwk["x"])

    def check_active(self, node_id: str) -> None:
        """Raise Problem unless the node may act."""
        if self._states.get(node_id, "left") in ("suspended", "left"):
            raise Problem("node-suspended")

    def issuer_key(self, issuer: str, kid: str) -> Any:
        """Return a node's key. Raises ``passes.UnknownIssuer``."""
        if (issuer, kid) not in self._keys:
            raise UnknownIssuer("key" if issuer in self._states else "issuer")
        key = self._keys[issuer, kid]
        if key is None:
            raise UnknownIssuer("withdrawn")
        return key

    def find_key_of(self, node_id: str) -> jose.FindKey:
        """Return a finder of this node's keys alone, for ``jose.verify``."""

        def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> Any:
            try:
                return self.issuer_key(node_id, str(header.get("kid")))
            except UnknownIssuer:
                raise jose.TokenFault("key") from None

        return find


def node_key(session: Session, node_id: str, kid: str) -> Any:
    """Return a node's key for a pass. Raises ``passes.UnknownIssuer``."""
    return Keys(session, node_id).issuer_key(node_id, kid)


_imported_keys: dict[str, Any] = {}


def _imported(x: str) -> Any:
    """Parse a key once; there are as many as nodes."""
    if x not in _imported_keys:
        _imported_keys[x] = jose.import_public({"kty": "OKP", "crv": "Ed25519", "x": x})
    return _imported_keys[x]


def find_key_of(session: Session, node_id: str) -> jose.FindKey:
    """Return a finder of this node's keys alone, for ``jose.verify``."""
    return Keys(session, node_id).find_key_of(node_id)


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


def spaces(
    session: Session,
    *,
    box: tuple[float, float, float, float] | None = None,
    words: str = "",
    after: str = "",
    limit: int = 1000,
) -> list[Space]:
    """Return published spaces by id; ``box`` is west, south, east, north in degrees."""
    query = (
        select(Space)
        .join(Node)
        .where(Space.withdrawn_at.is_(None), Node.state.notin_(("left",)), Space.id > after)
        .order_by(Space.id)
        .limit(limit)
    )
    if box:
        west, south, east, north = box
        query = query.where(
            Space.latitude.between(south, north), Space.longitude.between(west, east)
        )
    if words:
        like = f"%{words.lower()}%"
        query = query.where(func.lower(Space.name).like(like) | func.lower(Space.town).like(like))
    return list(session.scalars(query))


def space(session: Session, space_id: str) -> Space:
    """Return one published space. Raises Problem("not-found")."""
    row = session.get(Space, space_id)
    if row is None or row.withdrawn_at is not None or row.node.state == "left":
        raise Problem("not-found")
    return row


def nodes(session: Session) -> list[Node]:
    return list(session.scalars(select(Node).order_by(Node.id)))


def set_state(
    session: Session, now: datetime, node_id: str, state: str, actor: str, reason: str
) -> Node:
    """Suspend a node or take it back. Raises Problem."""
    begin_write(session)
    node = session.get(Node, node_id)
    if node is None:
        session.rollback()
        raise Problem("not-found")
    if node.state == "left":
        session.rollback()
        raise Problem("conflict", "this node has left the network")
    audit(session, now, actor, state, node_id, before=node.state, reason=reason)
    node.state = state
    session.commit()
    return node


def trust_list(session: Session, ring: KeyRing, hub_url: str) -> str:
    """Return the signed trust list, as of now. It holds for the charter's offline tolerance."""
    charter = governance.in_force(session)
    signed = governance.signed_versions(session, charter.version)
    by_node: dict[str, list[dict[str, Any]]] = {}
    for row in session.scalars(
        select(Space).where(Space.withdrawn_at.is_(None)).order_by(Space.id)
    ):
        by_node.setdefault(row.node_id, []).append(
            {"id": row.id, "name": row.name, "town": row.town}
        )
    issued = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": hub_url,
        "iat": issued,
        "exp": issued + charter.rules.offline.trust_list_hours * 3600,
        "charter": {"version": charter.version, "sha256": charter.sha256},
        "nodes": [
            {
                "id": node.id,
                "name": node.name,
                "url": node.url,
                "state": node.state,
                "keys": [
                    {**key.jwk, **({"withdrawn": True} if key.withdrawn_at else {})}
                    for key in node.keys
                ],
                "plans": node.plans,
                "charter": signed.get(node.id),
                "spaces": by_node.get(node.id, []),
            }
            for node in nodes(session)
        ],
    }
    return ring.sign(claims, trust.TYP)


def mark_silent(session: Session, now: datetime, late: timedelta, offline: timedelta) -> None:
    """Set nodes that were not heard lately to late or offline; being heard brings them back."""
    begin_write(session)
    for state, silence, before in (
        ("late", late, ("connected",)),
        ("offline", offline, ("connected", "late")),
    ):
        session.execute(
            update(Node)
            .where(Node.state.in_(before), Node.last_seen_at < now - silence)
            .values(state=state)
        )
    session.commit()


Fetch = Callable[[str], str]


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
