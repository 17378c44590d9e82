"""What a member would be told at each door, asked from home: the same rules, nothing recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from charter import Facts, Fault, decide
from charter.halfdays import half_day_at
from charter.hours import Schedule, read_schedule
from charter.timeline import Stay
from federation.charters import service as charters
from federation.nodes.models import Node
from federation.spaces import queries as published
from federation.spaces.models import Space
from federation.visits import ledger, queries
from federation.visits.models import Member, Visit
from shared.wire.problems import Problem
from shared.wire.spaces import host_facts


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
    charter = charters.in_force(session)
    home = session.get(Node, home_id)
    if home is None:
        raise Problem("not-found")
    signed = charters.signed_versions(session, charter.version)
    split = charter.rules.opening_hours.split
    found_person = _person(session, at, home_id, reference)
    used = _Used(found_person, at, split)
    present = queries.guests_by_space(session)
    here = _open_visit(found_person, at)
    if here is not None:  # the member is no other guest
        present[here.space_id] = max(0, present.get(here.space_id, 0) - 1)
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
        schedule = read_schedule(space.document)
        facts = _at_space(person, space, space.node, schedule, at, *known)
        facts = _with_usage(facts, schedule, used, at, split)
        decision = decide(charter, facts, at).to_json("fr")
        if here is not None and here.space_id == space.id and not faults:
            decision = dict(here.decision)  # the door says again what it said
        found.append({"space": space.id, "decision": decision})
    return found


def _spaces(session: Session, space_id: str | None) -> list[Space]:
    """Return the spaces that have a door of the network: one, or all. Raises Problem."""
    if space_id is None:
        return published.spaces(session, listed=False)
    # One that is kept off the map receives as ever: its door is asked for by name.
    space = published.space(session, space_id, hidden=True)
    if space.node is None:
        raise Problem("not-found")
    return [space]


def _person(session: Session, at: datetime, home_id: str, reference: str) -> ledger.Person | None:
    query = select(Member.id).where(Member.node_id == home_id, Member.reference == reference)
    member_id = session.scalar(query)
    return None if member_id is None else ledger.person(session, member_id, at)


def _open_visit(found: ledger.Person | None, at: datetime) -> Visit | None:
    """Return the visit that the member was on at that time, for all that is known."""
    for visit in found.visits.values() if found else ():
        if visit.state == "open" and not visit.held and visit.started_at <= at < visit.closes_at:
            here: Visit = visit
            return here
    return None


class _Used:
    """The half-days that the member has used in a month, worked out once for each."""

    def __init__(self, found: ledger.Person | None, at: datetime, split: time) -> None:
        self._person, self._at, self._split = found, at, split
        self._by_month: dict[str, dict[ledger.Key, str]] = {}

    def of(self, month: str) -> dict[ledger.Key, str]:
        if self._person is None:
            return {}
        if month not in self._by_month:
            arriving = Stay(
                "", "", "", ZoneInfo("UTC"), self._at, self._at, self._at.date(), (), self._at
            )
            self._by_month[month] = self._person.used(month, arriving, self._split)
        return self._by_month[month]


def _at_space(
    person: Facts,
    space: Space,
    host: Node,
    schedule: Schedule,
    at: datetime,
    signed: str | None,
    guests: int,
) -> Facts:
    return replace(
        person,
        host=host.id,
        host_state=host.state,
        host_signed=signed,
        guests_present=guests,
        people_present=guests,
        **host_facts(space.document, schedule, at),
    )


def _with_usage(facts: Facts, schedule: Schedule, used: _Used, at: datetime, split: time) -> Facts:
    begun = half_day_at(at, schedule.day_of(at).day, schedule.zone, split)
    of_month = used.of(begun.month)
    return replace(
        facts,
        used_host=sum(space == facts.space for space in of_month.values()),
        used_network=len(of_month),
        counted_already=(facts.host, begun) in of_month,
    )
