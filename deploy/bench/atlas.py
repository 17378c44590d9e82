"""Forty thousand spaces made directly in a hub's database: sheets, hours and free places."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import insert, text

from charter import model_sources
from federation.charters import service as charters
from federation.charters.models import Signature
from federation.db import db
from federation.nodes.models import Node
from federation.spaces.models import Availability, Space
from shared.store.db import write
from shared.wire.spaces import SpaceSchema

SPACES_A_NODE = 8
AT_ONCE = 2000
SERVICES = ("Fibre", "Wi-Fi", "Café", "Imprimante", "Domiciliation", "Salle de réunion", "Casiers")
VALUES = ("Coopération", "Hospitalité", "Sobriété", "Inclusion", "Ancrage local")
KINDS = ("Tiers-lieu", "Coworking", "La Fabrique", "L’Atelier", "Le Hangar", "La Ruche", "Espace")
BEGINNINGS = ("Saint-", "Bourg", "Mont", "Ville", "La ", "Les ", "Cha", "Val", "Pont-", "Beau", "")
MIDDLES = ("ma", "ro", "li", "ne", "gou", "cha", "ver", "sau", "bel", "tri", "lon", "per", "que")
ENDS = ("ville", "court", "ières", "ac", "an", "y", "eux", "igny", "oin", "é", "elle", "ange")
WORKDAYS = ("mo", "tu", "we", "th", "fr")
# Where many are: a third of all, within some kilometres of these.
CITIES = ((48.857, 2.352), (45.764, 4.836), (43.297, 5.381), (44.838, -0.579), (50.63, 3.057))
_sheet = SpaceSchema()


def found(app: Flask, spaces: int, seed: int = 1) -> None:
    """Put the model charter in force, with nodes that signed it and that many spaces."""
    now = datetime.now(UTC)
    chance = random.Random(seed)  # noqa: S311 - the same network each time
    with app.app_context():
        session = db.session()
        charter = charters.adopt_first(session, now, model_sources())
        with write(session):
            nodes = [f"node-{n}" for n in range(spaces // SPACES_A_NODE + 1)]
            common = {"plans": {}, "enrolled_at": now, "last_seen_at": now, "state": "connected"}
            session.execute(
                insert(Node),
                [
                    {"id": id_, "name": id_, "url": f"http://127.0.0.1:1/{id_}", **common}
                    for id_ in nodes
                ],
            )
            signatures = [
                {"version": charter.version, "node_id": id_, "jws": "-", "signed_at": now}
                for id_ in nodes
                if chance.random() < 0.95
            ]
            session.execute(insert(Signature), signatures)
            for start in range(0, spaces, AT_ONCE):
                rows = list(_rows(chance, range(start, min(start + AT_ONCE, spaces)), now))
                session.execute(insert(Space), [space for space, _ in rows])
                session.execute(insert(Availability), [told for _, told in rows])
        with write(session) as connection:
            connection.execute(text("ANALYZE"))
        db.engine.dispose()


def _rows(
    chance: random.Random, numbers: range, now: datetime
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for n in numbers:
        sheet = _a_sheet(chance, n)
        space = {
            "id": sheet["id"],
            "node_id": f"node-{n // SPACES_A_NODE}",
            "name": sheet["name"],
            "town": sheet["address"]["town"],
            "latitude": sheet["latitude"],
            "longitude": sheet["longitude"],
            "document": sheet,
            "published_at": now,
        }
        told = {
            "space_id": sheet["id"],
            "guest_places": 5,
            "guest_places_free": chance.randrange(6),
            "paused": chance.random() < 0.02,
            "as_of": now,
            "expires_at": now + timedelta(days=1),
        }
        yield space, told


def town(chance: random.Random) -> str:
    middle = "".join(chance.choice(MIDDLES) for _ in range(chance.randrange(1, 3)))
    return (chance.choice(BEGINNINGS) + middle + chance.choice(ENDS)).title()


def _a_sheet(chance: random.Random, n: int) -> dict[str, Any]:
    named, opens = town(chance), chance.choice(("08:00", "08:30", "09:00", "09:30"))
    hours = [[opens, chance.choice(("17:30", "18:00", "19:00", "20:00"))]]
    year = datetime.now(UTC).year
    closed = {f"{year}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}" for _ in range(8)}
    latitude, longitude = _place(chance)
    return {
        **_sheet.load(
            {
                "id": f"space-{n}",
                "name": f"{chance.choice(KINDS)} {named}",
                "address": {"town": named},
            }
        ),
        "latitude": latitude,
        "longitude": longitude,
        "description": "Un lieu où l’on travaille ensemble, pas seulement côte à côte. " * 8,
        "week": dict.fromkeys(WORKDAYS, hours),
        "exceptions": {day: [] for day in closed | {f"{year}-05-01", f"{year}-12-25"}},
        "capacity": 25,
        "guest_cap": 5,
        "services": chance.sample(SERVICES, 4),
        "values": chance.sample(VALUES, 2),
        "access": {"features": ["step_free"] if chance.random() < 0.4 else [], "note": ""},
        "transport": "Gare à 300 m" if chance.random() < 0.6 else "",
    }


def _place(chance: random.Random) -> tuple[float, float]:
    if chance.random() < 1 / 3:
        latitude, longitude = chance.choice(CITIES)
        return (
            round(latitude + chance.gauss(0, 0.06), 6),
            round(longitude + chance.gauss(0, 0.09), 6),
        )
    return round(chance.uniform(42.5, 50.5), 6), round(chance.uniform(-4, 7.5), 6)
