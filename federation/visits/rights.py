"""What a member would be told at each door, asked from home: the same rules, nothing recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from charter import Facts, Fault, decide
from charter.halfdays import half_day_at, half_days
from charter.hours import read_schedule
from federation.directory import service as directory
from federation.directory.models import Node, Space
from federation.governance import service as governance
from federation.visits import ledger
from federation.visits import service as visits
from federation.visits.models import HalfDayLine, Member, Visit
from shared.problems import Problem
from shared.spaces import host_facts


def rights(
    session: Session,
    at: datetime,
    home_id: str,
    reference: str,
    plan: str,
    member_since: date | None,
    faults: Sequence[Fault] = (),
    space_id: str | None = None,
    usable_from: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return ``{"space", "decision"}`` for every partner space, or for one.

    Who is at a space now is what the hub was told; everything else is what the door would use.
    Raises Problem("not-found").
    """
    charter = governance.in_force(session)
    home = session.get(Node, home_id)
    if home is None:
        raise Problem("not-found")
    signed = governance.signed_versions(session, charter.version)
    split = charter.rules.opening_hours.split
    used = _used(session, home_id, reference)
    present = visits.guests_by_space(session)
    here = _open_visit(session, at, home_id, reference)
    if here is not None:
        _add_open_visit(used, here, at, split)
    if here is not None and at >= ledger.closing(here):
        here = None
    if here is not None:
        present[here.space_id] -= 1  # herself
    wanted = _spaces(session, space_id)
    person = Facts(
        faults=tuple(faults),
        plan=plan,
        usable_from=usable_from,
        member_since=member_since,
        home=home_id,
        home_state=home.state,
        home_signed=signed.get(home_id),
        home_half_days=home.plans.get(plan) if isinstance(home.plans.get(plan), int) else None,
    )
    found = []
    for space in wanted:
        if space.node is None or (space.node_id == home_id and space_id is None):
            continue
        known = signed.get(space.node.id), present.get(space.id, 0)
        facts = _at_space(person, space, space.node, at, *known)
        facts = _with_usage(facts, used, at, split)
        decision = decide(charter, facts, at).to_json("fr")
        if here is not None and here.space_id == space.id and not faults:
            decision = dict(here.decision)  # the door says again what it said
        found.append({"space": space.id, "decision": decision})
    return found


def _spaces(session: Session, space_id: str | None) -> list[Space]:
    """Return the spaces that have a door of the network: one, or all. Raises Problem."""
    if space_id is None:
        return directory.spaces(session, listed=False)
    # One that is kept off the map receives as ever: its door is asked for by name.
    space = directory.space(session, space_id, hidden=True)
    if space.node is None:
        raise Problem("not-found")
    return [space]


def _open_visit(session: Session, at: datetime, home_id: str, reference: str) -> Visit | None:
    """Return the visit that the member was on at that time, for all that is known."""
    query = (
        select(Visit)
        .join(Member, Member.id == Visit.member_id)
        .where(Member.node_id == home_id, Member.reference == reference, Visit.state == "open")
    )
    visit = session.scalar(query)
    return visit if visit is not None and visit.started_at <= at else None


def _add_open_visit(used: Used, visit: Visit, at: datetime, split: time) -> None:
    """Add what the visit has used so far: a door elsewhere would close it first."""
    until = min(at, ledger.closing(visit))
    for half_day in half_days(visit.started_at, until, ZoneInfo(visit.timezone), split):
        counts = used.setdefault((half_day.month, visit.space_id), {})
        key = half_day.day, half_day.half
        counts[key] = max(counts.get(key, 0), 1)


def _at_space(
    person: Facts, space: Space, host: Node, at: datetime, signed: str | None, guests: int
) -> Facts:
    schedule = read_schedule(space.document)
    return replace(
        person,
        host=host.id,
        host_state=host.state,
        host_signed=signed,
        guests_present=guests,
        people_present=guests,
        **host_facts(space.document, schedule, at),
    )


Used = dict[tuple[str, str], dict[tuple[date, str], int]]


def _used(session: Session, home_id: str, reference: str) -> Used:
    """Return half-days by (month, space) and half-day."""
    query = (
        select(
            HalfDayLine.month,
            HalfDayLine.space_id,
            HalfDayLine.day,
            HalfDayLine.half,
            func.sum(HalfDayLine.quantity),
        )
        .join(Member, Member.id == HalfDayLine.member_id)
        .where(Member.node_id == home_id, Member.reference == reference)
        .group_by(HalfDayLine.month, HalfDayLine.space_id, HalfDayLine.day, HalfDayLine.half)
    )
    used: Used = {}
    for month, space_id, day, half, quantity in session.execute(query):
        used.setdefault((month, space_id), {})[day, half] = quantity
    return used


def _with_usage(facts: Facts, used: Used, at: datetime, split: Any) -> Facts:
    here = half_day_at(at, ZoneInfo(facts.timezone), split)
    mine = used.get((here.month, facts.space), {})
    return replace(
        facts,
        used_host=sum(mine.values()),
        used_network=sum(
            sum(counts.values()) for (month, _), counts in used.items() if month == here.month
        ),
        counted_already=mine.get((here.day, here.half), 0) > 0,
    )
