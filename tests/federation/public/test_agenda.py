"""The network's agenda: every coming event once, on its own day, found by word, town and place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from icalendar import Calendar
from sqlalchemy import select, text

from federation.db import db
from federation.nodes.models import Node
from federation.spaces import events
from federation.spaces.models import Space, SpaceEvent
from shared.store.db import begin_write
from tests.architecture.applications import APPLICATIONS
from tests.conftest import EITHER, _databases
from tests.databases import Databases
from tests.federation.places import event, inside, put_space
from tests.network import Network, new_network

# The clocks of Paris go forward on 28 March 2027, from 2:00 to 3:00.
NIGHT = event("night", "2027-03-27T23:00:00+01:00", "2027-03-28T04:00:00+02:00", title="Nuit d’été")


@pytest.fixture(scope="module", params=EITHER)
def hub(request: Any, tmp_path_factory: Any) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("agenda")
    databases = _databases(request, folder)
    found = new_network(folder, databases)  # Tuesday 24 November 2026, ten in the morning
    put_space(
        found,
        "troquet",
        name="Le Troquet",
        town="Bourgoin-Jallieu",
        latitude=45.59,
        longitude=5.27,
        events=[
            event("gone", "2026-11-23T09:00:00+01:00", "2026-11-23T10:00:00+01:00"),
            event("now", "2026-11-24T09:00:00+01:00", "2026-11-24T12:00:00+01:00"),
            event("market", "2026-12-05T10:00:00+01:00", "2026-12-07T00:00:00+01:00"),
            {**NIGHT, "open_to": "subscribers"},
        ],
    )
    put_space(
        found,
        "iles",
        town="Saint-Denis",
        timezone="Indian/Reunion",
        events=[event("dawn", "2026-12-01T01:00:00+04:00", "2026-12-01T02:00:00+04:00")],
    )
    talk = event("talk", "2026-12-05T10:00:00+01:00", "2026-12-05T11:00:00+01:00")
    talk |= {"title": "100%_pur <b>", "cancelled": True, "url": "https://a.example/1"}
    put_space(found, "cordee", events=[talk])
    for gone in ("suspended", "left", "hidden"):
        put_space(found, gone, events=[event("x", NIGHT["starts_at"], NIGHT["ends_at"])])
    _make_gone(found)
    yield found
    found.close()
    databases.drop()


def _make_gone(network: Network) -> None:
    with inside(network) as (session, hub):
        for state in ("suspended", "left"):
            session.get_one(Node, state).state = state
        session.get_one(Space, "hidden").hidden_at = hub.clock.now()
        session.commit()


def ids(network: Network, query: str = "") -> list[str]:
    answer = network.hub.get(f"/api/v1/events?{query}")
    assert answer.status_code == 200, answer.text
    return [item["id"].partition(":")[2] for item in answer.json()["items"]]


def test_what_is_not_over_is_there_once_in_order_and_nothing_of_who_is_gone(hub: Network) -> None:
    answer = hub.hub.get("/api/v1/events")
    found = answer.json()
    assert [item["id"] for item in found["items"]] == [
        "troquet:now",
        "iles:dawn",
        "cordee:talk",
        "troquet:market",
        "troquet:night",
    ]
    night = found["items"][-1]
    assert night["starts_at"] == "2027-03-27T23:00:00+01:00"
    assert (night["space"]["name"], night["space"]["timezone"]) == ("Le Troquet", "Europe/Paris")
    assert night["as_of"]
    assert found["licence"] == "Licence Ouverte 2.0"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    again = hub.hub.get("/api/v1/events", **{"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("from=2026-12-05&to=2026-12-05", ["talk", "market"]),
        ("from=2026-12-06&to=2026-12-06", ["market"]),  # its second day
        ("from=2026-12-07&to=2026-12-07", []),  # it ended at midnight
        ("from=2026-12-01&to=2026-12-01", ["dawn"]),  # 30 November in Paris
        ("from=2026-11-23&to=2026-11-23", ["gone"]),
        ("from=2027-03-28", ["night"]),
        ("q=NUIT ete", ["night"]),
        ("q=mark", ["market"]),
        ("q=arket", []),
        ("q=%25", ["now", "dawn", "talk", "market", "night"]),  # no word at all
        ("q=" + quote("100%_pur"), ["talk"]),
        ("town=bourg", ["now", "market", "night"]),
        ("open_to=subscribers", ["night"]),
        ("space=cordee", ["talk"]),
        ("near=45.6,5.3&radius_km=5", ["now", "market", "night"]),
        ("near=45.6,5.3&radius_km=0.5", []),
    ],
)
def test_days_words_town_and_place_narrow_it(hub: Network, query: str, found: list[str]) -> None:
    assert ids(hub, query) == found


def test_pages_lead_to_every_event_once(hub: Network) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = hub.hub.get(f"/api/v1/events?limit=2&cursor={cursor}").json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday",
        "to=0001-01-01",
        "near=1",
        "near=nan,nan",
        "limit=0",
        "cursor=x",
        "cursor=20261124T090000000000Z",
        "open_to=<b>",
        "radius_km=1e9",
        "q=%00",
        "q=" + "x" * 101,
    ],
)
def test_what_cannot_be_asked_is_named(hub: Network, query: str) -> None:
    answer = hub.hub.get(f"/api/v1/events?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in str(answer.json()["errors"])
    page = hub.hub.get(f"/agenda?{query}")
    assert page.status_code == (200 if query.startswith("limit") else 422)
    followed = hub.hub.get(f"/agenda.ics?{query}")
    assert followed.status_code == (200 if query.startswith(("limit", "cursor")) else 422)


def test_the_page_says_days_and_times_of_each_space(hub: Network) -> None:
    page = hub.hub.get("/agenda?lang=en").text
    assert page.index("Tuesday 24 November 2026") < page.index("Tuesday 1 December 2026")
    assert "1 Dec 2026, 01:00 – 02:00" in page.replace("\u00a0", " ")
    assert "(local time)" in page
    assert "5 Dec 2026, 10:00 – 7 Dec 2026, 00:00" in page.replace("\u00a0", " ")
    assert "27 Mar 2027, 23:00 – 28 Mar 2027, 04:00" in page.replace("\u00a0", " ")
    assert "100%_pur &lt;b&gt;" in page
    assert "called off" in page
    assert '<a href="/agenda" aria-current="page">' in page
    assert "Rien de trouvé" in hub.hub.get("/agenda?q=zzz&lang=fr").text


def test_the_calendar_can_be_followed_and_obeys_the_same_filters(hub: Network) -> None:
    answer = hub.hub.get("/agenda.ics")
    assert answer.headers["Content-Type"].startswith("text/calendar")
    entries = {
        str(e["uid"]).partition("@")[0]: e for e in Calendar.from_ical(answer.content).events
    }
    names = ("now.troquet", "dawn.iles", "talk.cordee", "market.troquet", "night.troquet")
    assert set(entries) == set(names)
    night, talk = entries["night.troquet"], entries["talk.cordee"]
    assert (night.end - night.start).total_seconds() == 4 * 3600  # the night of an hour less
    assert str(talk["status"]) == "CANCELLED"
    assert all(e.get("dtstamp") for e in entries.values())
    assert hub.hub.get("/agenda.ics").content == answer.content
    one = Calendar.from_ical(hub.hub.get("/agenda.ics?space=iles").content)
    assert [str(e["uid"]).partition(".")[0] for e in one.events] == ["dawn"]


def test_events_that_were_published_before_there_was_an_agenda_are_in_it(
    tmp_path: Path, databases: Databases
) -> None:
    from flask_migrate import upgrade

    app = APPLICATIONS["hub"](tmp_path, databases.new())
    document = {"timezone": "Europe/Paris", "events": [{**NIGHT, "description": "", "place": ""}]}
    with app.app_context():
        upgrade(revision="0009")
        session = db.session()
        now = datetime.now(UTC)
        common = {"published_at": now, "document": json.dumps(document), "name": "L’Été"}
        node = {"id": "n", "name": "n", "url": "http://n", "at": now}
        session.execute(
            text(
                "INSERT INTO node (id, name, url, state, plans, publication_revision, enrolled_at,"
                " last_seen_at) VALUES (:id, :name, :url, 'connected', '{}', 0, :at, :at)"
            ),
            node,
        )
        session.execute(
            text(
                "INSERT INTO space (id, node_id, name, town, document, published_at)"
                " VALUES ('s', 'n', :name, 'Lyon', :document, :published_at)"
            ),
            common,
        )
        session.commit()
        upgrade()
        (row,) = session.scalars(select(SpaceEvent))
        found = (row.event_id, row.first_day.isoformat(), row.last_day.isoformat(), row.words)
        assert found == ("night", "2027-03-27", "2027-03-28", " nuit d ete l ete lyon")
        assert row.document["title"] == "Nuit d’été"
        before = row.starts_at, row.ends_at, row.town
        begin_write(session)
        events.store(session, session.get_one(Space, "s"))  # what a publication makes of it
        session.commit()
        (again,) = session.scalars(select(SpaceEvent))
        assert (again.starts_at, again.ends_at, again.town) == before
        session.close()
        db.engine.dispose()
