"""What a desk's browser needs to let people in while its own node does not answer.

The browser verifies the pass, gathers the same facts as ``alone`` does here, and decides by the
charter's own rules (``static/charter.js``, which the charter's cases hold to ``charter.decide``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from charter.conditions import NOON, read_conditions
from charter.halfdays import half_days
from charter.hours import Schedule
from charter.messages import sentences
from node.bookings.models import Booking
from node.bookings.reserved import came
from node.context import Node
from node.hub import service as sync
from node.passes import service as passes
from node.spaces.models import Space
from node.spaces.space_row import as_document, find_space, schedule_of
from node.visits.models import Visit
from shared.crypto import jose, status_list
from shared.crypto.passes import FRESH_SECONDS
from shared.wire.problems import Problem
from shared.wire.spaces import host_facts

HORIZON = timedelta(days=3)
LATELY = timedelta(days=32)


def desk_kit(session: Session, node: Node, space_id: str, language: str) -> dict[str, Any]:
    """Return what holds at one space now, as JSON. Raises Problem or ValidationError.

    Times are Unix seconds. Those of signatures and lists are by the node's real clock, all others
    by the clock on the wall, which is ``civil_offset`` ahead (0 outside a demonstration).
    """
    known = sync.network(session, node)
    if known is None:
        raise Problem("unavailable", "the network's trust list was never fetched")
    space, host = find_space(session, space_id), sync.node_id(session)
    now, real, charter = node.clock.now(), node.clock.real(), known.charter
    schedule = schedule_of(space, now)
    homes = {home: _partner(session, node, known, home) for home in known.trust.nodes}
    return {
        "space": space_id,
        "name": session.scalars(select(Space.name).where(Space.id == space_id)).one(),
        "as_of": real.timestamp(),
        "civil_offset": (now - real).total_seconds(),
        "timezone": str(schedule.zone),
        "charter": {
            "version": charter.version,
            "rules": tomllib.loads(charter.sources["rules.toml"]),
        },
        "words": sentences(language),
        "host": host,
        "homes": {**homes, host: _own(session, node, known, host)},
        "welcome": welcome(space, language),
        "hours": [[each.timestamp() for each in both] for both in _openings(schedule, now)],
        "turns": list(_turns(space, schedule, now)),
        "bookings": list(_bookings(session, space_id, now)),
        "visits": list(_visits(session, space_id, schedule, charter, now)),
        "trusted_at": known.fetched_at.timestamp(),
        "fresh_seconds": FRESH_SECONDS,
    }


def welcome(space: Any, language: str) -> str:
    """Return what the host tells whoever was admitted, in that language if it wrote it."""
    both = [space.welcome_fr, space.welcome_en]
    return next(filter(None, both if language == "fr" else reversed(both)), "")


def _partner(session: Session, node: Node, known: sync.Network, home: str) -> dict[str, Any]:
    about = known.trust.nodes[home]
    listed = sync.status_list(session, node, known.trust, home, ask=False)
    return {
        "name": about["name"],
        "state": about["state"],
        "charter": about.get("charter"),
        "plans": about.get("plans", {}),
        "keys": {key["kid"]: None if key.get("withdrawn") else key["x"] for key in about["keys"]},
        "statuses": listed
        and {
            "bits": jose.encode_b64(listed.packed),
            "issued": listed.issued_at,
            "until": listed.expires_at,
        },
    }


def _own(session: Session, node: Node, known: sync.Network, host: str) -> dict[str, Any]:
    """Our own members are let in by the same gesture; we know our own keys and passes."""
    statuses, size = passes.statuses_of(session)
    keys = {
        key["kid"]: None if known.trust.withdrawn(host, key["kid"]) else key["x"]
        for key in node.ring.public_jwks()
    }
    return {
        "state": "connected",
        "charter": None,
        "plans": {},
        **{name: known.trust.nodes.get(host, {}).get(name) for name in ("state", "charter")},
        "name": node.settings.name,
        "keys": keys,
        "statuses": {"bits": jose.encode_b64(status_list.pack(statuses, size)), "until": None},
    }


def _openings(schedule: Schedule, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield when the space is open, from now on, and the first opening beyond the horizon."""
    instant: datetime | None = now
    while instant is not None:
        opening = schedule.opening_at(instant)
        if opening is None:
            instant = schedule.next_opening(instant)
            continue
        yield opening
        instant = opening[1] if opening[0] < now + HORIZON else None


def _turns(space: Any, schedule: Schedule, now: datetime) -> Iterator[tuple[float, dict[str, Any]]]:
    """Yield the instants at which what the house says changes, with what it says from then on."""
    conditions = read_conditions(space._mapping)  # noqa: SLF001 - a row's public name for it
    first = now.astimezone(schedule.zone).date()
    instants = {now}
    for day in (first + timedelta(n) for n in range(HORIZON.days + 1)):
        times = {datetime.min.time(), NOON, *filter(None, conditions.release)}
        instants |= {datetime.combine(day, each, schedule.zone) for each in times}
    for instant in sorted(each for each in instants if each >= now):
        local = instant.astimezone(schedule.zone)
        facts = host_facts(as_document(space, first), schedule, instant)
        paused = facts["paused"] and space.paused_on in (None, local.date())
        places = conditions.guests_on(local.date())[local.time() >= NOON]
        said = {name: facts[name] for name in ("closed_date", "hours_known", "guest_cap")}
        said |= {name: facts[name] for name in ("capacity", "services")}
        yield instant.timestamp(), {**said, "paused": paused, "booked_places": places}


def _bookings(session: Session, space_id: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the places that are kept for people who have not come yet."""
    query = select(Booking.id, Booking.passes, Booking.starts_at, Booking.ends_at).where(
        Booking.space_id == space_id,
        Booking.ends_at > now,
        Booking.starts_at <= now + HORIZON,
        Booking.state == "confirmed",
        Booking.room.is_(None),
    )
    rows = session.execute(query).all()
    here = came(session, space_id, rows) if rows else set()
    for row in rows:
        if row.id not in here:
            starts, ends = row.starts_at.timestamp(), row.ends_at.timestamp()
            yield {"passes": row.passes, "starts": starts, "ends": ends}


_LATELY = select(
    Visit.space_id,
    Visit.home_id,
    Visit.pass_id,
    Visit.local,
    Visit.state,
    Visit.delivered,
    Visit.started_at,
    Visit.ended_at,
    Visit.closes_at,
).where(Visit.state.in_(("open", "closed")), Visit.started_at >= bindparam("since"))


def _visits(
    session: Session, space_id: str, schedule: Schedule, charter: Any, now: datetime
) -> Iterator[dict[str, Any]]:
    """Yield what counts for who comes next: who is here, what was used, what waits to be told.

    Nobody is named: a visit is known by its pass.
    """
    split, month = charter.rules.opening_hours.split, _month(schedule, now)
    for visit in session.execute(_LATELY, {"since": now - LATELY}):
        here = visit.space_id == space_id
        used: tuple[Any, ...] = ()
        if here and not visit.local:
            day = schedule.day_of(visit.started_at)
            span = (visit.started_at, visit.ended_at, day.day, day.openings)
            used = half_days(*span, schedule.zone, split)
        counted = [f"{each.day} {each.half}" for each in used if each.month >= month]
        present = here and visit.state == "open" and visit.closes_at > now
        if present or counted or not visit.delivered:
            yield {
                "holder": f"{visit.home_id} {visit.pass_id}" if visit.pass_id else None,
                "own": visit.local,
                "present": present,
                "started": visit.started_at.timestamp(),
                "closes": visit.closes_at.timestamp(),
                "untold": not visit.delivered,
                "used": counted,
            }


def _month(schedule: Schedule, now: datetime) -> str:
    day: date = now.astimezone(schedule.zone).date()
    return f"{day:%Y-%m}"
