"""A network made directly in a hub's database, and what its phones and doors would send."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from joserfc.jwk import OKPKey
from sqlalchemy import insert, select, text

from charter import Facts, model_sources
from charter.hours import WEEKDAYS
from federation.charters import service as charters
from federation.charters.models import Signature
from federation.db import db
from federation.nodes.access_tokens import access_token
from federation.nodes.models import Node, NodeKey
from federation.spaces import published_hours
from federation.spaces.models import Space
from federation.visits.models import HalfDayLine, Member, Pass, Visit
from shared.crypto.keys import KeyRing, new_key_ring
from shared.crypto.passes import bind, issue, new_pass_id
from shared.store.db import write
from shared.wire.reports import sign_report

MEMBER_FOR = timedelta(days=200)
HOURS = {"timezone": "Europe/Paris", "week": {day: [["00:00", "23:59"]] for day in WEEKDAYS}}


@dataclass(frozen=True)
class Home:
    """An operator that is home to some and host to others; it has one space, of its own id."""

    id: str
    url: str
    ring: KeyRing


@dataclass(frozen=True)
class Phone:
    home: Home
    pass_id: str
    credential: str
    key: OKPKey

    def show(self) -> str:
        """Return the text of a fresh code."""
        return bind(self.credential, self.key, time.time())


def found(app: Flask, homes: int, url: str = "http://127.0.0.1:1") -> list[Home]:
    """Put the model charter in force, with operators that have signed it and published."""
    now = datetime.now(UTC)
    made = [Home(f"home-{n}", f"{url}/{n}", new_key_ring()) for n in range(homes)]
    with app.app_context():
        session = db.session()
        charter = charters.adopt_first(session, now, model_sources())
        with write(session):
            for home in made:
                session.add(
                    Node(
                        id=home.id,
                        name=home.id,
                        url=home.url,
                        state="connected",
                        plans={"resident": 30},
                        enrolled_at=now,
                        last_seen_at=now,
                    )
                )
                session.flush()
                session.add(
                    NodeKey(
                        node_id=home.id,
                        kid=home.ring.kid,
                        jwk=home.ring.public_jwks()[0],
                        added_at=now,
                    )
                )
                session.add(
                    Signature(version=charter.version, node_id=home.id, jws="-", signed_at=now)
                )
                session.add(
                    Space(
                        id=home.id,
                        node_id=home.id,
                        name=home.id,
                        town="Lyon",
                        document={},
                        published_at=now,
                    )
                )
                session.flush()
                published_hours.note(session, home.id, HOURS, now)
        db.engine.dispose()
    return made


def add_phones(app: Flask, homes: list[Home], count: int) -> list[Phone]:
    """Register that many members, each with one pass, spread over the homes."""
    now = datetime.now(UTC)
    phones = [_phone(homes[n % len(homes)], n, now) for n in range(count)]
    references = {phone.pass_id: f"m-{phone.pass_id}" for phone in phones}
    since = (now - MEMBER_FOR).date()
    with app.app_context():
        session = db.session()
        with write(session):
            session.execute(
                insert(Member),
                [
                    {
                        "node_id": phone.home.id,
                        "reference": references[phone.pass_id],
                        "member_since": since,
                    }
                    for phone in phones
                ],
            )
            ids: dict[str, int] = {
                row[0]: row[1] for row in session.execute(select(Member.reference, Member.id))
            }
            session.execute(
                insert(Pass),
                [
                    {
                        "node_id": phone.home.id,
                        "id": phone.pass_id,
                        "member_id": ids[references[phone.pass_id]],
                        "status": "valid",
                        "known_at": now,
                        "changed_at": now,
                    }
                    for phone in phones
                ],
            )
        db.engine.dispose()
    return phones


def add_history(app: Flask, homes: list[Home], visits: int) -> None:
    """Add visits of other people in the months before, so that no table is empty."""
    people = max(1, visits // 20)
    phones = add_phones(app, homes, people)
    now = datetime.now(UTC)
    with app.app_context():
        session = db.session()
        with write(session):
            members = {row[0]: row[1] for row in session.execute(select(Pass.id, Pass.member_id))}
            charter = charters.in_force(session).version
            rows, lines = [], []
            for n in range(visits):
                phone, host = phones[n % people], homes[(n + n // people) % len(homes)]
                started = now - timedelta(days=40 + n // people)
                common = {
                    "member_id": members[phone.pass_id],
                    "home_id": phone.home.id,
                    "host_id": host.id,
                    "space_id": host.id,
                    "recorded_at": started,
                }
                rows.append(
                    {
                        **common,
                        **_ended(started),
                        "id": f"past-{n}",
                        "pass_id": phone.pass_id,
                        "proof": hashlib.sha256(f"past-{n}".encode()).hexdigest()[:32],
                        "charter": charter,
                    }
                )
                lines.append(
                    {
                        **common,
                        "visit_id": f"past-{n}",
                        "month": f"{started:%Y-%m}",
                        "day": started.date(),
                        "half": "am",
                        "quantity": 1,
                        "occurrence": 0,
                    }
                )
            session.execute(insert(Visit), rows)
            session.execute(insert(HalfDayLine), lines)
        if db.engine.dialect.name == "postgresql":  # as it does by itself within a minute
            with write(session) as connection:
                connection.execute(text("ANALYZE"))
        db.engine.dispose()


def _ended(started: datetime) -> dict[str, Any]:
    """Return what is alike in visits of three hours."""
    ended = started + timedelta(hours=3)
    return {
        "plan": "resident",
        "state": "closed",
        "online": True,
        "timezone": "Europe/Paris",
        "started_at": started,
        "shown_at": started,
        "left_at": ended,
        "ended_at": ended,
        "day": started.date(),
        "hours": None,
        "closes_at": ended,
        "facts": {},
        "decision": {},
        "flags": [],
        "evidence": {},
        "changed_at": started,
    }


def _phone(home: Home, number: int, now: datetime) -> Phone:
    key, pass_id = OKPKey.generate_key("Ed25519"), new_pass_id()
    credential = issue(
        home.ring,
        issuer=home.id,
        pass_id=pass_id,
        jwk=key.as_dict(private=False),
        plan="resident",
        given_name="Ada",
        status_index=number,
        status_uri=f"{home.url}/status-lists/1",
        issued_at=now,
        expires_at=now + timedelta(days=30),
    )
    return Phone(home, pass_id, credential, key)


def tokens(app: Flask, url: str, homes: list[Home]) -> dict[str, str]:
    """Return each operator's access token, as the hub gives it."""
    ring = app.extensions["hub"].ring
    return {home.id: access_token(ring, url, home.id, home.ring.kid) for home in homes}


def report_of(phone: Phone, host: Home, hub_url: str) -> bytes:
    """Return the body by which a host asks the hub to authorise and record a visit, now."""
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "host": host.id,
        "space": host.id,
        "opening": (now - timedelta(hours=3), now + timedelta(hours=5)),
        "guest_cap": 5,
        "capacity": 25,
        "services": ("fibre", "café", "imprimante"),
    }
    report = sign_report(host.ring, hub_url, phone.show(), now, Facts(**facts))
    return json.dumps({"report": report}).encode()
