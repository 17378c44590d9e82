"""The signed report by which a host tells the hub of a visit, or asks what it would decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from charter import Facts
from shared import jose
from shared.keys import KeyRing
from shared.passes import MAX_BYTES
from shared.schemas import DecisionSchema, WireSchema, known_zone, moment, text

TYP = "passerelle-visit+jwt"


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
    # ``pass`` cannot be a Python attribute name
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


ReportSchema._declared_fields["pass"] = fields.String(  # noqa: SLF001
    required=True, validate=validate.Length(min=1, max=MAX_BYTES)
)
_schema = ReportSchema()


@dataclass(frozen=True, slots=True)
class Report:
    """``at`` is when the pass was shown; ``online`` is false when the host decided alone.

    ``again``: the hub itself had decided, and has lost it since.
    """

    host: str
    kid: str
    audience: str
    space: str
    shown: str
    at: datetime
    online: bool
    facts: Facts
    ended_at: datetime | None
    decision: Mapping[str, Any] | None
    again: bool = False

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
) -> str:
    """Return the report that the hub decides on; with a decision, one taken without the hub."""
    opening = [instant.isoformat() for instant in facts.opening] if facts.opening else None
    next_opening = facts.next_opening.isoformat() if facts.next_opening else None
    claims = {
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
    }
    return ring.sign(claims, TYP)


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
        shown=data["pass"],
        at=data["at"],
        online=data["online"],
        facts=facts,
        ended_at=data["ended_at"],
        decision=data["decision"],
        again=data["again"],
    )


def tell_again(
    ring: KeyRing,
    hub_url: str,
    report: str,
    at: datetime,
    ended_at: datetime | None,
    decision: Mapping[str, Any] | None,
) -> str:
    """Return a report of ours anew, for a hub that has lost it: as of then, with how it ended."""
    claims = dict(jose.read_unverified(report).claims)
    told = decision or claims.get("decision")
    claims |= {
        "aud": hub_url,
        "at": at.isoformat(),
        "ended_at": ended_at.isoformat() if ended_at else None,
        "decision": told,
        "again": claims["online"],
    }
    return ring.sign(claims, TYP)


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
