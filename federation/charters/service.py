"""The charter in force, its versions and signatures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, time
from functools import lru_cache
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from charter import Charter, read_charter
from federation.audit.service import CLI, audit
from federation.charters.models import CharterVersion, Signature
from federation.nodes import trust_changes
from federation.nodes.models import Node
from shared.crypto import jose
from shared.store.db import write
from shared.wire.problems import Problem

SIGNATURE_TYP = "charter-signature+jwt"


@lru_cache(maxsize=32)
def _parsed(version: str, _sha256: str, sources: tuple[tuple[str, str], ...]) -> Charter:
    return read_charter(version, dict(sources))


def as_charter(row: CharterVersion) -> Charter:
    return _parsed(row.version, row.sha256, tuple(sorted(row.sources.items())))


def in_force(session: Session) -> Charter:
    """Return the charter in force. Raises Problem when the hub has none yet."""
    row = session.scalar(select(CharterVersion).where(CharterVersion.state == "in_force"))
    if row is None:
        raise Problem("unavailable", "no charter is in force: run passerelle hub init")
    return as_charter(row)


def signatories(session: Session) -> set[str]:
    """Return the nodes that signed the charter in force."""
    return set(signed_versions(session, in_force(session).version))


def split(session: Session) -> time:
    """Return when a morning ends, under the charter in force."""
    return in_force(session).rules.opening_hours.split


def adopt_first(session: Session, now: datetime, sources: Mapping[str, str]) -> Charter:
    """Put the network's first charter in force. Nothing changes when there is one already."""
    charter = read_charter("1", sources)
    with write(session):
        existing = session.scalar(select(CharterVersion).where(CharterVersion.state == "in_force"))
        if existing is not None:
            return as_charter(existing)
        session.add(
            CharterVersion(
                version=charter.version,
                number=1,
                sources=dict(charter.sources),
                sha256=charter.sha256,
                state="in_force",
                adopted_at=now,
                effective_at=now,
            )
        )
        trust_changes.note(session)
        audit(session, now, CLI, "found", f"charter:{charter.version}", sha256=charter.sha256)
    return charter


def find(session: Session, version: str) -> CharterVersion:
    """Return a version, ``current`` for the one in force. Raises Problem("not-found")."""
    by = (
        CharterVersion.state == "in_force"
        if version == "current"
        else CharterVersion.version == version
    )
    row = session.scalar(select(CharterVersion).where(by))
    if row is None:
        raise Problem("not-found")
    return row


def versions(session: Session) -> list[CharterVersion]:
    """Return every version and proposal, the first one first."""
    return list(session.scalars(select(CharterVersion).order_by(CharterVersion.number)))


def page(
    session: Session, states: Collection[str], before: int, limit: int
) -> list[CharterVersion]:
    """Return versions in these states, or in any, the last proposed first.

    They are below the number ``before``, unless that is 0, and as many as ``limit``.
    """
    query = select(CharterVersion).order_by(CharterVersion.number.desc()).limit(limit)
    if states:
        query = query.where(CharterVersion.state.in_(states))
    if before:
        query = query.where(CharterVersion.number < before)
    return list(session.scalars(query))


def signatures(
    session: Session,
    version: str,
    *,
    only: str | None = None,
    after: str = "",
    limit: int | None = None,
) -> Sequence[Signature]:
    """Return the signatures of a version, by the operators' ids.

    ``only`` one operator's; from behind the id ``after``, as many as ``limit``.
    """
    query = select(Signature).where(Signature.version == version, Signature.node_id > after)
    if only is not None:
        query = query.where(Signature.node_id == only)
    return session.scalars(query.order_by(Signature.node_id).limit(limit)).all()


def number_of_signatures(session: Session, version: str) -> int:
    query = select(func.count()).select_from(Signature).where(Signature.version == version)
    return session.scalar(query) or 0


def signed_by(session: Session, node_id: str) -> list[Signature]:
    """Return an operator's signatures, the latest first."""
    query = select(Signature).where(Signature.node_id == node_id)
    return list(session.scalars(query.order_by(Signature.signed_at.desc())))


def signed_versions(session: Session, version: str) -> dict[str, str]:
    """Return ``{node id: version}`` for the nodes that signed this version."""
    query = select(Signature.node_id).where(Signature.version == version)
    return dict.fromkeys(session.scalars(query), version)


def sign(session: Session, now: datetime, node: Node, version: str, jws: str) -> Signature:
    """Record a node's signature of a version; the same node signing again changes nothing.

    Raises Problem("proof-invalid") unless it is a JWS by a current key of the node over the hash.
    """
    row = find(session, version)
    keys = {key.kid: key.jwk for key in node.keys if key.withdrawn_at is None}

    def find_key(header: Mapping[str, Any], _claims: Mapping[str, Any]) -> Any:
        if header.get("kid") not in keys:
            raise jose.TokenFault("key")
        return jose.import_public(keys[header["kid"]])

    try:
        claims = jose.verify(jws, find_key, SIGNATURE_TYP).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    wanted = {"iss": node.id, "version": row.version, "sha256": row.sha256}
    if any(claims.get(name) != value for name, value in wanted.items()):
        raise Problem("proof-invalid", "iss, version or sha256 differ from what is to be signed")
    node_id, wanted_version = node.id, row.version
    with write(session):
        existing = session.get(Signature, (wanted_version, node_id))
        if existing is not None:
            return existing
        signature = Signature(version=wanted_version, node_id=node_id, jws=jws, signed_at=now)
        session.add(signature)
        trust_changes.note(session)
        audit(
            session,
            now,
            f"node:{node_id}",
            "sign",
            f"charter:{wanted_version}",
            sha256=wanted["sha256"],
        )
    return signature
