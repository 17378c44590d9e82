"""The map's page as it is without a script: filters in the address, a list by pages, a frame."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.spaces.models import Availability
from shared.store.db import begin_write
from tests.databases import Databases
from tests.many_spaces import many_spaces
from tests.network import LocalHub, Network, new_network
from tests.shared.browser import Browser, Page

MANY = 70


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A hub whose directory has 72 spaces, all but two written straight to its database."""
    folder = tmp_path_factory.mktemp("map")
    network: Network = new_network(folder, Databases(Path(folder), None))
    network.add_node("cordee", latitude=45.764, longitude=4.836)
    network.add_node("troquet")  # without a place on the map
    with network.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        begin_write(session)
        many_spaces(session, now, "troquet", MANY, ttl=3600)
        session.commit()
    yield network.hub
    network.close()


def shown(text: str) -> list[str]:
    return re.findall(r'<li data-space="([^"]+)"', text)


def points_of(page: str) -> str:
    return html.unescape(re.findall(r'data-points="([^"]*)"', page)[0])


@pytest.fixture
def get(hub: LocalHub) -> Callable[..., requests.Response]:
    def get_(path: str, status: int = 200) -> requests.Response:
        answer = hub.get(path, **{"Accept-Language": "en"})
        assert answer.status_code == status, answer.text[:500]
        return answer

    return get_


def test_the_list_goes_page_by_page_to_the_last_space(get: Callable[..., Any]) -> None:
    seen: list[str] = []
    path, pages = "/", 0
    while path:
        text = get(path).text
        assert "72 spaces found" in Page(text).text
        seen += shown(text)
        following = re.findall(r'href="([^"]+)" rel="next"', text)
        path, pages = (html.unescape(following[0]) if following else ""), pages + 1
    assert pages == 3
    assert len(seen) == len(set(seen)) == MANY + 2


@pytest.mark.parametrize(
    "query",
    [
        "",
        "q=lyon",
        "q=bourgoin+jalieu",
        "open=now&seats=3",
        "service=fibre&service=cafe",
        "open_at=2026-11-28T10:00",
        "plan=nomad",
        "around=Lyon&radius_km=50",
        "near=48.85,2.35",
        "kind=listed",
        "meeting_room=1&accessible=on",
        "seats=-1&open_at=never&q=paris",
    ],
)
def test_the_map_has_what_the_list_has(get: Callable[..., Any], query: str) -> None:
    status = 422 if "never" in query else 200
    page = get(f"/?{query}", status).text
    listed = shown(page)
    while following := re.findall(r'href="([^"]+)" rel="next"', page):
        page = get(html.unescape(following[0]), status).text
        listed += shown(page)
    told = get(points_of(page)).json()
    placed = {each for each in listed if each != "troquet"}
    assert {point[0] for point in told["points"]} == placed
    assert told["total"] == len(listed) == len(placed) + told["unplaced"]
    framed = get(f"/embed/map?{query}").text
    assert points_of(framed) == points_of(page)


def test_the_form_holds_what_was_asked_and_each_filter_can_be_taken_back(
    get: Callable[..., Any],
) -> None:
    query = "q=l&open=now&plan=nomad&service=fibre&service=caf%C3%A9&around=Lyon&radius_km=50"
    text = get(f"/?{query}&seats=1").text
    page = Page(text)
    expected = {"q": "l", "open": "now", "plan": "nomad", "around": "Lyon", "radius_km": "50"}
    assert {name: page.values[name] for name in expected} == expected
    assert "the nearest to Lyon first" in page.text
    distances = [float(km) for km in re.findall(r"([\d.]+) km away", page.text)]
    assert distances == sorted(distances)
    links = re.findall(r'class="filter-chip in-place" href="([^"]+)"', text)
    assert len(links) == 7
    for link in map(html.unescape, links):
        again = get(link)
        assert len(re.findall("filter-chip in-place", again.text)) == 6, link
    without_fibre = next(link for link in map(html.unescape, links) if "fibre" not in link)
    assert "caf%C3%A9" in without_fibre


def test_what_is_not_understood_is_named_and_left_out(get: Callable[..., Any]) -> None:
    text = get("/?open_at=soon&seats=many&around=Atlantis&bbox=1,2&view=x&q=lyon", 422).text
    page = Page(text)
    for said in (
        "Open on: a day and a time are expected.",
        "Free places: a number from 1 to 10,000 is expected.",
        "“Atlantis” is neither a space nor a town with a space.",
        "In the address: bbox",
        "In the address: view",
    ):
        assert said in page.text
    assert page.with_id("f-seats") is not None
    assert (page.with_id("f-seats") or {})["aria-invalid"] == "true"
    assert len(shown(text)) == len(shown(get("/?q=lyon").text)) > 0


@pytest.mark.parametrize(
    "query",
    [
        "q=%00%3Cscript%3Ealert(1)%3C/script%3E",
        "q=" + "x" * 5000,
        "around=%E2%80%AE%F0%9F%8E%89",
        "service=" + "&service=".join("abc"),
        "&".join(f"value={n}" for n in range(200)),
        "cursor=%00&cursor=x",
        "cursor=99999999999999999999&by_value=cooperation",
        "view=nan,nan,nan",
        "view=1e999,0,5",
        "near=nan,nan",
        "radius_km=inf&near=1,1",
        "bbox=nan,nan,nan,nan",
        "open_at=0001-01-01T00:00&open_at=9999-12-31T23:59",
        "plan=king&kind=odd&open=yes&fablab=perhaps",
        "height=-4&map_lang=xx",
        "lang=%3Cb%3E",
    ],
)
def test_an_odd_address_is_a_page_all_the_same(hub: LocalHub, query: str) -> None:
    for path in ("/", "/embed/map", "/embed", "/cards"):
        answer = hub.get(f"{path}?{query}")
        assert answer.status_code in (200, 422), (path, answer.status_code)
        assert "<script>alert" not in answer.text


def test_how_old_the_free_places_are_is_said_until_they_are_unknown(
    hub: LocalHub, get: Callable[..., Any]
) -> None:
    with hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        begin_write(session)
        told = session.get(Availability, "many-00001")
        assert told is not None
        told.guest_places_free, told.as_of = 3, now - timedelta(minutes=4, seconds=30)
        told.expires_at = now + timedelta(hours=1)
        session.commit()
    card = get("/cards?space=many-00001").text
    assert "3 places for roaming members 4 min ago" in Page(card).text
    assert re.search(r'data-as-of="2026-11-24T[^"]+" data-ttl="\d+" data-unknown="free pl', card)
    with hub.app.app_context():
        session = hub_db.session()
        begin_write(session)
        told = session.get(Availability, "many-00001")
        assert told is not None
        told.expires_at = told.as_of + timedelta(seconds=1)
        session.commit()
    card = Page(get("/cards?space=many-00001").text).text
    assert "free places not known" in card
    assert "ago" not in card


def test_cards_are_those_of_the_list(get: Callable[..., Any]) -> None:
    ids = shown(get("/").text)
    asked = "&".join(f"space={each}" for each in [*ids[:5], ids[0], "nowhere", "%00", "x" * 300])
    answer = get(f"/cards?{asked}&near=45.76,4.83")
    assert re.findall(r'<div data-space="([^"]+)"', answer.text) == ids[:5]
    assert answer.text.count("km away") == 4 + ("troquet" not in ids[:5])
    every = "&".join(f"space={each}" for each in ids * 2)
    assert len(re.findall("data-space", get(f"/cards?{every}").text)) == 30


def test_the_frame_keeps_its_language_to_itself(get: Callable[..., Any]) -> None:
    framed = get("/embed/map?lang=fr&q=lyon")
    assert "Set-Cookie" not in framed.headers
    assert Page(framed.text).language == "fr"
    assert "frame-ancestors *" in framed.headers["Content-Security-Policy"]
    assert "find" not in {attrs.get("id") for _, attrs in Page(framed.text).elements}


def test_the_generator_writes_a_frame_of_what_was_chosen(get: Callable[..., Any]) -> None:
    chosen = "q=%22%3E%3Cimg%3E&open=now&view=45.7,4.8,9&height=420&map_lang=fr&seats="
    answer = get(f"/embed?{chosen}")
    code = html.unescape(re.findall(r"<textarea[^>]*>(.*?)</textarea>", answer.text, re.S)[0])
    assert re.fullmatch(
        r'<iframe src="http://127.0.0.1:\d+/embed/map\?[^"<>]*" title="[^"]+" width="100%" '
        r'height="420" loading="lazy"></iframe>',
        code,
    )
    address = html.unescape(code.split('"')[1])
    framed = requests.get(address, timeout=20)
    assert framed.status_code == 200
    assert 'data-look="45.7,4.8,9"' in framed.text
    assert "open=now" in points_of(framed.text)
    assert Page(framed.text).language == "fr"


def test_pages_are_compressed_until_somebody_is_logged_in(
    hub: LocalHub, get: Callable[..., Any]
) -> None:
    assert get("/").headers["Content-Encoding"] == "gzip"
    reader = Browser(hub)
    reader.log_in("coord@hub.example")
    answer = reader.get("/?q=lyon")
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers
