"""What a space's door would say to a visitor of each plan class. Pure: ``decide`` says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from charter import PLAN_CLASSES, Charter, Decision, Facts, decide
from charter.hours import Schedule
from charter.rules import Rules
from shared.wire.spaces import host_facts

# What does not depend on who comes: said once, above the plans.
_OF_THE_PERSON = ("plan_not_eligible",)


@dataclass(frozen=True, slots=True)
class Offer:
    """What is asked and given at a space, at an instant when it is open if it is known when.

    ``plans`` are (class, whether it may roam); half-days are a calendar month's, None without
    limit. ``against`` are the reasons (JSON, in the reader's language) why nobody is admitted then.
    """

    rules: Rules
    plans: tuple[tuple[str, bool], ...]
    half_days_host: int | None
    half_days_network: int | None
    against: tuple[dict[str, Any], ...]


def offer(
    charter: Charter,
    document: Mapping[str, Any],
    schedule: Schedule,
    now: datetime,
    node_state: str,
    signed: bool,
    language: str,
) -> Offer:
    """Return what a member of another home, who has not roamed this month, is told there."""
    at = now
    if schedule.opening_at(now) is None:
        at = schedule.next_opening(now) or now
    facts = _facts(charter, document, schedule, at, node_state, signed)
    decisions = {plan: decide(charter, replace(facts, plan=plan), at) for plan in PLAN_CLASSES}
    one = next(iter(decisions.values()))
    return Offer(
        charter.rules,
        tuple((plan, not _person(found)) for plan, found in decisions.items()),
        one.terms.half_days_left_host,
        one.terms.half_days_left_network,
        tuple(
            reason.to_json(language) for reason in one.reasons if reason.code not in _OF_THE_PERSON
        ),
    )


def _person(found: Decision) -> bool:
    return any(reason.code in _OF_THE_PERSON for reason in found.reasons)


def _facts(
    charter: Charter,
    document: Mapping[str, Any],
    schedule: Schedule,
    at: datetime,
    node_state: str,
    signed: bool,
) -> Facts:
    """Return the facts of somebody long subscribed at a home in good standing, elsewhere."""
    return Facts(
        member_since=at.date().replace(year=at.year - 1, day=1),
        home="another",
        home_state="connected",
        home_signed=charter.version,
        host=document["id"],
        host_state=node_state,
        host_signed=charter.version if signed else None,
        # so that what is left is the whole month's
        counted_already=True,
        **host_facts(document, schedule, at),
    )
