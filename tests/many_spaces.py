"""A directory of many spaces in real towns, written to a hub’s database."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from federation.spaces.models import Availability, Space
from shared.wire.spaces import SpaceSchema

TOWNS = (
    ("Paris", 48.857, 2.352, 12),
    ("Lyon", 45.764, 4.836, 6),
    ("Marseille", 43.297, 5.381, 4),
    ("Toulouse", 43.604, 1.444, 4),
    ("Bordeaux", 44.838, -0.579, 4),
    ("Lille", 50.629, 3.057, 4),
    ("Nantes", 47.218, -1.554, 4),
    ("Strasbourg", 48.573, 7.752, 3),
    ("Rennes", 48.117, -1.678, 3),
    ("Grenoble", 45.188, 5.724, 3),
    ("Saint-Étienne", 45.440, 4.387, 2),
    ("Clermont-Ferrand", 45.777, 3.087, 2),
    ("Dijon", 47.322, 5.041, 2),
    ("Brest", 48.390, -4.486, 2),
    ("Limoges", 45.834, 1.262, 1),
    ("Bourgoin-Jallieu", 45.586, 5.279, 1),
    ("Auch", 43.646, 0.586, 1),
    ("Bastia", 42.700, 9.450, 1),
)
NAMES = ("L’Atelier", "La Ruche", "Le Comptoir", "La Fabrique", "Le Relais", "La Grange")
SERVICES = ("Fibre", "Café", "Imprimante", "Salle de réunion", "Casiers", "Cuisine")
WEEK = {day: [["09:00", "19:00"]] for day in ("mo", "tu", "we", "th", "fr")}


def many_spaces(
    session: Session, now: datetime, node_id: str, count: int, *, ttl: int = 120
) -> None:
    """Add that many spaces of one node, most with free places; within the caller's transaction."""
    chance, weights = random.Random(7), [town[3] for town in TOWNS]
    schema, told = SpaceSchema(), list[Availability]()
    for n in range(count):
        town, latitude, longitude, _ = chance.choices(TOWNS, weights)[0]
        name = f"{chance.choice(NAMES)} {n}"
        space_id = f"many-{n:05}"
        document = {
            "id": space_id,
            "name": name,
            "address": {"street": f"{n % 90 + 1} rue du Four", "town": town},
            "latitude": round(latitude + chance.gauss(0, 0.25), 5),
            "longitude": round(longitude + chance.gauss(0, 0.35), 5),
            "week": {} if n % 10 == 9 else WEEK,
            "services": chance.sample(SERVICES, 3),
            "guest_cap": 8,
        }
        document = schema.dump(schema.load(document))
        place = {key: document[key] for key in ("latitude", "longitude")}
        session.add(
            Space(
                id=space_id,
                node_id=node_id,
                name=name,
                town=town,
                document=document,
                published_at=now - timedelta(days=1),
                **place,
            )
        )
        if n % 5:
            told.append(
                Availability(
                    space_id=space_id,
                    guest_places=8,
                    guest_places_free=chance.randrange(9),
                    paused=False,
                    as_of=now - timedelta(seconds=chance.randrange(60)),
                    expires_at=now + timedelta(seconds=ttl),
                )
            )
        if n % 1000 == 999:
            _write(session, told)
    _write(session, told)


def _write(session: Session, told: list[Availability]) -> None:
    session.flush()  # what is told is of spaces that are there
    session.add_all(told)
    session.flush()
    session.expunge_all()
    told.clear()
