"""Issuing passes to members' phones, and ending them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from charter import Charter
from node.context import Node
from node.hub import outbox
from node.hub import service as sync
from node.hub.departures import has_left
from node.hub.models import Enrolment
from node.members import service as members
from node.members.models import Member
from node.passes.models import LostPass, Pass
from node.spaces.service import own_zone
from shared.crypto import jose, passes, status_list
from shared.net.http import Answer, PeerError
from shared.store.db import write
from shared.wire.problems import Problem

TOPIC = "pass"
VALID_DAYS = 30
MAX_VALID = 5  # of phones, in force at once
MAX_A_DAY = 20  # each takes a place in the status list for ever
# In a demonstration one member is many people.
MAX_VALID_OF_DEMO, MAX_A_DAY_OF_DEMO = 200, 2_000
_LIST_STEP = 4096  # the list grows by whole steps, so that its length says little


def issue(
    session: Session,
    node: Node,
    member: Member,
    jwk: Mapping[str, Any],
    *,
    device: str = "",
    replaces: str | None = None,
) -> tuple[str, Pass]:
    """Return a new credential for a phone's key, and its row. Raises Problem or ValueError.

    ``replaces`` is the pass of a device that has lost its key: it is ended in the same moment.
    """
    home = sync.node_id(session)
    charter = charter_of(session, node)
    expires = node.clock.real() + timedelta(days=VALID_DAYS)
    with new_pass(session, node, member, expires, jwk, replaces) as row:
        row.device = device
        row.credential = credential = sign(session, node, home, charter, row, jwk, row.expires_at)
    return credential, row


@contextmanager
def new_pass(
    session: Session,
    node: Node,
    member: Member,
    expires: datetime,
    jwk: Mapping[str, Any] | None = None,
    replaces: str | None = None,
) -> Iterator[Pass]:
    """Add a pass, to which the caller adds what belongs to it, and tell the hub. Raises Problem.

    ``jwk`` is the phone's key; a card has none of its own.
    """
    now, member_id = node.clock.real(), member.id
    known = sync.network(session, node)
    if known is not None and has_left(known.trust, sync.node_id(session)):
        raise Problem("forbidden", "this space has left the network")
    with write(session):
        # The enrolment row is the lock under which numbers in the status list are given.
        session.scalars(select(Enrolment).with_for_update()).one()
        # The member's row too: who is being suspended or ended gets no pass meanwhile.
        found = members.lock(session, member_id)
        if found is None or found.suspended_at is not None:
            raise Problem("forbidden", "this subscription is suspended")
        if found.joined_on > members.today(session, node):
            raise Problem("forbidden", "this subscription has not begun")
        if replaces is not None:
            end(session, node, _own_row(session, replaces, member_id), "revoked")
        _check_number(session, node, member_id, now, jwk)
        if found.ended_on is not None:
            expires = min(expires, datetime.combine(found.ended_on, time.max, own_zone(session)))
        row = Pass(
            id=passes.new_pass_id(),
            number=last_number(session) + 1,
            member_id=member_id,
            status="valid",
            issued_at=now,
            expires_at=expires,
        )
        session.add(row)
        session.flush()
        announce(session, node, row)
        yield row


def _check_number(
    session: Session, node: Node, member_id: int, now: datetime, jwk: Mapping[str, Any] | None
) -> None:
    """Raise Problem when a member has, or made within a day, as many as devices can need.

    A phone that renews its pass has two for a moment: the old one is ended when the new one is
    kept.
    """
    phones = select(Pass.credential).where(
        Pass.member_id == member_id,
        Pass.status == "valid",
        Pass.expires_at > now,
        Pass.credential != "",
    )
    keys = [_key_of(credential) for credential in session.scalars(phones)]
    limit = MAX_VALID_OF_DEMO if node.settings.demo else MAX_VALID
    most = limit + 1 if jwk is not None and jwk["x"] in keys else limit
    if jwk is not None and len(keys) >= most:
        raise Problem("conflict", f"at most {limit} passes at once: revoke one first")
    since = now - timedelta(days=1)
    made = select(func.count(Pass.id)).where(Pass.member_id == member_id, Pass.issued_at > since)
    most_made = MAX_A_DAY_OF_DEMO if node.settings.demo else MAX_A_DAY
    if (session.scalar(made) or 0) >= most_made:
        wait = {"Retry-After": str(3600)}
        raise Problem("too-many-requests", "passes were made too often today", headers=wait)


def _key_of(credential: str) -> str:
    """Return what tells one phone's key from another in a credential of ours."""
    return str(jose.read_unverified(credential).claims["cnf"]["jwk"]["x"])


def last_number(session: Session) -> int:
    """Return the last number given in the status list, to a pass that is known or lost."""
    last = [session.scalar(select(func.max(of.number))) or 0 for of in (Pass, LostPass)]
    return max(last)


def charter_of(session: Session, node: Node) -> Charter | None:
    """Return the charter as this home last knew it."""
    known = sync.network(session, node)
    return known.charter if known else None


def sign(
    session: Session,
    node: Node,
    home: str,
    charter: Charter | None,
    row: Pass,
    jwk: Mapping[str, Any],
    expires: datetime,
    vct: str = passes.VCT,
) -> str:
    """Return a credential for a pass, bound to a public key. Raises ValueError."""
    member, usable_from = row.member, None
    if charter is not None and charter.rules.seniority is not None:
        day = member.joined_on + timedelta(days=charter.rules.seniority.days)
        usable_from = datetime.combine(day, time(), own_zone(session))
    return passes.issue(
        node.ring,
        issuer=home,
        pass_id=row.id,
        jwk=jwk,
        plan=member.plan.plan_class,
        given_name=member.given_name,
        status_index=row.number,
        status_uri=f"{node.url}/status-lists/1",
        issued_at=node.clock.real(),
        expires_at=expires,
        usable_from=usable_from if usable_from and usable_from > node.clock.now() else None,
        vct=vct,
    )


def announce(session: Session, node: Node, row: Pass) -> None:
    """Tell the hub what a pass is now, in the caller's transaction; each change once."""
    payload = {
        "pass_id": row.id,
        "member": row.member.reference,
        "member_since": row.member.joined_on.isoformat(),
        "status": row.status,
        "changes": row.changes,
        "number": row.number,
        "expires_at": row.expires_at.isoformat(),
    }
    key = f"{TOPIC}:{row.id}:{row.changes}:{row.status}"
    outbox.queue(session, node.clock.real(), TOPIC, key, payload, f"{TOPIC}:{row.id}", instead=True)


def passes_of(session: Session, member_id: int) -> list[Pass]:
    """Return a member's passes, the latest first."""
    query = select(Pass).where(Pass.member_id == member_id).order_by(Pass.number.desc())
    return list(session.scalars(query))


def count_valid(session: Session, node: Node) -> tuple[int, int]:
    """Return how many valid passes there are, of how many members."""
    query = select(func.count(), func.count(Pass.member_id.distinct())).where(
        Pass.status == "valid", Pass.expires_at > node.clock.real()
    )
    passes, members = session.execute(query).one()
    return passes, members


def revoke(session: Session, node: Node, pass_id: str, member_id: int | None = None) -> Pass:
    """End a pass for good; ``member_id`` keeps a member to their own. Raises Problem.

    Revoking it again changes nothing.
    """
    with write(session):
        row = _own_row(session, pass_id, member_id)
        end(session, node, row, "revoked")
    return row


def _own_row(session: Session, pass_id: str, member_id: int | None) -> Pass:
    row = session.get(Pass, pass_id)
    if row is None or member_id not in (None, row.member_id):
        raise Problem("not-found")
    return row


def end(session: Session, node: Node, row: Pass, status: str) -> None:
    """Revoke or suspend a pass in the caller's transaction, and tell the hub."""
    if row.status in (status, "revoked"):
        return
    row.status, row.ended_at = status, node.clock.real()
    if status == "revoked":
        row.credential = ""
    row.changes += 1
    session.flush()
    announce(session, node, row)


def signed_status_list(session: Session, node: Node) -> str:
    """Return the signed list of every pass's status, as of now. Raises Problem."""
    home = sync.node_id(session)
    statuses, size = statuses_of(session)
    return status_list.sign_list(
        node.ring,
        issuer=home,
        uri=f"{node.url}/status-lists/1",
        statuses=statuses,
        size=size,
        now=node.clock.real(),
    )


def statuses_of(session: Session) -> tuple[dict[int, int], int]:
    """Return the status of every pass that does not hold, by number, and the list's size."""
    last = last_number(session)
    ended = session.execute(select(Pass.number, Pass.status).where(Pass.status != "valid"))
    codes = {"revoked": status_list.INVALID, "suspended": status_list.SUSPENDED}
    size = (last // _LIST_STEP + 1) * _LIST_STEP
    lost = dict.fromkeys(session.scalars(select(LostPass.number)), status_list.INVALID)
    return lost | {number: codes[state] for number, state in ended}, size


def own(session: Session, pass_id: str) -> tuple[str, int | None]:
    """Return the status and the member of one of our own passes; a pass that is not is revoked."""
    row = session.get(Pass, pass_id)
    return (row.status, row.member_id) if row else ("revoked", None)


def _deliver(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
    del session
    body = {name: value for name, value in payload.items() if name != "pass_id"}
    answer = node.hub.call("PUT", f"/api/v1/passes/{payload['pass_id']}", json=body)
    if answer.status < 300 and answer.status != 204:
        raise PeerError("not-json")
    return answer


outbox.DELIVERIES[TOPIC] = _deliver
