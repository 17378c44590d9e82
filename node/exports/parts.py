"""What an operator takes along, part by part: what is kept here, in open formats.

No password, token, private key nor pass is in it. Spaces and what hangs on them are read column
by column, so that what a sheet learns to say later is taken along too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from icalendar import Calendar
from icalendar import Event as Entry
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from node.bookings.models import Booking, Trip
from node.context import Node
from node.db import Model
from node.events.calendar import events_ics
from node.events.models import Event
from node.hub import service as sync
from node.hub.models import Cached
from node.identity.models import Account
from node.members import service as members
from node.members.listing import members_csv, table
from node.members.models import Plan
from node.photos.models import Photo
from node.publication import service as publication
from node.publication.document import document as published
from node.spaces import hours
from node.spaces import service as spaces
from node.spaces.models import Space
from node.visits.models import Correction, Incident, Refusal, Visit
from shared.ops.backup import to_plain
from shared.store.db import table_of

HOURS_AHEAD = timedelta(days=365)
# What opens something here, or is of this database alone.
SPACE_APART = ("poster", "revision", "updated_at", "imported")
CHILD_APART = ("id", "space_id", "place")
EVENT_APART = ("source_id",)  # its source is of this node alone


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the export, by its path in it."""

    path: str
    content: bytes


def columns_of(row: Any, apart: Sequence[str] = ()) -> dict[str, Any]:
    """Return a row's columns as JSON has them."""
    names = [column.key for column in inspect(type(row)).columns if column.key not in apart]
    return {name: to_plain(getattr(row, name)) for name in names}


def space_sheet(row: Space) -> dict[str, Any]:
    """Return all that is kept of a space, with its rooms, prices and the like by their names."""
    lists = {
        relation.key: [columns_of(child, CHILD_APART) for child in getattr(row, relation.key)]
        for relation in inspect(Space).relationships
    }
    return {**columns_of(row, SPACE_APART), **lists}


def document(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def local_parts(session: Session, node: Node) -> Iterator[Part]:
    """Return the parts that this node holds by itself."""
    yield from _spaces(session, node)
    photos = session.scalars(select(Photo).order_by(Photo.space_id, Photo.place))
    yield Part("spaces/photos.json", document({"photos": [columns_of(row) for row in photos]}))
    yield from _events(session, node)
    yield from _members(session, node)
    yield from _visits(session)
    yield from _bookings(session, node)
    yield from _charter(session, node)
    for path in sorted((node.settings.data_dir / "photos").rglob("*")):
        if path.is_file() and not path.is_symlink():
            name = path.relative_to(node.settings.data_dir).as_posix()
            yield Part(name, path.read_bytes())


def _spaces(session: Session, node: Node) -> Iterator[Part]:
    found = spaces.spaces(session)
    sheets = [space_sheet(row) for row in found]
    yield Part("spaces/spaces.json", document({"spaces": sheets}))
    yield Part("spaces/spaces.geojson", document(_geojson(found, node)))
    simple = (str, int, float, bool, type(None))
    names = [column.key for column in inspect(Space).columns if column.key not in SPACE_APART]
    names = [n for n in names if all(isinstance(sheet[n], simple) for sheet in sheets)]
    names += [name for name in ("services", "values") if sheets]
    rows = [
        [", ".join(s[name]) if isinstance(s[name], list) else s[name] for name in names]
        for s in sheets
    ]
    yield Part("spaces/spaces.csv", table([names, *rows]))
    heads = {
        "rooms": ("name", "kind", "seats", "area_m2", "half_days"),
        "prices": ("label", "cents", "currency", "unit", "quantity", "audience"),
        "assessments": ("year", "value", "level", "evidence"),
    }
    for kind, head in heads.items():
        lines = [
            [s["id"], *(_cell(child[name]) for name in head)] for s in sheets for child in s[kind]
        ]
        yield Part(f"spaces/{kind}.csv", table([("space", *head), *lines]))
    spans = []
    for row in found:
        opened = list(_hours(row, node.clock.now()))
        spans += [(row.id, f"{a:%Y-%m-%d}", f"{a:%H:%M}", f"{b:%H:%M}") for a, b in opened]
        yield Part(f"spaces/{row.id}-hours.ics", _hours_ics(row, opened, node.clock.now()))
    yield Part("spaces/hours.csv", table([("space", "day", "from", "until"), *spans]))


def _cell(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value


def _geojson(found: Sequence[Space], node: Node) -> dict[str, Any]:
    today = node.clock.now().date()
    features = []
    for row in found:
        placed = row.latitude is not None and row.longitude is not None
        point = {"type": "Point", "coordinates": [row.longitude, row.latitude]}
        properties = published(row, today, node.url)
        features.append(
            {
                "type": "Feature",
                "id": row.id,
                "geometry": point if placed else None,
                "properties": properties,
            }
        )
    return {"type": "FeatureCollection", "features": features}


def _hours(row: Space, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    day = spaces.today(row, now)
    schedule = hours.schedule(row, day)
    last = day + HOURS_AHEAD
    while day < last:
        yield from schedule.openings(day)
        day += timedelta(1)


def _calendar() -> Calendar:
    found = Calendar()
    found.add("prodid", "-//Passerelle//node//FR")
    found.add("version", "2.0")
    return found


def _entry(uid: str, now: datetime, span: tuple[datetime, datetime], words: str) -> Entry:
    found = Entry()
    found.add("uid", uid)
    found.add("dtstamp", now.astimezone(UTC))
    found.add("dtstart", span[0].astimezone(UTC))
    found.add("dtend", span[1].astimezone(UTC))
    found.add("summary", words)
    return found


def _hours_ics(row: Space, opened: Sequence[tuple[datetime, datetime]], now: datetime) -> bytes:
    calendar = _calendar()
    for span in opened:
        uid = f"hours-{row.id}-{span[0]:%Y%m%dT%H%M}"
        calendar.add_component(_entry(uid, now, span, row.name))
    return bytes(calendar.to_ical())


def _events(session: Session, node: Node) -> Iterator[Part]:
    every = list(session.scalars(select(Event).order_by(Event.starts_at, Event.id)))
    yield Part(
        "events/events.json", document({"events": [columns_of(e, EVENT_APART) for e in every]})
    )
    for row in spaces.spaces(session):
        own = [event for event in every if event.space_id == row.id]
        yield Part(f"events/{row.id}.ics", events_ics(row, own, node.url))


def _members(session: Session, node: Node) -> Iterator[Part]:
    plans = list(session.scalars(select(Plan).order_by(Plan.name)))
    told = [columns_of(plan, ("id",)) for plan in plans]
    yield Part("members/plans.json", document({"plans": told}))
    head = ("name", "plan_class", "half_days_per_month")
    yield Part("members/plans.csv", table([head, *([p[n] for n in head] for p in told)]))
    today = members.today(session, node)
    yield Part("members/members.csv", members_csv(session, node.clock.now(), today))
    apart = ("id", "account_id", "plan_id", "folded", "reference")
    everybody = [
        {
            **columns_of(row, apart),
            "email": row.account.email,
            "plan": row.plan.name,
            "plan_class": row.plan.plan_class,
        }
        for row in members.everybody(session)
    ]
    yield Part("members/members.json", document({"members": everybody}))
    accounts = [
        (row.email, row.name, ", ".join(row.roles), row.disabled_at)
        for row in session.scalars(select(Account).order_by(Account.email))
        if set(row.roles) - {"member"}
    ]
    yield Part(
        "members/accounts.csv", table([("email", "name", "roles", "disabled_at"), *accounts])
    )


def _visits(session: Session) -> Iterator[Part]:
    head = ["id", "space_id", "home_id", "given_name", "plan", "state", "local", "online"]
    head += ["started_at", "ended_at", "charter"]
    rows = session.scalars(
        select(Visit).where(Visit.state != "held").order_by(Visit.started_at, Visit.id)
    )
    yield Part("visits/hosted.csv", table([head, *(_cells(row, head) for row in rows)]))
    kinds: tuple[tuple[str, type[Model], tuple[str, ...]], ...] = (
        ("corrections", Correction, ("visit_id", "reason", "asked_at", "answer", "answered_at")),
        ("notes", Incident, ("at", "space_id", "visit_id", "text", "by")),
        ("refusals", Refusal, ("at", "space_id", "codes")),
    )
    for name, model, columns in kinds:
        found = session.scalars(select(model).order_by(*table_of(model).primary_key))
        yield Part(f"visits/{name}.csv", table([columns, *(_cells(r, columns) for r in found)]))


def _cells(row: Any, names: Sequence[str]) -> list[Any]:
    values = (to_plain(getattr(row, name)) for name in names)
    return [", ".join(value) if isinstance(value, list) else value for value in values]


def _bookings(session: Session, node: Node) -> Iterator[Part]:
    head = ["id", "space_id", "room", "home_id", "given_name", "plan", "starts_at", "ends_at"]
    head += ["state", "reason", "late", "asked_at", "changed_at"]
    hosted = list(session.scalars(select(Booking).order_by(Booking.starts_at, Booking.id)))
    yield Part("bookings/hosted.csv", table([head, *(_cells(row, head) for row in hosted)]))
    calendar, now = _calendar(), node.clock.now()
    for row in hosted:
        if row.state in ("confirmed", "arrived"):
            words = " – ".join(filter(None, (row.given_name, row.space_id, row.room)))
            span = (row.starts_at, row.ends_at)
            calendar.add_component(_entry(row.id, now, span, words))
    yield Part("bookings/hosted.ics", bytes(calendar.to_ical()))
    head = ["id", "host_id", "space_id", "space_name", "room", "starts_at", "ends_at"]
    head += ["state", "reason", "asked_at"]
    trips = session.scalars(select(Trip).order_by(Trip.starts_at, Trip.id))
    rows = [[row.member.account.email, *_cells(row, head)] for row in trips]
    yield Part("bookings/of-members.csv", table([("email", *head), *rows]))


def _charter(session: Session, node: Node) -> Iterator[Part]:
    row, known = session.get(Cached, "charter"), sync.network(session, node)
    if row is None or known is None:
        return
    kept = orjson.loads(row.body)
    for name, text in kept["sources"].items():
        yield Part(f"charter/{kept['version']}/{name}", text.encode())
    own = sync.node_id(session)
    said = {
        "version": kept["version"],
        "sha256": kept["sha256"],
        "signed_by_us": known.trust.nodes.get(own, {}).get("charter"),
    }
    yield Part("charter/charter.json", document(said))
    yield Part("network/publication.jwt", publication.publication(session, node)[0].encode())
