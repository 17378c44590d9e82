"""The outcome of evaluating the charter, with reasons that cite articles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from charter.messages import message

# Every code, in the order in which reasons are given: the pass, home, person, host, network.
CODES = (
    "pass_malformed",
    "pass_expired",
    "pass_stale",
    "pass_replayed",
    "pass_revoked",
    "pass_suspended",
    "home_unknown",
    "home_suspended",
    "charter_unsigned",
    "plan_not_eligible",
    "seniority",
    "quota_host",
    "quota_network",
    "reciprocity_floor",
    "paused",
    "space_closed",
    "space_full",
    "guest_cap",
    "offline_budget",
    "trust_list_stale",
)


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    article: int
    params: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, language: str) -> dict[str, Any]:
        return {
            "code": self.code,
            "article": self.article,
            "params": dict(self.params),
            "message": message(self.code, self.params, language),
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """What the member may use, as if subscribed there. Half-days left count this visit as used.

    ``half_days_left_network`` is None where the door could not ask; a limit the charter
    does not set is None too, and so is any limit at the member's own home. ``until`` is None
    where the hours are not known.
    """

    until: datetime | None
    services: tuple[str, ...]
    half_days_left_host: int | None
    half_days_left_network: int | None

    def to_json(self) -> dict[str, Any]:
        return {
            "until": self.until.isoformat() if self.until else None,
            "services": list(self.services),
            "half_days_left": {
                "host": self.half_days_left_host,
                "network": self.half_days_left_network,
            },
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """``unverified`` names the codes that could not be checked for want of a fact."""

    charter: str
    online: bool
    reasons: tuple[Reason, ...]
    terms: Terms
    unverified: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return not self.reasons

    def to_json(self, language: str) -> dict[str, Any]:
        return {
            "outcome": "allowed" if self.allowed else "refused",
            "reasons": [reason.to_json(language) for reason in self.reasons],
            "charter": self.charter,
            "terms": self.terms.to_json(),
            "online": self.online,
            "unverified": list(self.unverified),
        }


def localise(decision: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Return a decision's JSON with its messages in another language."""
    reasons = [
        {**reason, "message": message(reason["code"], reason.get("params") or {}, language)}
        for reason in decision["reasons"]
    ]
    return {**decision, "reasons": reasons}
