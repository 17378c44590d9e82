"""Looking at a node from outside, as its admin cannot: what works there, and what does not.

Only the address that the hub has of the node is called, and only paths that every node has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import orjson
from marshmallow import ValidationError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from federation.nodes.findings import SECONDS, Finding, certificate, clock
from federation.nodes.service import active_node, find_key_of
from federation.spaces import publications
from federation.spaces.models import Availability, Space
from federation.trust import spaceapi
from shared.crypto import jose
from shared.net.http import Answer, PeerError, PeerSession
from shared.store.db import release
from shared.wire.problems import Problem
from shared.wire.spaces import PUBLICATION_TYP

NAMES = ("reachable", "certificate", "clock", "key", "publication", "cors", "spaceapi", "jobs")
MOST_SPACES = 10
PUBLICATION, KEYS = "/.well-known/passerelle", "/.well-known/jwks.json"
AVAILABILITY = f"{PUBLICATION}/availability"

Found = Answer | PeerError


def look(
    session: Session, now: datetime, real: datetime, peers: PeerSession, node_id: str
) -> dict[str, Any]:
    """Return what is found at a node: ``url``, ``checked_at`` and a finding for each of NAMES.

    The publication that is found is taken, as in a harvest. Raises Problem for a node that may
    not act.
    """
    node = active_node(session, node_id)
    url, revision = node.url, node.publication_revision
    ids = _spaces(session, node_id)
    told_at = session.scalar(
        select(func.max(Availability.expires_at)).join(Space).where(Space.node_id == node_id)
    )
    release(session)  # nothing is held while the node is called back
    sheets = {space_id: f"/spaces/{space_id}/spaceapi.json" for space_id in ids}
    answers = _ask(peers, url, [PUBLICATION, KEYS, AVAILABILITY, *sheets.values()])
    findings = [_reachable(answers[PUBLICATION]), certificate(peers, url, real)]
    if findings[0].state == "passed":
        body = answers[PUBLICATION].body  # type: ignore[union-attr]
        findings += _signed(session, node_id, body, answers[KEYS], real)
        findings.append(_publication(session, now, node_id, body, revision))
        findings.append(_cors(answers))
        findings.append(_space_api({name: answers[path] for name, path in sheets.items()}))
    else:
        skipped = ("clock", "key", "publication", "cors", "spaceapi")
        findings += [Finding(name, "skipped", "unreachable") for name in skipped]
    findings.append(_jobs(told_at, now))
    return {"url": url, "checked_at": now, "items": findings}


def _spaces(session: Session, node_id: str) -> list[str]:
    query = select(Space.id).where(Space.node_id == node_id, Space.withdrawn_at.is_(None))
    return list(session.scalars(query.order_by(Space.id).limit(MOST_SPACES)))


def _ask(peers: PeerSession, url: str, paths: list[str]) -> dict[str, Found]:
    def ask(path: str) -> Found:
        try:
            return peers.request(
                "GET", url + path, timeout=SECONDS, max_bytes=publications.MOST_BYTES
            )
        except PeerError as error:
            return error

    with ThreadPoolExecutor(len(paths), thread_name_prefix="checkup") as pool:
        return dict(zip(paths, pool.map(ask, paths), strict=True))


def _reachable(found: Found) -> Finding:
    if isinstance(found, PeerError):
        params = {"reason": found.reason, "detail": found.detail}
        return Finding("reachable", "failed", "unreachable", params)
    if 300 <= found.status < 400:
        return Finding("reachable", "failed", "redirect", {"status": found.status})
    if found.status != 200:
        return Finding("reachable", "failed", "status", {"status": found.status})
    return Finding("reachable", "passed")


def _signed(
    session: Session, node_id: str, body: bytes, keys: Found, real: datetime
) -> Iterator[Finding]:
    try:
        token = body.decode("ascii")
        claims = jose.read_unverified(token).claims
    except (jose.TokenFault, UnicodeDecodeError):
        yield Finding("clock", "skipped", "unreadable")
        yield Finding("key", "failed", "unreadable")
        return
    yield clock(claims.get("iat"), real)
    try:
        verified = jose.verify(token, find_key_of(session, node_id), PUBLICATION_TYP)
    except jose.TokenFault as fault:
        yield Finding("key", "failed", "wrong", {"detail": fault.detail})
        return
    shown = _key_ids(keys)
    if verified.claims.get("iss") != node_id:
        yield Finding("key", "failed", "another-node", {"id": str(verified.claims.get("iss"))[:64]})
    elif verified.header.get("kid") not in shown:
        yield Finding("key", "failed", "not-shown")
    else:
        yield Finding("key", "passed")


def _key_ids(found: Found) -> set[Any]:
    try:
        document = found.json() if isinstance(found, Answer) and found.status == 200 else {}
        return {key.get("kid") for key in document["keys"]}
    except (PeerError, AttributeError, KeyError, TypeError):
        return set()


def _publication(
    session: Session, now: datetime, node_id: str, body: bytes, revision: int
) -> Finding:
    try:
        told = publications.take_pulled(session, now, node_id, body, revision)
    except ValidationError as error:
        errors = _plain(error.normalized_messages())
        return Finding("publication", "failed", "unreadable", {"errors": errors})
    except (Problem, UnicodeDecodeError):
        return Finding("publication", "failed", "not-signed")
    refused = sorted(n for n, word in told["documents"].items() if word["state"] == "refused")
    if refused:
        return Finding("publication", "failed", "refused", {"documents": refused})
    return Finding("publication", "passed", params={"documents": len(told["documents"])})


def _cors(answers: Mapping[str, Found]) -> Finding:
    closed = sorted(
        path
        for path, found in answers.items()
        if isinstance(found, PeerError)
        or found.status != 200
        or found.headers.get("Access-Control-Allow-Origin") != "*"
    )
    if closed:
        return Finding("cors", "failed", "closed", {"paths": closed})
    return Finding("cors", "passed")


def _space_api(answers: Mapping[str, Found]) -> Finding:
    wrong = {space_id: faults for space_id, found in answers.items() if (faults := _faults(found))}
    if wrong:
        return Finding("spaceapi", "failed", "invalid", {"spaces": wrong})
    return Finding("spaceapi", "passed", params={"spaces": len(answers)})


def _faults(found: Found) -> dict[str, Any]:
    """Return what is wrong with a SpaceAPI document, by field; of one that is not had, why."""
    if isinstance(found, Answer) and found.status != 200:
        found = PeerError("status", str(found.status))
    try:
        document = found.json() if isinstance(found, Answer) else found
    except PeerError as error:
        document = error
    if isinstance(document, PeerError):
        return {"document": [str(document)]}
    known: dict[str, Any] = _plain(spaceapi.faults(document))
    return known


def _plain(errors: Any) -> Any:
    """Return faults with the numbers of list items as text, as JSON has them."""
    return orjson.loads(orjson.dumps(errors, option=orjson.OPT_NON_STR_KEYS))


def _jobs(told_until: datetime | None, now: datetime) -> Finding:
    """The jobs process tells the free places: when it is silent, they are not known any more."""
    if told_until is None:
        return Finding("jobs", "failed", "never")
    if told_until <= now:
        return Finding("jobs", "failed", "silent", {"since": told_until.isoformat()})
    return Finding("jobs", "passed")
