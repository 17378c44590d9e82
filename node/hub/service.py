"""Keeping up with the network: trust and status lists, the charter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from charter import Charter, read_charter
from charter.model import fingerprint
from node.context import Node
from node.hub.models import Cached, Enrolment
from shared.base.memory import Memory
from shared.crypto import jose
from shared.crypto.keys import KeyRing
from shared.crypto.status_list import StatusList, read_list
from shared.crypto.trust_list import TrustList, read_trust_list
from shared.net.http import PeerError
from shared.store.account_tables import hash_token
from shared.store.db import release, write
from shared.wire.problems import Problem

log = structlog.get_logger()

PROOF_TYP = "passerelle-enrolment+jwt"
SIGNATURE_TYP = "charter-signature+jwt"
TRUST_LIST = "trust-list"
# Our signature of a version, among what is kept: for a hub that has lost it.
SIGNATURE = "signature:"
STATUS_FRESH = timedelta(seconds=60)
STATUS_ASK_AGAIN_SECONDS = 30
STATUS_TIMEOUT_SECONDS = 1.0
# A door may have waited for the hub before it asks a home, and both are to take two seconds.
STATUS_AT_DOOR_SECONDS = 0.4


# Made once: each scan asks these.
_NODE_ID = select(Enrolment.node_id)
_HEADS = select(Cached.name, Cached.sha256, Cached.fetched_at).where(
    Cached.name.in_(("trust-list", "charter"))
)


def enrolment(session: Session) -> Enrolment | None:
    return session.get(Enrolment, 1)


def node_id(session: Session) -> str:
    """Return the id the hub gave. Raises Problem before enrolment."""
    found: str | None = session.connection().execute(_NODE_ID).scalar()
    if found is None:
        raise Problem("unavailable", "this node is not enrolled yet: run passerelle node enrol")
    return found


# Coming in


def enrol(session: Session, node: Node, invitation: str, ring: KeyRing | None = None) -> str:
    """Enrol with a one-time invitation; the hub calls this node back meanwhile. Returns the id.

    With the key of ``ring``, which is in the key file, or the one that signs. Raises Problem with
    the hub's own words, or PeerError.
    """
    ring = ring or node.ring
    store(
        session, node.clock.real(), "hub-jwks", node.hub.get("/.well-known/jwks.json").body.decode()
    )
    claims = {
        "aud": node.hub.url,
        "url": node.url,
        "invitation": hash_token(invitation),
        "iat": int(time.time()),
    }
    answer = node.peers.request(
        "POST",
        f"{node.hub.url}/api/v1/enrolments",
        json={
            "invitation": invitation,
            "url": node.url,
            "jwk": ring.public_jwks()[0],
            "proof": ring.sign(claims, PROOF_TYP),
        },
        headers={"Accept-Language": "en"},
        timeout=15,
    )
    document = answer.json()
    if not isinstance(document, dict) or (answer.status < 400 and answer.status != 201):
        raise PeerError("foreign")
    if answer.status != 201:
        raise Problem("conflict", _in_words(document))
    with write(session):
        if enrolment(session) is None:
            session.add(
                Enrolment(
                    id=1,
                    node_id=document["node_id"],
                    hub_url=node.hub.url,
                    enrolled_at=node.clock.now(),
                )
            )
    return str(document["node_id"])


def _in_words(document: Mapping[str, Any]) -> str:
    """Return what the hub says of what it did not grant: what is wrong, where, what to do."""
    said = [document.get("detail") or document.get("title") or "the hub does not say why"]
    for name, found in (document.get("errors") or {}).items():
        said.append(f"{name}: {' '.join(map(str, found)) if isinstance(found, list) else found}")
    return " – ".join([*map(str, said), *filter(None, [document.get("remedy")])])


def sign_charter(session: Session, node: Node, version: str = "current") -> str:
    """Sign a version with this node's key, the one in force unless another is named.

    Returns the version. Raises Problem or PeerError.
    """
    charter = (
        refresh_charter(session, node) if version == "current" else read_version(node, version)
    )
    claims = {
        "iss": node_id(session),
        "version": charter.version,
        "sha256": charter.sha256,
        "iat": int(time.time()),
    }
    signed = node.ring.sign(claims, SIGNATURE_TYP)
    answer = node.hub.call(
        "POST",
        f"/api/v1/charters/{charter.version}/signatures",
        json={"jws": signed},
        timeout=10,
    )
    if answer.status != 201:
        raise Problem("conflict", answer.json().get("detail"))
    store(session, node.clock.real(), f"{SIGNATURE}{charter.version}", signed)
    return charter.version


def unsigned(session: Session, node: Node) -> bool:
    """Tell whether this operator is out of the reciprocity for want of its signature."""
    known, row = network(session, node), enrolment(session)
    if known is None or row is None or row.node_id not in known.trust.nodes:
        return False
    return known.trust.nodes[row.node_id].get("charter") != known.trust.charter_version


def read_version(node: Node, version: str) -> Charter:
    """Return a version from the hub, its hash checked against its text. Raises PeerError."""
    told = node.hub.get(f"/api/v1/charters/{version}").json()
    if fingerprint(told["version"], told["sources"]) != told["sha256"]:
        raise PeerError("charter-hash", "the text is not what the hash says")
    return read_charter(told["version"], told["sources"])


# What the network says


def store(session: Session, now: datetime, name: str, body: str) -> None:
    """Keep a signed document under a name, in place of the one before."""
    with write(session):
        row = session.get(Cached, name)
        if row is None:
            row = Cached(name=name)
            session.add(row)
        row.body, row.fetched_at = body, now
        row.sha256 = hashlib.sha256(body.encode()).hexdigest()


def hub_keys(session: Session, node: Node) -> jose.FindKey:
    """Return a finder of the hub's key; one not known yet is asked for, at the hub's address."""

    def find(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> Any:
        kid = header.get("kid")
        row = session.get(Cached, "hub-jwks")
        keys = orjson.loads(row.body)["keys"] if row else []
        if kid not in [key.get("kid") for key in keys]:
            body = node.hub.get("/.well-known/jwks.json").body.decode()
            keys = orjson.loads(body)["keys"]
            if kid in [key.get("kid") for key in keys]:
                store(session, node.clock.real(), "hub-jwks", body)
        for key in keys:
            if key.get("kid") == kid:
                return jose.import_public(key)
        raise jose.TokenFault("key")

    return find


@dataclass(frozen=True)
class Network:
    """What the door knows without asking: ``fetched_at`` is in real time."""

    trust: TrustList
    charter: Charter
    fetched_at: datetime


_parsed = Memory[tuple[str, str], Network]()


def network(session: Session, node: Node) -> Network | None:
    """Return the trust list and charter as last fetched, or None before the first time."""
    rows = session.connection().execute(_HEADS)
    heads = {name: (sha256, fetched_at) for name, sha256, fetched_at in rows}
    if len(heads) < 2:
        return None
    key, parsed = (heads["trust-list"][0], heads["charter"][0]), _parsed.here()
    kept = parsed.get(key)
    if kept is None:
        found = _read_network(session, node, heads["trust-list"][1])
        if found is None:
            return None
        parsed.clear()
        parsed[key] = kept = found
    return replace(kept, fetched_at=heads["trust-list"][1])


def _read_network(session: Session, node: Node, fetched_at: datetime) -> Network | None:
    bodies = {
        row.name: row.body
        for row in session.scalars(select(Cached).where(Cached.name.in_(("trust-list", "charter"))))
    }
    try:
        trust = read_trust_list(bodies["trust-list"], hub_keys(session, node), node.hub.url)
        document = orjson.loads(bodies["charter"])
        charter = read_charter(document["version"], document["sources"])
    except (jose.TokenFault, PeerError, KeyError, TypeError, ValueError):
        log.exception("network.unreadable")
        return None
    if charter.sha256 != trust.charter_sha256:
        log.warning("network.charter-differs", version=charter.version)
        return None
    return Network(trust, charter, fetched_at)


def refresh(session: Session, node: Node) -> Network | None:
    """Fetch the trust list, and the charter when it names another. Raises PeerError.

    A list that the hub says is still good is as if fetched now.
    """
    now, known = node.clock.real(), network(session, node)
    kept = session.connection().execute(_KEPT, {"name": TRUST_LIST}).first()
    release(session)
    good = known is not None and known.trust.expires_at > now.timestamp()
    headers = {"If-None-Match": f'"{kept.sha256}"'} if kept is not None and good else {}
    answer = node.hub.get("/api/v1/trust-list", headers=headers)
    if answer.status == 304 and kept is not None:
        with write(session):
            same = (Cached.name == TRUST_LIST) & (Cached.sha256 == kept.sha256)
            session.execute(update(Cached).where(same).values(fetched_at=now))
        return network(session, node)
    body = answer.body.decode()
    try:
        trust = read_trust_list(body, hub_keys(session, node), node.hub.url)
    except (jose.TokenFault, KeyError, TypeError, ValueError) as error:
        raise PeerError("trust-list-invalid", str(error)) from None
    if trust.expires_at <= node.clock.real().timestamp():
        raise PeerError("trust-list-expired")
    row = session.get(Cached, "charter")
    if row is None or orjson.loads(row.body)["sha256"] != trust.charter_sha256:
        refresh_charter(session, node)
    store(session, node.clock.real(), TRUST_LIST, body)
    return network(session, node)


def refresh_charter(session: Session, node: Node) -> Charter:
    """Fetch the charter in force, and check its hash against its text. Raises PeerError."""
    document = node.hub.get("/api/v1/charters/current").json()
    sources = document["sources"]
    if fingerprint(document["version"], sources) != document["sha256"]:
        raise PeerError("charter-hash", "the text is not what the hash says")
    charter = read_charter(document["version"], sources)
    kept = {"version": charter.version, "sources": sources, "sha256": charter.sha256}
    store(session, node.clock.real(), "charter", orjson.dumps(kept).decode())
    return charter


# By home: when its list could last not be had, as not every scan is to wait for it; and what it
# said, for as long as neither it nor the trust list changes.
_unanswered = Memory[str, float]()
_lists = Memory[str, tuple[str, TrustList, StatusList]]()
_KEPT = select(Cached.sha256, Cached.fetched_at).where(Cached.name == bindparam("name"))
_BODY = select(Cached.body).where(Cached.name == bindparam("name"))


def status_list(
    session: Session,
    node: Node,
    trust: TrustList,
    home: str,
    *,
    ask: bool,
    timeout: float = STATUS_TIMEOUT_SECONDS,
) -> StatusList | None:
    """Return a home's status list: fetched if ``ask`` and the kept one has aged, else as kept.

    The address comes from the hub's trust list, never from a pass. None when there is none
    that holds.
    """
    name = {"name": f"status:{home}"}
    uri = f"{trust.nodes[home]['url']}/status-lists/1"
    kept = session.connection().execute(_KEPT, name).first()
    now = node.clock.real()
    unanswered = time.monotonic() - _unanswered.here().get(home, float("-inf"))
    wrong = kept is not None and _is_outdated(session, node, trust, home, kept.sha256, uri)
    aged = kept is None or wrong or now - kept.fetched_at > STATUS_FRESH
    if ask and aged and unanswered > STATUS_ASK_AGAIN_SECONDS:
        try:
            answer = node.peers.request("GET", uri, timeout=timeout)
            body = answer.body.decode("ascii")
            read_list(body, trust.find_key_of(home), uri)
            store(session, now, name["name"], body)
        except (PeerError, jose.TokenFault, ValueError) as error:
            _unanswered.here()[home] = time.monotonic()
            log.info("status-list.not-fetched", node=home, reason=type(error).__name__)
        kept = session.connection().execute(_KEPT, name).first()
    if kept is None:
        return None
    before = _lists.here().get(home)
    if before is None or before[0] != kept.sha256 or before[1] is not trust:
        body = session.connection().execute(_BODY, name).scalar_one()
        try:
            before = kept.sha256, trust, read_list(body, trust.find_key_of(home), uri)
        except (jose.TokenFault, ValueError):
            return None
        _lists.here()[home] = before
    found = before[2]
    return found if found.expires_at > now.timestamp() else None


def _is_outdated(
    session: Session, node: Node, trust: TrustList, home: str, sha256: str, uri: str
) -> bool:
    """Tell whether the list that is kept is by a key withdrawn since, or of a former address."""
    before = _lists.here().get(home)
    if before is not None and before[0] == sha256 and before[1] is trust:
        return before[2].uri != uri
    body = session.connection().execute(_BODY, {"name": f"status:{home}"}).scalar_one()
    try:
        token = jose.read_unverified(body)
    except jose.TokenFault:
        return False
    return token.claims.get("sub") != uri or trust.withdrawn(home, str(token.header.get("kid")))


def refresh_status_lists(session: Session, node: Node) -> None:
    """Fetch every partner's aged status list; one that does not answer holds no other up."""
    known = network(session, node)
    if known is None:
        return
    own = node_id(session)
    for home, entry in known.trust.nodes.items():
        if home != own and entry["state"] not in ("left",):
            status_list(session, node, known.trust, home, ask=True)
