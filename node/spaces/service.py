"""Describing the spaces, and publishing what was described."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from charter.hours import Schedule, read_schedule
from node.context import Node
from node.events.listing import published as published_events
from node.members.models import Plan
from node.photos.listing import published as published_photos
from node.spaces.models import Assessment, Price, Room, Space
from node.sync import service as sync
from node.sync.models import Enrolment
from shared.db import begin_write
from shared.http import Answer, PeerError
from shared.names import slug
from shared.problems import Problem
from shared.spaces import MOST_PRICES, PUBLICATION_TYP

TOPIC = "publication"

# The fields of the sheet that an admin edits as they are.
PLAIN_FIELDS = (
    "name",
    "description",
    "street",
    "postcode",
    "town",
    "latitude",
    "longitude",
    "week",
    "closings",
    "closed_on_holidays",
    "capacity",
    "area_m2",
    "legal_form",
    "transport",
    "website",
    "email",
    "project",
    "paused",
    "welcome_fr",
    "welcome_en",
    "services",
)


def spaces(session: Session) -> list[Space]:
    return list(session.scalars(select(Space).order_by(Space.name)))


def space(session: Session, space_id: str) -> Space:
    """Return one space. Raises Problem("not-found")."""
    row = session.get(Space, space_id)
    if row is None:
        raise Problem("not-found")
    return row


def document(
    row: Space,
    today: date,
    node_url: str,
    events: Sequence[Mapping[str, Any]] = (),
    photos: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a space's published document; this year's and next year's holidays are spelled out."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "address": {
            "street": row.street,
            "postcode": row.postcode,
            "town": row.town,
            "country": "FR",
        },
        "latitude": row.latitude,
        "longitude": row.longitude,
        "timezone": row.timezone,
        "week": row.week,
        "exceptions": _exceptions(row, today),
        "capacity": row.capacity,
        "area_m2": row.area_m2,
        "legal_form": row.legal_form,
        "transport": row.transport,
        "website": row.website,
        "email": row.email,
        "project": row.project,
        "guest_cap": row.guest_cap,
        "conditions": row.conditions,
        "paused": row.paused,
        "rooms": [
            {"name": r.name, "kind": r.kind, "seats": r.seats, "area_m2": r.area_m2}
            for r in row.rooms
        ],
        "prices": _prices(row),
        "services": row.services,
        "values": row.values,
        "stories": [
            {"value": name, "text": row.stories[name]}
            for name in row.values
            if row.stories.get(name)
        ],
        "assessments": [
            {"year": a.year, "value": a.value, "level": a.level, "evidence": a.evidence}
            for a in row.assessments
        ],
        "events": list(events),
        "photos": list(photos),
        "page": f"{node_url}/spaces/{row.id}",
    }


def _prices(row: Space) -> list[dict[str, Any]]:
    """Return what was typed, then what the space's sources have brought."""
    typed = [
        {
            "label": p.label,
            "cents": p.cents,
            "currency": p.currency,
            "unit": p.unit,
            "quantity": p.quantity,
        }
        for p in row.prices
    ]
    return [*typed, *(row.imported or {}).get("prices", [])][:MOST_PRICES]


def full_document(session: Session, node: Node, row: Space) -> dict[str, Any]:
    """Return a space's document as of now, with its events and photos."""
    now = node.clock.now()
    events = published_events(session, row.id, now, row.timezone)
    photos = published_photos(session, row.id, node.url)
    return document(row, now.date(), node.url, events, photos)


def _holidays(row: Space, today: date) -> dict[str, list[Any]]:
    if not row.closed_on_holidays or not any(row.week.values()):
        return {}
    days = holidays.country_holidays("FR", years=(today.year, today.year + 1))
    return {day.isoformat(): [] for day in sorted(days)}


def _exceptions(row: Space, today: date, *, imported: bool = True) -> dict[str, Any]:
    """Return the dates that differ: what was typed wins over what a source has brought."""
    days = (row.imported or {}).get("days", {}) if imported else {}
    return {**_holidays(row, today), **days, **row.closings}


def schedule(row: Space, today: date, *, imported: bool = True) -> Schedule:
    """Return a space's hours; without what its sources have brought if ``imported`` is false."""
    exceptions = _exceptions(row, today, imported=imported)
    return read_schedule({"timezone": row.timezone, "week": row.week, "exceptions": exceptions})


def save(
    session: Session,
    node: Node,
    space_id: str,
    values: Mapping[str, Any],
    rooms: Sequence[Mapping[str, Any]],
    prices: Sequence[Mapping[str, Any]],
) -> None:
    """Save an admin's changes and queue the publication, in one transaction. Raises Problem."""
    begin_write(session)
    row = session.get(Space, space_id)
    if row is None:
        session.rollback()
        raise Problem("not-found")
    for name in PLAIN_FIELDS:
        if name in values:
            setattr(row, name, values[name])
    if not row.paused:
        row.paused_on = None
    row.rooms = [Room(place=n, **room) for n, room in enumerate(rooms)]
    row.prices = [Price(place=n, **price) for n, price in enumerate(prices)]
    row.revision += 1
    row.updated_at = node.clock.now()
    queue_publication(session, node)
    session.commit()


def change(session: Session, node: Node, space_id: str, values: Mapping[str, Any]) -> None:
    """Change some columns of a space and queue the publication. Raises Problem."""
    begin_write(session)
    row = space(session, space_id)
    for name, value in values.items():
        setattr(row, name, value)
    row.revision += 1
    row.updated_at = node.clock.now()
    queue_publication(session, node)
    session.commit()


def save_values(
    session: Session,
    node: Node,
    space_id: str,
    stories: Mapping[str, str],
    year: int,
    answers: Mapping[str, tuple[int, str]],
) -> None:
    """Save a space's own values, and where it stands on the shared ones this year.

    ``stories`` has each value's anecdote or an empty text; ``answers`` is ``{value id: (level,
    evidence)}``: what is missing is not said. Queues the publication. Raises Problem.
    """
    begin_write(session)
    row = space(session, space_id)
    row.values, row.stories = list(stories), {n: text for n, text in stories.items() if text}
    row.revision += 1
    held = {each.value: each for each in row.assessments if each.year == year}
    for value in held.keys() - answers.keys():
        row.assessments.remove(held[value])
    for value, (level, evidence) in answers.items():
        if value in held:
            held[value].level, held[value].evidence = level, evidence
        else:
            row.assessments.append(
                Assessment(year=year, value=value, level=level, evidence=evidence)
            )
    row.updated_at = node.clock.now()
    queue_publication(session, node)
    session.commit()


def add(session: Session, now: datetime, name: str, town: str, **values: Any) -> Space:
    """Add a space to the caller's transaction; its id is made of its name, once."""
    space_id = values.pop("id", None) or slug(name)
    row = Space(
        id=space_id,
        name=name,
        town=town,
        updated_at=now,
        **{"week": {}, "closings": {}, "services": [], "values": [], **values},
    )
    session.add(row)
    session.flush()
    return row


def publish_now(session: Session, node: Node) -> None:
    """Queue the publication and try to deliver it."""
    begin_write(session)
    queue_publication(session, node)
    session.commit()
    sync.flush_soon(session, node)


def set_paused(
    session: Session, node: Node, space_id: str, paused: bool, *, today_only: bool = False
) -> None:
    """Stop or resume welcoming roaming members, for good or for this day. Raises Problem."""
    begin_write(session)
    row = session.get(Space, space_id)
    if row is None:
        session.rollback()
        raise Problem("not-found")
    now = node.clock.now()
    row.paused, row.updated_at = paused, now
    row.paused_on = today(row, now) if paused and today_only else None
    queue_publication(session, node)
    session.commit()


def zone(row: Space) -> ZoneInfo:
    return ZoneInfo(row.timezone)


def today(row: Space, now: datetime) -> date:
    """Return what day it is at a space."""
    return now.astimezone(zone(row)).date()


def end_pauses(session: Session, node: Node) -> None:
    """Resume where the pause was for a day that is over, in the space's time."""
    now = node.clock.now()
    paused = session.scalars(select(Space).where(Space.paused_on.is_not(None)))
    over = [row.id for row in paused if row.paused_on and row.paused_on < today(row, now)]
    session.rollback()
    for space_id in over:
        set_paused(session, node, space_id, paused=False)


def queue_publication(session: Session, node: Node) -> None:
    """Queue the publication as a new revision, within the caller's transaction."""
    row = sync.enrolment(session)
    if row is None:
        return
    row.revision += 1
    key = f"{TOPIC}:{row.revision}"
    sync.queue(session, node.clock.real(), TOPIC, key, {"revision": row.revision})


def publication(session: Session, node: Node) -> tuple[str, str]:
    """Return the signed publication and its content's hash, which is its ETag. Raises Problem."""
    row = sync.enrolment(session)
    if row is None:
        raise Problem("unavailable", "this node is not enrolled yet")
    plans: dict[str, int | None] = {}
    for plan in session.scalars(select(Plan).order_by(Plan.id)):
        # A pass names the class alone: of two plans of one class, the larger holds.
        known, own = plans.get(plan.plan_class, 0), plan.half_days_per_month
        plans[plan.plan_class] = None if known is None or own is None else max(known, own)
    content = {
        "iss": row.node_id,
        "name": node.settings.name,
        "plans": plans,
        "spaces": [full_document(session, node, space) for space in spaces(session)],
    }
    sha256 = hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    issued = int(node.clock.real().timestamp())
    claims = {**content, "iat": issued, "revision": row.revision}
    return node.ring.sign(claims, PUBLICATION_TYP), sha256


def _deliver(session: Session, node: Node, payload: Mapping[str, Any]) -> Answer:
    """Send the publication as it is now: a later revision makes an earlier message harmless."""
    del payload
    token, _ = publication(session, node)
    session.rollback()
    return node.hub.call("POST", "/api/v1/publications", json={"publication": token}, timeout=5)


def _receipt(session: Session, node: Node, payload: Mapping[str, Any], answer: Answer) -> None:
    row = session.get(Enrolment, 1)
    if row is None:
        return
    if answer.status == 200:
        taken = answer.json()
        row.accepted_revision = max(row.accepted_revision, taken["revision"])
        row.accepted_at = datetime.fromisoformat(taken["published_at"])
        row.publication_fault = None
    else:
        try:
            row.publication_fault = answer.json()
        except PeerError:
            row.publication_fault = {"title": f"status {answer.status}"}


sync.DELIVERIES[TOPIC] = _deliver
sync.RECEIPTS[TOPIC] = _receipt


def renew_poster(session: Session, space_id: str) -> None:
    """Give the poster another code: those that hang open nothing any more. Raises Problem."""
    begin_write(session)
    space(session, space_id).poster = secrets.token_urlsafe(9)
    session.commit()
