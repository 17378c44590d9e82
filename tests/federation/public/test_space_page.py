"""A space's page says all that is published, what the door would say, and what is not known."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import lxml.html
import pytest

from charter import model_sources, read_charter
from charter.hours import read_schedule
from federation.charters.models import Signature
from federation.nodes.models import Node
from federation.public import outline
from federation.public.door_answers import offer
from federation.spaces.models import Availability
from tests.databases import Databases
from tests.federation.places import event, inside, put_space
from tests.network import WEEK, Network, new_network

EVERYTHING: dict[str, Any] = {
    "name": "Le <Troquet>",
    "town": "Bourgoin-Jallieu",
    "description": "Une mercerie & des tables",
    "latitude": 45.59,
    "longitude": 5.27,
    "week": WEEK,
    "guest_cap": 5,
    "transport": "Bus 3",
    "website": "https://troquet.example",
    "email": "hello@troquet.example",
    "access": {"features": ["step_free"], "note": "Sonnez."},
    "about": {"opened_year": 2013, "manager": "Trois amis"},
    "prices": [{"label": "Mois", "cents": 17950, "unit": "month"}],
    "values": ["coopération"],
    "stories": [{"value": "coopération", "text": "Le ménage à tour de rôle."}],
    "conditions": {"notice_hours": 12, "included": ["Wi-Fi"], "note_en": "Slippers welcome."},
    "services": ["Wi-Fi"],
    "events": [event("talk", "2026-11-25T18:00:00+01:00", "2026-11-25T19:00:00+01:00")],
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: Any) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("spaces")
    found = new_network(folder, Databases(folder, None))  # Tuesday 24 November 2026, 10:00
    put_space(found, "full", **EVERYTHING)
    put_space(found, "bare")
    put_space(found, "project", project=True, week=WEEK)
    put_space(found, "ended", until="2026-10-31", week=WEEK)
    put_space(found, "paused", paused=True, week=WEEK)
    put_space(found, "suspended", week=WEEK)
    put_space(found, "far", latitude=-20.88, longitude=55.45, timezone="Indian/Reunion")
    with inside(found) as (session, hub):
        now = hub.clock.now()
        session.get_one(Node, "suspended").state = "suspended"
        for name in ("full", "paused", "ended", "suspended"):
            signed_at = now - timedelta(days=40)
            session.add(Signature(version="1", node_id=name, jws="x", signed_at=signed_at))
        session.add(
            Availability(
                space_id="full",
                guest_places=5,
                guest_places_free=3,
                paused=False,
                as_of=now,
                expires_at=now + timedelta(seconds=300),
            )
        )
        session.commit()
    yield found
    found.close()


def text_of(hub: Network, name: str, language: str = "en") -> str:
    answer = hub.hub.get(f"/spaces/{name}?lang={language}")
    assert answer.status_code == 200, answer.text
    (main,) = lxml.html.fromstring(answer.content).xpath("//main")
    return " ".join(main.text_content().replace("\u00a0", " ").split())


def test_a_full_sheet_is_all_there(hub: Network) -> None:
    page = text_of(hub, "full")
    for words in (
        "Le <Troquet>",
        "Open until 19:00",
        "3 places for roaming members at 10:00",
        "6 here, 16 in all the network",
        "subscribed at home for 30 days at least",
        "with a paper card, 4 half-days a month",
        "12 hours before you come",
        "Slippers welcome.",
        "Le ménage à tour de rôle.",
        "€179.50",
        "step-free entrance",
        "25 Nov 2026, 18:00 – 19:00",
        "version 1 (in force), signed on 15 October 2026",
        "Report an error",
    ):
        assert words in page, words


@pytest.mark.parametrize(
    ("name", "said", "unsaid"),
    [
        ("bare", ["Hours not known", "Its exact place is not", "has not signed"], ["Find a"]),
        (
            "project",
            ["In project", "its door is not open yet"],
            ["What you get here", "Open until"],
        ),
        ("ended", ["its last day was 31 October 2026"], ["What you get here"]),
        ("paused", ["no roaming members for now", "Nobody from another space"], []),
        ("suspended", ["is suspended from the network"], ["places for roaming members"]),
        ("far", ["Find a way"], ["IGN"]),
    ],
)
def test_a_space_with_little_or_at_its_end_says_so(
    hub: Network, name: str, said: list[str], unsaid: list[str]
) -> None:
    page = text_of(hub, name)
    assert {words: words in page for words in said} == dict.fromkeys(said, True)
    assert {words: words in page for words in unsaid} == dict.fromkeys(unsaid, False)
    assert text_of(hub, name, "fr") != page


def test_places_are_unknown_past_their_time_and_say_when_they_were_last_heard(
    hub: Network,
) -> None:
    hub.pass_time(seconds=301)
    try:
        page = text_of(hub, "full")
        assert "free places not known last heard 24 Nov 2026, 10:00" in page
    finally:
        hub.pass_time(seconds=-301)


def test_links_lead_to_the_place_the_calendar_and_the_code_to_the_page(hub: Network) -> None:
    page = lxml.html.fromstring(hub.hub.get("/spaces/full?lang=en").content)
    links = {link.text_content(): link.get("href") for link in page.xpath("//main//a")}
    assert links["In the map of my phone"] == "geo:45.590000,5.270000?q=45.590000,5.270000"
    assert links["Find a way"].endswith("directions?to=45.590000%2C5.270000")
    assert links["By e-mail"].startswith("mailto:?subject=Le%20%3CTroquet%3E&body=http")
    assert links["Report an error"] == "/spaces/full/report"
    (canonical,) = page.xpath("//link[@rel='canonical']/@href")
    assert canonical == f"{hub.hub.url}/spaces/full"
    assert page.xpath("//svg[@class='page-code']")
    (block,) = page.xpath("//script[@type='application/ld+json']/text()")
    thing = json.loads(block)
    offered = {"@type": "Offer", "name": "Mois", "price": "179.50", "priceCurrency": "EUR"}
    assert thing["makesOffer"] == [offered]
    assert thing["foundingDate"] == "2013"
    assert thing["hasMap"].endswith("mlat=45.59&mlon=5.27")
    assert {each["name"] for each in thing["amenityFeature"]} == {"Wi-Fi", "step free"}


def test_reading_a_page_sets_no_cookie(hub: Network) -> None:
    assert "Set-Cookie" not in hub.hub.get("/spaces/full").headers


def test_the_picture_of_a_place_is_an_image_where_there_is_an_outline(hub: Network) -> None:
    answer = hub.hub.get("/spaces/full/place.svg")
    assert answer.headers["Content-Type"].startswith("image/svg+xml")
    assert "Le &lt;Troquet&gt;" in answer.text
    assert "Isère" in answer.text
    assert len(answer.content) < 30_000
    for name, status in (("bare", 404), ("nowhere", 404), ("far", 200)):
        assert hub.hub.get(f"/spaces/{name}/place.svg").status_code == status
    assert "/place.svg" not in hub.hub.get("/spaces/far").text


def test_the_outline_has_every_department_closed() -> None:
    found = outline.departments()
    assert len(found) >= 96
    assert all(len(ring) >= 3 for each in found for ring in each.rings)
    assert [each.name for each in outline.around(48.85, 2.35)].count("Paris") == 1
    assert outline.around(0.0, -30.0) == []


# What the door would say


CHARTER = read_charter("1", model_sources())
SHEET: dict[str, Any] = {"id": "x", "guest_cap": 3, "week": WEEK, "timezone": "Europe/Paris"}


def _offer(**document: Any) -> Any:
    sheet = {**SHEET, **document}
    now = datetime.fromisoformat("2026-11-22T10:00:00+01:00")  # a Sunday
    return offer(CHARTER, sheet, read_schedule(sheet), now, "connected", True, "en")


def test_what_a_visitor_gets_is_what_the_door_decides_at_the_next_opening() -> None:
    found = _offer()
    assert found.plans == (("resident", True), ("nomad", True), ("ticket", False))
    assert (found.half_days_host, found.half_days_network) == (6, 16)
    assert found.against == ()
    (closed,) = _offer(conditions={"closed": ["2026-11-23"]}).against
    assert closed["code"] == "paused"
    assert _offer(week={}).against == ()  # unknown hours are not closed


def test_a_leap_day_and_a_never_opening_space_are_no_error() -> None:
    sheet = {**SHEET, "until": "2026-01-01"}
    now = datetime.fromisoformat("2028-02-29T10:00:00+01:00")
    found = offer(CHARTER, sheet, read_schedule(sheet), now, "left", False, "fr")
    codes = {reason["code"] for reason in found.against}
    assert {"space_closed", "paused", "charter_unsigned"} <= codes
    assert re.search(r"\w", found.against[0]["message"])
