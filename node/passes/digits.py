"""Six digits in place of a camera: a pass that waits at its home for the door it was made for.

The phone signs as for a code on its screen, and its home keeps that under six digits, hashed,
for the one space named, once, until what was signed is 90 seconds old.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from marshmallow import ValidationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from charter import NOT_YET
from node.context import Node
from node.hub import service as sync
from node.hub.models import Enrolment
from node.members.models import Member
from node.passes import host_requests
from node.passes.models import DoorCode, Pass, WrongDoorCode
from shared.base.clock import Clock
from shared.crypto import jose, passes
from shared.store.db import write
from shared.wire.problems import Problem

TYP = "passerelle-code+jwt"
PATH = "/api/v1/codes"
DIGITS = 6
TRIES = 5  # wrong ones of a host within the window, then none of its is looked at
_WINDOW = timedelta(minutes=10)
_GOOD_FOR = timedelta(seconds=passes.FRESH_SECONDS)


def make(
    session: Session, node: Node, member: Member, space_id: str, binding: str
) -> tuple[str, datetime]:
    """Return six digits, and until when they are good. Raises ValidationError or Problem.

    ``binding`` is a key binding for the door, over one of the member's passes.
    """
    known, member_id = sync.network(session, node), member.id
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    spaces = {space["id"] for entry in known.trust.nodes.values() for space in entry["spaces"]}
    if space_id not in spaces:
        raise ValidationError({"space": ["No space of the network has this id."]})
    text = _whole(session, member_id, binding)

    def key(issuer: str, kid: str) -> object:
        found = node.ring.public_key(kid) if issuer == sync.node_id(session) else None
        if found is None:
            raise passes.UnknownIssuer("key")
        return found

    evidence = passes.examine(text, key, node.clock)
    row = session.get(Pass, evidence.pass_id) if evidence.pass_id else None
    owner = (row.member_id, row.status) if row else None
    if set(evidence.faults) - {NOT_YET} or owner != (member_id, "valid"):
        raise ValidationError({"binding": ["This is no fresh code by one of your passes."]})
    pass_id, until = str(evidence.pass_id), _until(node.clock, evidence)
    with write(session):
        _lock(session)
        session.execute(
            delete(DoorCode).where(
                (DoorCode.until < node.clock.real()) | (DoorCode.pass_id == pass_id)
            )
        )
        code = _unused(session, node, space_id)
        session.add(
            DoorCode(
                pass_id=pass_id,
                space_id=space_id,
                code_hash=_hash(node, space_id, code),
                text=evidence.text,
                until=until,
            )
        )
    return code, until


def answer_host(session: Session, node: Node, request: str) -> str:
    """Hand the pass that waits under six digits to the host it was made for. Raises Problem."""
    asked = host_requests.read(session, node, TYP, request, {"space": 64, "code": 20})
    return take(session, node, asked["iss"], asked["space"], asked["code"])


def take(session: Session, node: Node, host: str, space_id: str, code: str) -> str:
    """Return the pass that waits under six digits, once. Raises Problem.

    A host's tries are counted under a lock, so that many at once are as many one by one.
    """
    now = node.clock.real()
    with write(session):
        _lock(session)
        session.execute(delete(WrongDoorCode).where(WrongDoorCode.at < now - _WINDOW))
        wrong = session.scalar(
            select(func.count()).select_from(WrongDoorCode).where(WrongDoorCode.host == host)
        )
        tries_left = TRIES - (wrong or 0)
        hashed = _hash(node, space_id, code)
        text = _hand_over(session, now, host, hashed) if tries_left > 0 else None
    if tries_left <= 0:
        raise too_many()
    if text is None:
        raise Problem("code-refused")
    return text


def _hand_over(session: Session, now: datetime, host: str, hashed: str) -> str | None:
    """Return the pass under six digits, which then waits no more; or count a wrong try."""
    waiting = select(DoorCode).where(DoorCode.code_hash == hashed, DoorCode.until >= now)
    found = session.scalars(waiting).first()
    if found is None:
        session.add(WrongDoorCode(host=host, at=now))
        return None
    text = found.text
    session.delete(found)
    return text


def too_many() -> Problem:
    """Return the problem of a host that has guessed too often."""
    wait = {"Retry-After": str(int(_WINDOW.total_seconds()))}
    return Problem("too-many-requests", "five wrong codes: wait ten minutes", headers=wait)


def purge_expired(session: Session, now: datetime) -> None:
    """Delete what nobody came for: a pass has a first name in it."""
    with write(session):
        session.execute(delete(DoorCode).where(DoorCode.until < now))


def _whole(session: Session, member_id: int, binding: str) -> str:
    """Return the pass that a key binding is over: it names it by its hash."""
    held = select(Pass.credential).where(Pass.member_id == member_id, Pass.status == "valid")
    try:
        hashed = jose.read_unverified(binding).claims.get("sd_hash")
    except jose.TokenFault:
        hashed = None
    for credential in session.scalars(held):
        if credential and passes.sd_hash(credential) == hashed:
            return f"{credential}~{binding}"
    raise ValidationError({"binding": ["This is no fresh code by one of your passes."]})


def _until(clock: Clock, evidence: passes.Evidence) -> datetime:
    """Return when a fresh key binding is too old, in real time; phones may go by either clock."""
    signed = evidence.shown_at or clock.real()
    ages = clock.real() - signed, clock.now() - signed
    return clock.real() + _GOOD_FOR - min(ages, key=abs)


def _unused(session: Session, node: Node, space_id: str) -> str:
    while True:
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        hashed = _hash(node, space_id, code)
        if session.scalar(select(DoorCode.id).where(DoorCode.code_hash == hashed)) is None:
            return code


def _hash(node: Node, space_id: str, code: str) -> str:
    key = node.settings.secret_key.encode()
    return hmac.new(key, f"{space_id} {code}".encode(), hashlib.sha256).hexdigest()


def _lock(session: Session) -> None:
    session.scalars(select(Enrolment).with_for_update()).one()
