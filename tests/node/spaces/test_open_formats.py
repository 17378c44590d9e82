"""A space's page for programs: SpaceAPI and schema.org, as other people's libraries read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lxml.html
import pytest
import requests
from icalendar import Calendar
from jsonschema import Draft7Validator
from pyld import jsonld
from sqlalchemy import delete

from charter.hours import read_schedule
from node.events import service as events
from node.events.models import Event
from node.publication.service import full_document
from node.spaces import service as spaces
from node.spaces.hours import special_day
from node.spaces.models import Space
from node.spaces.spaceapi import space_api
from shared.store.db import begin_write
from shared.wire.linked_data import linked_space
from tests.network import WEEK, LocalNode, Network
from tests.shared.web.test_pages import NASTY

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "spaceapi-15.json").read_text("utf-8"))
VALID = Draft7Validator(SCHEMA)
SPACEAPI = "/spaces/troquet/spaceapi.json"
SHEET = {
    "street": "1 rue du Port",
    "postcode": "69001",
    "latitude": 45.5866,
    "longitude": 5.2738,
    "email": "contact@troquet.example",
    "website": "https://troquet.example",
    "transport": "Gare de Lyon-Perrache",
    "capacity": 25,
    "services": ["Wi-Fi", "Imprimante"],
}
ROOMS = [{"name": "Grande salle", "kind": "open_space", "seats": 14, "area_m2": 80}]
PRICES = [
    {"label": "Mois", "cents": 17900, "unit": "month", "quantity": 1},
    {"label": "Carnet", "cents": 9000, "unit": "pack", "quantity": 10},
    {"label": "Heure", "cents": 850, "unit": "hour", "quantity": 1},
]
Set = Callable[..., None]


@pytest.fixture
def troquet(lasting_network: Network) -> LocalNode:
    return lasting_network.nodes["troquet"]


@pytest.fixture
def sheet(troquet: LocalNode) -> Iterator[Set]:
    """Fill the sheet; what was before is put back after the test."""
    with troquet.context() as (session, _):
        row = session.get_one(Space, "troquet")
        held = {
            name: getattr(row, name)
            for name in (*SHEET, "name", "description", "week", "project", "special_days")
        }

    def fill(**values: Any) -> None:
        with troquet.context() as (session, node):
            spaces.save(session, node, "troquet", {**SHEET, **values}, rooms=ROOMS, prices=PRICES)
            spaces.publish_now(session, node)

    yield fill
    with troquet.context() as (session, node):
        begin_write(session)
        session.execute(delete(Event))
        spaces.save(session, node, "troquet", held, rooms=[], prices=[])
        spaces.publish_now(session, node)


def spaceapi(troquet: LocalNode) -> dict[str, Any]:
    answer = requests.get(troquet.url + SPACEAPI, timeout=20)
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = answer.json()
    faults = [f"{list(error.path)}: {error.message}" for error in VALID.iter_errors(found)]
    assert not faults
    return found


# SpaceAPI


def test_the_schema_of_these_tests_is_one_and_refuses() -> None:
    Draft7Validator.check_schema(SCHEMA)
    for wrong in ({}, {"api_compatibility": ["14"]}, {"state": {"open": None}}):
        assert not VALID.is_valid(wrong)


def test_a_filled_sheet_is_spaceapi_15(sheet: Set, troquet: LocalNode) -> None:
    sheet()
    found = spaceapi(troquet)
    assert found["api_compatibility"] == ["15"]
    assert (found["space"], found["url"]) == ("troquet", "https://troquet.example")
    assert found["location"] == {
        "address": "1 rue du Port, 69001 Lyon, France",
        "timezone": "Europe/Paris",
        "country_code": "FR",
        "lat": 45.5866,
        "lon": 5.2738,
        "hint": "Gare de Lyon-Perrache",
        "areas": [{"name": "Grande salle", "square_meters": 80}],
    }
    assert found["contact"] == {"email": "contact@troquet.example"}
    opened = int(datetime.fromisoformat("2026-11-24T09:00:00+01:00").timestamp())
    assert found["state"] == {"open": True, "lastchange": opened}
    assert found["membership_plans"] == [
        {"name": "Mois", "value": 179.0, "currency": "EUR", "billing_interval": "monthly"},
        {
            "name": "Carnet",
            "value": 90.0,
            "currency": "EUR",
            "billing_interval": "other",
            "description": "10 × half-day ticket",
        },
        {"name": "Heure", "value": 8.5, "currency": "EUR", "billing_interval": "hourly"},
    ]
    for address in (found["logo"], found["feeds"]["calendar"]["url"], found["links"][0]["url"]):
        assert requests.get(address, timeout=20).status_code == 200, address


def test_what_is_not_known_is_left_out_and_never_closed(sheet: Set, troquet: LocalNode) -> None:
    nothing = dict.fromkeys(("street", "postcode", "latitude", "longitude"))
    empty = dict.fromkeys(("email", "website", "transport"), "")
    sheet(**nothing, **empty, week={}, services=[])
    found = spaceapi(troquet)
    assert "state" not in found
    assert found["contact"] == {}
    assert found["url"] == f"{troquet.url}/spaces/troquet"
    assert not {"lat", "lon", "hint"} & set(found["location"])
    sheet(project=True)
    assert "state" not in spaceapi(troquet), "nobody finds an open door in a project"


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ("2026-11-24T18:59:00+01:00", (True, "2026-11-24T09:00:00+01:00")),
        ("2026-11-24T19:00:00+01:00", (False, "2026-11-24T19:00:00+01:00")),
        ("2026-11-29T12:00:00+01:00", (False, "2026-11-27T19:00:00+01:00")),
        ("2026-12-26T03:00:00+01:00", (False, "2026-12-26T02:00:00+01:00")),
        ("2027-04-30T12:00:00+02:00", (False, None)),
    ],
)
def test_the_state_is_that_of_the_hours_and_says_since_when(
    troquet: LocalNode, now: str, state: tuple[bool, str | None]
) -> None:
    with troquet.context() as (session, node):
        document = full_document(session, node, session.get_one(Space, "troquet"))
    away = {f"2027-04-{day:02}": [] for day in range(10, 31)}
    exceptions = {"2026-12-25": [["20:00", "02:00"]], **away}
    schedule = read_schedule({"timezone": "Europe/Paris", "week": WEEK, "exceptions": exceptions})
    found = space_api(document, schedule, datetime.fromisoformat(now), 0, "https://n.example")
    assert VALID.is_valid(found)
    since = found["state"].get("lastchange")
    assert found["state"]["open"] is state[0]
    assert since == (state[1] and int(datetime.fromisoformat(state[1]).timestamp()))


def test_so_few_people_that_they_could_be_guessed_are_not_counted(
    sheet: Set, troquet: LocalNode, lasting_network: Network
) -> None:
    sheet()
    visits, cordee = [], lasting_network.nodes["cordee"]
    here = len(troquet.presence())
    for number in range(here + 1, 7):
        answer = troquet.scan(cordee.add_person().show())
        visits.append(answer.json()["visit"]["id"])
        sensors = {} if number < 5 else {"people_now_present": [{"value": number}]}
        assert spaceapi(troquet).get("sensors", {}) == sensors
    for visit in visits:
        troquet.check_out(visit)


def test_it_is_open_to_every_site_and_answered_with_304(sheet: Set, troquet: LocalNode) -> None:
    sheet()
    first = requests.get(troquet.url + SPACEAPI, headers={"Origin": "https://x.example"}, timeout=9)
    assert first.headers["Access-Control-Allow-Origin"] == "*"
    assert first.headers["Cache-Control"] == "public, max-age=30"
    asked = {"If-None-Match": first.headers["ETag"]}
    assert requests.get(troquet.url + SPACEAPI, headers=asked, timeout=9).status_code == 304
    assert requests.get(f"{troquet.url}/spaces/x/spaceapi.json", timeout=9).status_code == 404


def test_the_hub_is_a_directory_of_them(troquet: LocalNode, lasting_network: Network) -> None:
    answer = lasting_network.hub.get("/api/v1/spaceapi")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    directory = answer.json()
    assert set(directory) == {"cordee", "troquet", "filature"}
    for name, address in directory.items():
        assert requests.get(address, timeout=20).json()["space"] == name
    asked = lasting_network.hub.get("/api/v1/spaceapi", **{"If-None-Match": answer.headers["ETag"]})
    assert asked.status_code == 304


def test_two_spaces_of_one_name_are_told_apart_in_the_directory(
    sheet: Set, troquet: LocalNode, lasting_network: Network
) -> None:
    sheet(name="cordee")
    directory = lasting_network.hub.get("/api/v1/spaceapi").json()
    assert set(directory) == {"cordee (cordee)", "cordee (troquet)", "filature"}
    assert directory["cordee (troquet)"] == troquet.url + SPACEAPI


# schema.org


def _context(_url: str, _options: Any) -> dict[str, Any]:
    """Stand for schema.org's own context, which no test fetches: its words and its addresses."""
    addresses = ("url", "sameAs", "mainEntityOfPage", "additionalType", "dayOfWeek")
    more = ("eventStatus", "eventAttendanceMode")
    terms = {name: {"@type": "@id"} for name in (*addresses, *more)}
    context = {"@vocab": "https://schema.org/", **terms}
    return {"contextUrl": None, "documentUrl": None, "document": {"@context": context}}


def read_page(url: str) -> dict[str, Any]:
    """Return the one thing that a page describes, expanded by an independent library."""
    page = lxml.html.fromstring(requests.get(url, timeout=20).content)
    (block,) = page.xpath("//script[@type='application/ld+json']/text()")
    (thing,) = jsonld.expand(json.loads(block), {"documentLoader": _context})
    found: dict[str, Any] = thing
    return found


def said(thing: dict[str, Any], name: str) -> list[Any]:
    """Return a property's values: texts and numbers as they are, other things as objects."""
    values = thing.get(f"https://schema.org/{name}", [])
    return [each.get("@value", each) for each in values]


def test_node_and_hub_describe_the_same_business(
    sheet: Set, troquet: LocalNode, lasting_network: Network
) -> None:
    days = {"2026-11-27": [["10:00", "12:00"]], "2026-12-01": [], "2026-12-30": []}
    sheet(special_days=[special_day(day, spans) for day, spans in days.items()])
    page = f"{troquet.url}/spaces/troquet"
    for url in (page, f"{lasting_network.hub.url}/spaces/troquet"):
        thing = read_page(url)
        assert thing["@type"] == ["https://schema.org/LocalBusiness"]
        assert thing["@id"] == page
        assert said(thing, "mainEntityOfPage") == [{"@id": url}]
        assert said(thing, "name") == ["troquet"]
        assert said(thing, "sameAs") == [{"@id": "https://troquet.example"}]
        (address,) = said(thing, "address")
        parts = ("streetAddress", "postalCode", "addressLocality", "addressCountry")
        assert [said(address, part)[0] for part in parts] == [
            *("1 rue du Port", "69001", "Lyon", "FR")
        ]
        (geo,) = said(thing, "geo")
        assert (said(geo, "latitude"), said(geo, "longitude")) == ([45.5866], [5.2738])
        features = {said(each, "name")[0] for each in said(thing, "amenityFeature")}
        assert features == {"Wi-Fi", "Imprimante"}
        week = said(thing, "openingHoursSpecification")
        assert {said(day, "dayOfWeek")[0]["@id"].rpartition("/")[2] for day in week} == {
            *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
        }
        assert {(said(d, "opens")[0], said(d, "closes")[0]) for d in week} == {("09:00", "19:00")}
        other = [
            tuple(said(day, name)[0] for name in ("validFrom", "opens", "closes"))
            for day in said(thing, "specialOpeningHoursSpecification")
        ]
        closed = ("2026-12-01", "2026-12-25", "2026-12-30", "2027-01-01", "2027-03-29")
        assert other[:6] == [
            ("2026-11-27", "10:00", "12:00"),
            *((day, "00:00", "00:00") for day in closed),
        ]
        assert not said(thing, "priceRange")


def test_without_known_hours_none_are_said(sheet: Set, troquet: LocalNode) -> None:
    for values in ({"week": {}}, {"project": True}):
        sheet(**values)
        thing = read_page(f"{troquet.url}/spaces/troquet")
        assert not said(thing, "openingHoursSpecification")
        assert not said(thing, "specialOpeningHoursSpecification")


def test_events_are_events(sheet: Set, troquet: LocalNode, lasting_network: Network) -> None:
    sheet()
    day = datetime(2026, 12, 3, 17, 30, tzinfo=UTC)
    values = {"title": "Brunch", "description": "", "url": "https://troquet.example/b"}
    times = {"starts_at": day, "ends_at": day + timedelta(hours=2)}
    with troquet.context() as (session, node):
        for place, whom, off in (("", "everyone", False), ("Mairie", "subscribers", True)):
            more = {"place": place, "open_to": whom, "cancelled": off}
            events.add(session, node, "troquet", {**values, **times, **more})
    troquet.deliver()
    for service in (troquet, lasting_network.hub):
        found = said(read_page(f"{service.url}/spaces/troquet"), "event")
        assert [each["@type"] for each in found] == [["https://schema.org/Event"]] * 2
        brunch, away = sorted(found, key=lambda each: len(said(each, "audience")))
        assert said(brunch, "startDate") == ["2026-12-03T18:30:00+01:00"]
        assert said(brunch, "eventStatus") == [{"@id": "https://schema.org/EventScheduled"}]
        assert said(said(brunch, "location")[0], "name") == ["troquet"]
        assert said(away, "eventStatus") == [{"@id": "https://schema.org/EventCancelled"}]
        assert said(said(away, "location")[0], "name") == ["Mairie"]


@pytest.mark.parametrize("kind", [kind for kind in NASTY if kind not in ("NUL", "long", "spaces")])
def test_no_text_leaves_its_place_in_any_format(
    sheet: Set, troquet: LocalNode, lasting_network: Network, kind: str
) -> None:
    value = NASTY[kind] + "</script><!--"
    sheet(**dict.fromkeys(("name", "street", "transport", "description"), value), services=[value])
    for service in (troquet, lasting_network.hub):
        url = f"{service.url}/spaces/troquet"
        source = requests.get(url, timeout=20).text
        assert "<script>alert" not in source
        assert "<!--" not in source
        thing = read_page(url)
        assert (said(thing, "name"), said(thing, "description")) == ([value], [value])
    assert spaceapi(troquet)["space"] == value
    ics = requests.get(f"{troquet.url}/spaces/troquet/events.ics", timeout=20).content
    named = str(Calendar.from_ical(ics)["X-WR-CALNAME"])  # whose escapes are left to the reader
    assert named.replace("\\;", ";") == " ".join(value.split())


def test_a_document_of_an_older_node_is_described_too() -> None:
    """The hub keeps what a node published before there were events, and what it left out."""
    old = {"id": "x", "name": "X", "address": {"town": "Lyon"}, "timezone": "Europe/Paris"}
    thing = linked_space(old, read_schedule(old), datetime.now(UTC), "https://h.example/spaces/x")
    assert thing["@id"] == "https://h.example/spaces/x"
    assert not {"event", "geo", "email", "openingHoursSpecification"} & set(thing)


def test_pages_say_where_the_formats_are(
    sheet: Set, troquet: LocalNode, lasting_network: Network
) -> None:
    sheet()
    for service in (troquet, lasting_network.hub):
        url = f"{service.url}/spaces/troquet"
        page = lxml.html.fromstring(requests.get(f"{url}?lang=en", timeout=20).content)
        page.make_links_absolute(url)
        links = page.xpath("//head/link[@rel='alternate' and @type]")
        kinds = {link.get("href"): link.get("type") for link in links}
        assert set(kinds.values()) == {"application/json", "text/calendar"}
        for address, kind in kinds.items():
            assert requests.get(address, timeout=20).headers["Content-Type"].startswith(kind)
        assert "Open data: SpaceAPI, calendar, JSON-LD" in " ".join(page.text_content().split())
