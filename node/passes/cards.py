"""Cards on paper, for those without a smartphone: the home shows the pass in place of a phone.

The card carries an address and no secret. At the door its bearer says a PIN, which the host
passes on to the home, and the home answers with a pass that is good for one showing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc.jwk import OKPKey
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from node.context import Node
from node.hub import service as sync
from node.members.models import Member
from node.passes import host_requests, service
from node.passes.models import Card, CardShowing, Pass
from shared.crypto import passes
from shared.store.account_tables import check_password, hash_password
from shared.store.db import write
from shared.wire.problems import Problem

PATH = "/card/"
TYP = "passerelle-card+jwt"
VALID = timedelta(days=365)
PIN_DIGITS = 6
TRIES = 5  # wrong PINs in a row, then the card is suspended
_SHOWN_FOR = timedelta(minutes=10)
_KEPT = timedelta(days=35)
LATEST = 5


def make(session: Session, node: Node, member: Member) -> tuple[Pass, str]:
    """Make a member's card, ending the one before; the PIN is told this once. Raises Problem."""
    pin = f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}}"
    pin_hash = hash_password(pin)
    with service.new_pass(session, node, member, node.clock.real() + VALID) as row:
        for old in _cards(session, row.member_id):
            service.end(session, node, old.of, "revoked")
        session.add(Card(pass_id=row.id, pin_hash=pin_hash))
    return row, pin


def card_of(session: Session, member_id: int) -> Pass | None:
    """Return the pass of a member's card, valid or suspended; None without one."""
    cards = _cards(session, member_id)
    return cards[0].of if cards else None


def _cards(session: Session, member_id: int) -> list[Card]:
    query = select(Card).join(Pass).where(Pass.member_id == member_id, Pass.status != "revoked")
    return list(session.scalars(query.order_by(Pass.number.desc())))


def pass_ids(session: Session, member_id: int) -> set[str]:
    """Return which of a member's passes are cards on paper, those that have ended too."""
    query = select(Card.pass_id).join(Pass).where(Pass.member_id == member_id)
    return set(session.scalars(query))


def address(node: Node, pass_id: str) -> str:
    """Return the text of a card's QR: a page that tells a finder what this is."""
    return f"{node.url}{PATH}{pass_id}"


def show(session: Session, node: Node, pass_id: str, pin: str, host: str, space_id: str) -> str:
    """Return a fresh pass for whoever knows the PIN. Raises Problem("card-refused").

    The member sees on their pages where it was shown. The card is locked while its PIN is looked
    at, so that many tries at once are told apart as if they came one by one.
    """
    home, charter = sync.node_id(session), service.charter_of(session, node)
    with write(session):
        card = session.get(Card, pass_id, with_for_update={"of": Card})
        reason = _reason_against(node, card)
        if card is None or reason is not None:
            raise Problem("card-refused", reason=reason)
        known = check_password(_Secret(card.pin_hash), pin)
        card.tries = 0 if known else card.tries + 1
        if card.tries >= TRIES:
            service.end(session, node, card.of, "suspended")
        if known:
            at = node.clock.now()
            session.add(CardShowing(pass_id=pass_id, host=host, space_id=space_id, at=at))
    if not known:
        raise Problem("card-refused", reason="pin")
    row, now = session.get_one(Pass, pass_id), node.clock.real()
    key = OKPKey.generate_key("Ed25519")
    public = key.as_dict(private=False)
    until = min(row.expires_at, now + _SHOWN_FOR)
    credential = service.sign(session, node, home, charter, row, public, until, passes.CARD_VCT)
    return passes.bind(credential, key, now.timestamp())


@dataclass(frozen=True, slots=True)
class _Secret:
    password_hash: str


def _reason_against(node: Node, card: Card | None) -> str | None:
    if card is None:
        return "pass_revoked"
    if card.tries >= TRIES:
        return "pass_suspended"
    if card.of.status != "valid":
        return f"pass_{card.of.status}"
    return "pass_expired" if card.of.expires_at <= node.clock.real() else None


def ask_to_show(node: Node, host: str, space_id: str, home_url: str, pass_id: str, pin: str) -> str:
    """Return what a host's door sends to a card's home, signed."""
    claims = {"space": space_id, "card": pass_id, "pin": pin}
    return host_requests.sign(node, TYP, host, home_url, **claims)


def answer_host(session: Session, node: Node, pass_id: str, request: str) -> str:
    """Show a card to a host of the network, and to nobody else. Raises Problem."""
    longest = {"space": 64, "card": 64, "pin": 20}
    asked = host_requests.read(session, node, TYP, request, longest)
    if asked["card"] != pass_id:
        raise Problem("proof-invalid", "card")
    return show(session, node, pass_id, asked["pin"], asked["iss"], asked["space"])


def latest_showings(session: Session, pass_id: str) -> list[CardShowing]:
    """Return where a card was shown, the last first."""
    query = select(CardShowing).where(CardShowing.pass_id == pass_id)
    return list(session.scalars(query.order_by(CardShowing.id.desc()).limit(LATEST)))


def forget_showings(session: Session, now: datetime) -> None:
    """Delete where cards were shown more than 35 days ago."""
    with write(session):
        session.execute(delete(CardShowing).where(CardShowing.at < now - _KEPT))
