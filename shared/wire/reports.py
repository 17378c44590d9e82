"""The signed report by which a host tells the hub of a visit, or asks what it would decide.

The hub answers with a receipt: its own signed word on the visit. A hub that lost its database
believes its receipt, and nothing else, that it had decided already.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from charter import PLAN_CLASSES, Facts
from shared.base.schemas import (
    EARLIEST,
    LATEST,
    DecisionSchema,
    WireSchema,
    known_zone,
    moment,
    text,
)
from shared.crypto import jose
from shared.crypto.keys import KeyRing
from shared.crypto.passes import MAX_BYTES

TYP = "passerelle-visit+jwt"
RECEIPT_TYP = "passerelle-receipt+jwt"
MAX_RECEIPT_BYTES = 16_384


def visit_id(proof: str, space: str) -> str:
    """Return the id of the visit that this showing of a pass makes at this space.

    Made of what was shown, so that a report sent again, by whatever path, is the same visit.
    """
    return hashlib.sha256(f"{proof}@{space}".encode()).hexdigest()[:26]


class HostFactsSchema(WireSchema):
    """What a host says of itself at the moment of a check-in."""

    paused = fields.Boolean(required=True)
    closed_date = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(1, 31))
    hours_known = fields.Boolean(load_default=True)
    opening = fields.List(
        moment(), required=True, allow_none=True, validate=validate.Length(equal=2)
    )
    next_opening = moment(required=True, allow_none=True)
    timezone = fields.String(required=True, validate=known_zone)
    guest_cap = fields.Integer(required=True, validate=validate.Range(0, 10_000))
    capacity = fields.Integer(required=True, allow_none=True, validate=validate.Range(0, 100_000))
    guests_present = fields.Integer(required=True, validate=validate.Range(0, 100_000))
    people_present = fields.Integer(required=True, validate=validate.Range(0, 100_000))
    services = fields.List(text(120), required=True, validate=validate.Length(max=60))


_decision = DecisionSchema()


def _check_decision(value: Mapping[str, Any]) -> None:
    """Raise ValidationError for a decision that could not be shown; it is kept as it came."""
    faults = _decision.validate(value)
    if faults:
        raise ValidationError(faults)


class ReportSchema(WireSchema):
    iss = text(64)
    aud = text(300)
    space = text(64)
    shown = fields.String(
        data_key="pass",
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=MAX_BYTES),
        metadata={"description": "The text of the code; may be left out beside a receipt."},
    )
    at = moment(required=True)
    online = fields.Boolean(required=True)
    host = fields.Nested(HostFactsSchema, required=True)
    ended_at = moment(load_default=None, allow_none=True)
    trust_list_age = fields.Integer(load_default=None, allow_none=True)
    offline_visits = fields.Integer(load_default=0)
    decision = fields.Dict(load_default=None, allow_none=True, validate=_check_decision)
    again = fields.Boolean(
        load_default=False,
        metadata={"description": "Recorded before, and lost by the hub with its database."},
    )
    receipt = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(min=1, max=MAX_RECEIPT_BYTES),
        metadata={"description": "What the hub signed then; `again` is believed with it alone."},
    )

    @validates_schema
    def _proves_something(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if data.get("shown") is None and not (data.get("again") and data.get("receipt")):
            raise ValidationError({"pass": ["A report without its receipt shows the pass."]})


_schema = ReportSchema()


@dataclass(frozen=True, slots=True)
class Report:
    """``at`` is when the pass was shown; ``online`` is false when the host decided alone.

    ``again``: the hub itself had decided, and has lost it since; ``receipt`` is what it signed
    then, and stands for ``shown``, the text of the code, where that is forgotten.
    """

    host: str
    kid: str
    audience: str
    space: str
    shown: str | None
    at: datetime
    online: bool
    facts: Facts
    ended_at: datetime | None
    decision: Mapping[str, Any] | None
    again: bool = False
    receipt: str | None = None

    @property
    def live(self) -> bool:
        """Tell whether somebody stands at the door, and waits for the hub's decision."""
        return self.online and not self.again


def sign_report(
    ring: KeyRing,
    hub_url: str,
    shown: str,
    at: datetime,
    facts: Facts,
    decision: Mapping[str, Any] | None = None,
    ended_at: datetime | None = None,
) -> str:
    """Return the report that the hub decides on; with a decision, one taken without the hub.

    ``ended_at`` is for one that is told when it is over.
    """
    return ring.sign(_claims(hub_url, shown, at, facts, decision, ended_at), TYP)


def _claims(
    hub_url: str,
    shown: str | None,
    at: datetime,
    facts: Facts,
    decision: Mapping[str, Any] | None,
    ended_at: datetime | None,
) -> dict[str, Any]:
    opening = [instant.isoformat() for instant in facts.opening] if facts.opening else None
    next_opening = facts.next_opening.isoformat() if facts.next_opening else None
    return {
        "iss": facts.host,
        "aud": hub_url,
        "iat": int(at.timestamp()),
        "space": facts.space,
        "pass": shown,
        "at": at.isoformat(),
        "online": facts.online,
        "host": {
            "paused": facts.paused,
            "closed_date": facts.closed_date,
            "hours_known": facts.hours_known,
            "opening": opening,
            "next_opening": next_opening,
            "timezone": facts.timezone,
            "guest_cap": facts.guest_cap,
            "capacity": facts.capacity,
            "guests_present": facts.guests_present,
            "people_present": facts.people_present,
            "services": list(facts.services),
        },
        "trust_list_age": facts.trust_list_age,
        "offline_visits": facts.offline_visits,
        "decision": decision,
        "ended_at": ended_at.isoformat() if ended_at else None,
    }


def read_report(token: jose.Token) -> Report:
    """Read a verified report. Raises ValidationError, naming every field at fault."""
    data = _schema.load(token.claims)
    host = data["host"]
    opening = host.pop("opening")
    facts = Facts(
        host=data["iss"],
        space=data["space"],
        online=data["online"],
        trust_list_age=data["trust_list_age"],
        offline_visits=data["offline_visits"],
        opening=(opening[0], opening[1]) if opening else None,
        **{**host, "services": tuple(host["services"])},
    )
    if not data["online"] and data["decision"] is None:
        raise ValidationError({"decision": ["A visit admitted offline comes with its decision."]})
    return Report(
        host=data["iss"],
        kid=str(token.header.get("kid")),
        audience=data["aud"],
        space=data["space"],
        shown=data["shown"],
        at=data["at"],
        online=data["online"],
        facts=facts,
        ended_at=data["ended_at"],
        decision=data["decision"],
        again=data["again"],
        receipt=data["receipt"],
    )


def tell_again(
    ring: KeyRing,
    hub_url: str,
    said: str | Facts,
    at: datetime,
    ended_at: datetime | None,
    decision: Mapping[str, Any] | None,
    receipt: str | None,
) -> str:
    """Return a report of ours anew, for a hub that has lost it: as of then, with how it ended.

    ``said`` is the report as it was told; where that is forgotten, what this host says of itself
    now: the receipt proves the visit then. Without a receipt it is a report told late.
    """
    if isinstance(said, Facts):
        claims = _claims(hub_url, None, at, said, None, None)
    else:
        claims = dict(jose.read_unverified(said).claims)
    claims |= {
        "aud": hub_url,
        "at": at.isoformat(),
        "ended_at": ended_at.isoformat() if ended_at else None,
        "decision": decision or claims.get("decision"),
        "again": receipt is not None or claims["online"],
        "receipt": receipt,
    }
    return ring.sign(claims, TYP)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The hub's word that it recorded a visit, enough to write it again; it holds no name.

    ``hub`` is the hub's address, ``issued_at`` in whole seconds; ``pass_id`` is of ``home``, the
    id of a node. ``held`` is why the visit counts nothing until the coordination has looked at it.
    """

    hub: str
    issued_at: datetime
    visit: str
    host: str
    space: str
    home: str
    pass_id: str
    plan: str
    showing: str
    at: datetime
    online: bool
    held: str | None
    charter: str
    decision: Mapping[str, Any]


class ReceiptSchema(WireSchema):
    hub = text(300, data_key="iss")
    issued_at = fields.Integer(
        required=True,
        data_key="iat",
        validate=validate.Range(int(EARLIEST.timestamp()), int(LATEST.timestamp())),
    )
    visit = text(26)
    host = text(64)
    space = text(64)
    home = text(64)
    pass_id = text(64, data_key="pass")
    plan = fields.String(required=True, validate=validate.OneOf(PLAN_CLASSES))
    showing = fields.String(required=True, validate=validate.Regexp(r"^[0-9a-f]{64}\Z"))
    at = moment(required=True)
    online = fields.Boolean(required=True)
    held = fields.String(required=True, allow_none=True, validate=validate.Length(max=20))
    charter = text(20)
    decision = fields.Dict(required=True, validate=_check_decision)


_receipt_schema = ReceiptSchema()


def sign_receipt(ring: KeyRing, receipt: Receipt) -> str:
    """Return the hub's receipt, signed with its key."""
    claims = {
        "iss": receipt.hub,
        "iat": int(receipt.issued_at.timestamp()),
        "visit": receipt.visit,
        "host": receipt.host,
        "space": receipt.space,
        "home": receipt.home,
        "pass": receipt.pass_id,
        "plan": receipt.plan,
        "showing": receipt.showing,
        "at": receipt.at.isoformat(),
        "online": receipt.online,
        "held": receipt.held,
        "charter": receipt.charter,
        "decision": dict(receipt.decision),
    }
    return ring.sign(claims, RECEIPT_TYP)


def read_receipt(token: str, find_key: jose.FindKey, hub_url: str) -> Receipt:
    """Verify a receipt of this hub. Raises TokenFault, ``claims`` for one that says no visit."""
    try:
        data = _receipt_schema.load(jose.verify(token, find_key, RECEIPT_TYP).claims)
    except ValidationError:
        raise jose.TokenFault("claims") from None
    if data["hub"] != hub_url or data["visit"] != visit_id(data["showing"], data["space"]):
        raise jose.TokenFault("claims")
    return Receipt(**{**data, "issued_at": datetime.fromtimestamp(data["issued_at"], UTC)})


def digests_by_day(rows: Iterable[Any]) -> dict[date, str]:
    """Return the digest of each day (UTC) of visits, to be compared by hub and host.

    A row has ``id``, ``state``, ``started_at``, and of what its visitor asked ``asked`` and
    ``answered_at``, or None.
    """
    found: dict[date, list[tuple[str, str, str]]] = {}
    for row in rows:
        asked = "answered" if row.answered_at else "asked" if row.asked else ""
        day = row.started_at.astimezone(UTC).date()
        found.setdefault(day, []).append((row.id, row.state, asked))
    return {day: digest_of_visits(states) for day, states in found.items()}


def digest_of_visits(states: Iterable[tuple[str, str, str]]) -> str:
    """Return what tells whether two services know the same of some visits (SHA-256, hex).

    Each is its id, its state, and ``asked`` or ``answered`` where its visitor asked for something.
    """
    lines = sorted(f"{number} {state} {asked}\n" for number, state, asked in states)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
