"""What a home and a host say to each other of a booking: signed requests, and the host's word."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from charter import PLAN_CLASSES
from node.bookings.models import Booking
from node.bookings.occupancy import Span
from node.context import Node
from shared.base.schemas import PASS_ID, WireSchema, iso_date, known_zone, moment, text
from shared.crypto import jose
from shared.crypto.trust_list import TrustList
from shared.wire.problems import Problem

REQUEST_TYP = "passerelle-booking+jwt"
WORD_TYP = "passerelle-booking-word+jwt"
ID = validate.Regexp(r"^[0-9a-f]{32}\Z", error="Not a booking’s number.")
ASK, CONFIRM, CANCEL = "ask", "confirm", "cancel"
FRESH_SECONDS = 90


class RequestSchema(WireSchema):
    """A home's request: the whole booking each time, so that one that was lost is made again."""

    id = fields.String(required=True, validate=ID)
    action = fields.String(required=True, validate=validate.OneOf([ASK, CONFIRM, CANCEL]))
    space = text(64)
    room = fields.String(
        load_default=None, allow_none=True, validate=validate.Length(min=1, max=120)
    )
    starts_at = moment(required=True)
    ends_at = moment(required=True)
    member = text(64)
    given_name = fields.String(required=True, validate=validate.Length(max=60))
    plan = fields.String(required=True, validate=validate.OneOf(PLAN_CLASSES))
    passes = fields.List(
        fields.String(validate=PASS_ID),
        required=True,
        validate=validate.Length(max=20),
    )
    wait = fields.Boolean(load_default=False)
    known = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 2**31 - 2),
        metadata={"description": "The last revision that the home has: the answer is no earlier."},
    )

    @validates_schema
    def _check(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if data["ends_at"] <= data["starts_at"]:
            raise ValidationError({"ends_at": ["The end is not after the beginning."]})


class WordSchema(WireSchema):
    """The host's word on a booking; a later ``revision`` replaces an earlier one."""

    id = fields.String(required=True, validate=ID)
    state = fields.String(
        required=True,
        validate=validate.OneOf(
            [
                "held",
                "confirmed",
                "waiting",
                "cancelled",
                "lapsed",
                "arrived",
                "no_show",
                "refused",
            ]
        ),
    )
    revision = fields.Integer(required=True, validate=validate.Range(0, 2**31 - 1))
    held_until = moment(required=True, allow_none=True)
    reason = fields.String(required=True, validate=validate.Length(max=300))
    late = fields.Boolean(required=True)
    reasons = fields.List(fields.Dict(), required=True, validate=validate.Length(max=30))
    timezone = fields.String(load_default=None, allow_none=True, validate=known_zone)
    closed = fields.List(
        fields.String(validate=iso_date),
        load_default=list,
        validate=validate.Length(max=10),
        metadata={"description": "Booked dates on which the space is not open any more."},
    )


_request, _word = RequestSchema(), WordSchema()


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was verified; instants are aware."""

    home: str
    id: str
    action: str
    space: str
    room: str | None
    starts_at: datetime
    ends_at: datetime
    member: str
    given_name: str
    plan: str
    passes: list[str]
    wait: bool
    known: int = 0

    @property
    def span(self) -> Span:
        return self.starts_at, self.ends_at


def read_request(trust: TrustList, node: Node, token: str) -> Request:
    """Verify a home's request: signed by a key of its own, for us, just now. Raises Problem."""
    claims, home = _claims(trust, node, token, REQUEST_TYP)
    try:
        return Request(home=home, **_request.load(claims))
    except ValidationError as error:
        raise Problem("validation", errors=error.messages) from None


def read_word(trust: TrustList, node: Node, token: str) -> tuple[str, dict[str, Any]]:
    """Verify a host's word; return the host and what it says. Raises Problem."""
    claims, host = _claims(trust, node, token, WORD_TYP)
    return host, load_word(claims)


def read_recall(trust: TrustList, node: Node, token: str, typ: str) -> str:
    """Verify a partner's wish to be told what we know of bookings; return who. Raises Problem."""
    return _claims(trust, node, token, typ)[1]


def load_word(document: Any) -> dict[str, Any]:
    """Read a host's word. Raises Problem."""
    try:
        found: dict[str, Any] = _word.load(document)
    except ValidationError as error:
        raise Problem("validation", errors=error.messages) from None
    return found


def _claims(trust: TrustList, node: Node, token: str, typ: str) -> tuple[Any, str]:
    try:
        issuer = str(jose.read_unverified(token).claims.get("iss"))
        claims = jose.verify(token, trust.find_key_of(issuer), typ).claims
    except jose.TokenFault as fault:
        raise Problem("proof-invalid", fault.detail) from None
    issued = claims.get("iat")
    fresh = isinstance(issued, int) and abs(node.clock.real().timestamp() - issued) <= FRESH_SECONDS
    if claims.get("aud") != node.url or not fresh:
        raise Problem("proof-invalid", "iat or aud is not what it should be")
    if trust.nodes[issuer]["state"] in ("suspended", "left"):
        raise Problem("node-suspended")
    return claims, issuer


def sign(node: Node, typ: str, issuer: str, audience: str, document: dict[str, Any]) -> str:
    stamp = {"iss": issuer, "aud": audience, "iat": int(node.clock.real().timestamp())}
    return node.ring.sign({**stamp, **document}, typ)


def word_of(row: Booking) -> dict[str, Any]:
    """Return the host's word on a booking it has."""
    return {
        "id": row.id,
        "state": row.state,
        "revision": row.revision,
        "held_until": row.held_until.isoformat() if row.held_until else None,
        "reason": row.reason,
        "late": row.late,
        "reasons": [],
        "closed": row.closed,
    }


def refusal(booking_id: str, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the host's word on a booking that it does not take."""
    return {
        "id": booking_id,
        "state": "refused",
        "revision": 0,
        "held_until": None,
        "reason": "",
        "late": False,
        "reasons": reasons,
        "closed": [],
    }
