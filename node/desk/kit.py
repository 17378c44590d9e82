"""What a desk's browser needs to let people in while its own node does not answer.

The browser verifies the pass. What the charter says of a plan from a home is decided here, by the
charter's own rules, for every home and plan, and looked up there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from charter import PLAN_CLASSES, Charter, Facts, Fault, decide
from charter.conditions import read_conditions
from charter.hours import Schedule
from node.context import Node
from node.desk.places import places_left
from node.desk.scan import as_document, find_space, local_day, schedule_of
from node.passes import service as passes
from node.sync import service as sync
from shared import jose, status
from shared.passes import FRESH_SECONDS
from shared.problems import Problem
from shared.spaces import host_facts

HORIZON = timedelta(days=3)
# The reasons that the browser itself finds, and what leads to each of them.
_FAULTS = ("pass_malformed", "pass_expired", "pass_stale", "pass_replayed", "pass_revoked")
_LED_TO: dict[str, dict[str, Any]] = {
    **{code: {"faults": (Fault(code),)} for code in (*_FAULTS, "pass_suspended")},
    "home_unknown": {"faults": (Fault("home_unknown", "issuer"),)},
    "space_closed": {"hours_known": True, "opening": None},
    "space_full": {"capacity": 1, "people_present": 1},
    "guest_cap": {"guest_cap": 0, "guests_present": 1_000},
    "offline_budget": {"offline_visits": 1_000},
    "trust_list_stale": {"trust_list_age": None},
}


def desk_kit(session: Session, node: Node, space_id: str, language: str) -> dict[str, Any]:
    """Return what holds at one space now, as JSON. Raises Problem or ValidationError.

    Times are Unix seconds by the node's real clock; ``civil_offset`` is what to add to them to
    read a clock on the wall (0 outside a demonstration).
    """
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    space = find_space(session, space_id)
    now, real, charter = node.clock.now(), node.clock.real(), known.charter
    offset = (now - real).total_seconds()
    schedule = schedule_of(space, now)
    base = _base(sync.node_id(session), space, schedule, known, now)

    def said(**facts: Any) -> dict[str, Any]:
        return decide(charter, replace(base, **facts), now).to_json(language)

    homes = {
        home: _partner(session, node, known, home, said)
        for home in known.trust.nodes
        if home != base.host
    }
    homes[base.host] = _own(session, node, said(home=base.host))
    closed = read_conditions(space._mapping).closed_on  # noqa: SLF001
    # What is decided here is decided for today; on a later date that is closed to visitors,
    # the browser finds no hours.
    hours = [
        [start.timestamp() - offset, end.timestamp() - offset]
        for start, end in _openings(schedule, now)
        if base.closed_date or not closed(start.astimezone(schedule.zone).date())
    ]
    offline = charter.rules.offline
    good_for = timedelta(hours=offline.trust_list_hours)
    return {
        "space": space_id,
        "as_of": real.timestamp(),
        "civil_offset": offset,
        "timezone": str(schedule.zone),
        "host": base.host,
        "homes": homes,
        "welcome": welcome(space, language),
        "reasons": dict(_reasons(said, charter, now)),
        "hours": hours if schedule.known else None,
        "trust_until": (known.fetched_at + good_for).timestamp(),
        "visits_per_pass": offline.visits_per_pass,
        "fresh_seconds": FRESH_SECONDS,
        "places": places_left(session, charter, space, schedule, now),
    }


def welcome(space: Any, language: str) -> str:
    """Return what the host tells whoever was admitted, in that language if it wrote it."""
    both = [space.welcome_fr, space.welcome_en]
    return next(filter(None, both if language == "fr" else reversed(both)), "")


Said = Callable[..., dict[str, Any]]
"""Given the facts that differ, returns the decision in the reader's language."""


def _base(host: str, space: Any, schedule: Schedule, known: sync.Network, now: datetime) -> Facts:
    """Return the facts of a place that is open and has room: hours and places are told apart."""
    entry = known.trust.nodes.get(host, {})
    facts = host_facts(as_document(space, local_day(space, now)), schedule, now)
    facts |= {"opening": (now, now + HORIZON), "capacity": None, "guest_cap": 1_000}
    return Facts(
        host=host,
        host_state=entry.get("state", "connected"),
        host_signed=entry.get("charter"),
        online=False,
        used_host=None,
        used_network=None,
        trust_list_age=0,
        **facts,
    )


def _partner(
    session: Session, node: Node, known: sync.Network, home: str, said: Said
) -> dict[str, Any]:
    about = known.trust.nodes[home]
    listed = sync.status_list(session, node, known.trust, home, ask=False)
    standing = {"home_state": about["state"], "home_signed": about.get("charter")}
    return {
        "name": about["name"],
        "keys": {key["kid"]: None if key.get("withdrawn") else key["x"] for key in about["keys"]},
        "statuses": listed and {"bits": jose.encode_b64(listed.packed), "until": listed.expires_at},
        "plans": {plan: said(home=home, plan=plan, **standing) for plan in PLAN_CLASSES},
    }


def _own(session: Session, node: Node, decision: dict[str, Any]) -> dict[str, Any]:
    """Our own members are let in by the same gesture; we know our own keys and passes."""
    statuses, size = passes.statuses_of(session)
    return {
        "name": node.settings.name,
        "keys": {key["kid"]: key["x"] for key in node.ring.public_jwks()},
        "statuses": {"bits": jose.encode_b64(status.pack(statuses, size)), "until": None},
        "plans": dict.fromkeys(PLAN_CLASSES, decision),
    }


def _reasons(said: Said, charter: Charter, now: datetime) -> Iterator[tuple[str, Any]]:
    """Yield each reason that the browser finds by itself, with its article and its words."""
    sound = {"home": "", "home_state": "connected", "home_signed": charter.version}
    led_to = {**_LED_TO, "seniority": {"usable_from": now + timedelta(days=1)}}
    for code, facts in led_to.items():
        for reason in said(**sound, **facts)["reasons"]:
            if reason["code"] == code:
                yield code, reason
    for reason in said(**sound, paper=True)["reasons"]:
        if reason["params"].get("detail") == "paper":
            yield "paper", reason


def _openings(schedule: Schedule, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the space is open, from now on and within the horizon."""
    instant: datetime | None = now
    while instant is not None and instant < now + HORIZON:
        opening = schedule.opening_at(instant)
        if opening is None:
            instant = schedule.next_opening(instant)
        else:
            yield opening
            instant = opening[1]
