"""The map's page in a browser, with 500 spaces: list and map are one, light, and for everybody."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from federation.context import hub as hub_context
from federation.db import db as hub_db
from shared.store.db import begin_write
from tests.browsing import wrong_with
from tests.databases import Databases
from tests.many_spaces import many_spaces
from tests.network import new_network

pytestmark = pytest.mark.browser

MANY = 500
MOST_BYTES = 200_000
LYON = {"latitude": 45.764, "longitude": 4.836}
ITEMS, MARKS = "#space-list > li", "#map .leaflet-marker-icon"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("map")
    network = new_network(folder, Databases(Path(folder), None))
    network.add_node("troquet", **LYON)
    with network.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        begin_write(session)
        many_spaces(session, now, "troquet", MANY - 1, ttl=3600)
        session.commit()
    yield network.hub.url
    network.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A French reader's page; what it says to the console as an error fails the test."""
    context = browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    expected = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "422")
    assert [line for line in said if not any(each in line for each in expected)] == []


def opened(page: Page, address: str) -> Page:
    """Open the map and wait until it is drawn."""
    page.goto(address)
    expect(page.locator(MARKS).first).to_be_visible()
    return page


def test_the_first_view_is_light(page: Page, url: str) -> None:
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes: dict[str, int] = {}
    names: dict[str, str] = {}
    wire.on(
        "Network.requestWillBeSent", lambda e: names.update({e["requestId"]: e["request"]["url"]})
    )
    wire.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    opened(page, url)
    expect(page.locator("#count")).to_have_text("500 espaces trouvés")
    expect(page.locator("#map svg path").first).to_be_attached()
    expect(page.locator(ITEMS)).to_have_count(30)
    page.wait_for_load_state("networkidle")
    assert any("/api/v1/spaces/points" in name for name in names.values())
    assert any("departments.topo.json" in name for name in names.values())
    assert len(sizes) > 8
    total = sum(sizes.values())
    assert total < MOST_BYTES, {names[each]: size for each, size in sizes.items()}
    assert page.locator(MARKS).count() < 200


def test_a_search_changes_list_map_and_address_in_place(page: Page, url: str) -> None:
    opened(page, url)
    page.evaluate("window.same = true")
    before = page.locator(MARKS).count()
    page.fill("#q", "grenoble")
    page.keyboard.press("Enter")
    expect(page.locator("#count")).not_to_have_text("500 espaces trouvés")
    expect(page).to_have_url(re.compile(r"[?]q=grenoble$"))
    assert page.evaluate("document.activeElement.id") == "q"
    for town in page.locator(f"{ITEMS} .soft").all_inner_texts():
        assert "Grenoble" in town
    page.click(".more-filters > summary")
    page.check("#f-open")
    page.fill("#f-service", "café")
    page.get_by_role("button", name="Rechercher").click()
    expect(page).to_have_url(re.compile(r"q=grenoble&open=now&service=caf%C3%A9"))
    expect(page.locator(".filter-chip")).to_have_count(3)
    expect(page.locator("#more-filters > summary")).to_have_text("Plus de filtres (2)")
    page.click(".filter-chip >> text=café")
    expect(page.locator(".filter-chip")).to_have_count(2)
    expect(page.locator("#count")).to_be_focused()
    page.go_back()
    page.go_back()
    page.go_back()
    expect(page.locator("#count")).to_have_text("500 espaces trouvés")
    expect(page.locator("#q")).to_have_value("")
    expect(page.locator("#f-open")).not_to_be_checked()
    expect(page.locator(MARKS)).to_have_count(before)
    assert page.evaluate("window.same") is True
    assert page.locator("#count").get_attribute("role") == "status"


def test_more_spaces_come_under_those_that_are_there(page: Page, url: str) -> None:
    opened(page, url)
    page.get_by_role("link", name="Voir plus d’espaces").press("Enter")
    expect(page.locator(ITEMS)).to_have_count(60)
    focused = page.evaluate("document.activeElement.closest('[data-space]').dataset.space")
    assert focused == page.locator(ITEMS).nth(30).get_attribute("data-space")
    assert page.url.rstrip("/") == url
    asked: list[str] = []
    pages = ("document", "fetch")
    page.on("request", lambda r: asked.append(r.url) if r.resource_type in pages else None)
    page.locator("a[href='#results']").press("Enter")
    expect(page.locator("#results")).to_be_focused()
    page.go_back()
    expect(page.locator(ITEMS)).to_have_count(60)
    assert [each for each in asked if "/api/" not in each and "/cards" not in each] == []


def test_list_and_map_show_each_other_and_say_the_same(page: Page, url: str) -> None:
    opened(page, f"{url}/?around=Lyon&radius_km=10")
    item = page.locator(ITEMS).nth(1)
    item.locator("a").hover()
    expect(page.locator("#map .is-pointed-at")).to_have_count(1)
    item.locator("a").focus()
    expect(page.locator("#map .is-pointed-at")).to_have_count(1)
    pin = page.locator("#map .map-pin").first
    name = (pin.get_attribute("aria-label") or "").partition(" – ")[0]
    pin.hover()
    expect(page.locator(".space-card.is-selected h3")).to_have_text(name)
    pin.focus()
    page.keyboard.press("Enter")
    window = page.locator(".leaflet-popup .space-card")
    expect(window).to_be_visible()
    expect(page.locator(f"{ITEMS}[aria-current=true] h3")).to_have_text(name)
    item = page.locator(f"{ITEMS}[aria-current=true]")
    said = [each.locator(".live").last.inner_text() for each in (window, item)]
    assert "places" in said[0]
    assert len({text.partition("il y a")[0] for text in said}) == 1  # a second may have gone by
    assert page.evaluate("document.activeElement.closest('.leaflet-popup') !== null")
    page.keyboard.press("Escape")
    expect(window).to_have_count(0)


def test_a_group_opens_by_keyboard_and_the_window_says_what_the_list_would(
    page: Page, url: str
) -> None:
    opened(page, url)
    group = page.locator("#map .map-cluster").first
    count = page.locator(MARKS).count()
    group.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#search-here")).to_be_visible()
    assert page.evaluate("document.activeElement.closest('#map') !== null")
    assert count
    for _ in range(8):
        if page.locator("#map .map-pin").count():
            break
        page.locator("#map .map-cluster").first.press("Enter")
        page.wait_for_timeout(400)
    page.locator("#map .map-pin").first.press("Enter")
    expect(page.locator(".leaflet-popup .space-card h3 a")).to_have_attribute(
        "href", re.compile(r"^/spaces/")
    )


def test_a_moved_map_offers_to_search_there(page: Page, url: str) -> None:
    opened(page, url)
    expect(page.locator("#search-here")).to_be_hidden()
    for _ in range(3):
        page.locator(".leaflet-control-zoom-in").click()
        page.wait_for_timeout(350)
    page.locator("#search-here").click()
    expect(page).to_have_url(re.compile(r"bbox="))
    expect(page.locator("#count")).to_contain_text("dans la zone de la carte")
    west, south, east, north = (
        float(edge) for edge in re.findall(r"bbox=([^&]+)", page.url)[0].split("%2C")
    )
    found = page.request.get(f"{url}/api/v1/spaces?bbox={west},{south},{east},{north}").json()
    shown = [item.get_attribute("data-space") for item in page.locator(ITEMS).all()]
    assert [space["id"] for space in found["items"]][: len(shown)] == shown
    page.get_by_role("link", name=re.compile("^dans la zone")).click()
    expect(page.locator("#count")).to_have_text("500 espaces trouvés")


def test_where_i_am_is_asked_by_a_button_and_may_be_refused(browser: Any, url: str) -> None:
    refused = browser.new_context(locale="fr-FR")
    page = opened(refused.new_page(), url)
    page.click("#near-me")
    expect(page.locator("#finding-notice")).to_contain_text("Écrivez plutôt une ville")
    assert page.evaluate("document.activeElement.id") == "around"
    expect(page.locator("#near-me")).to_be_enabled()
    refused.close()
    told = browser.new_context(locale="fr-FR", geolocation=LYON, permissions=["geolocation"])
    page = opened(told.new_page(), url)
    page.click("#near-me")
    expect(page).to_have_url(re.compile(r"near=45\.764%2C4\.836"))
    expect(page.locator("#count")).to_contain_text("les plus proches d’abord")
    expect(page.locator(ITEMS).first).to_contain_text("troquet")
    expect(page.locator(ITEMS).first).to_contain_text("à 0 km")
    told.close()


def test_what_is_told_grows_old_and_is_looked_at_again_unless_nobody_looks(
    page: Page, url: str
) -> None:
    page.clock.install()
    opened(page, f"{url}/?q=la+ruche&seats=1")
    live = page.locator(f"{ITEMS} .live time").first
    said = live.inner_text()
    expect(live).to_have_text(re.compile(r"il\sy\sa\s\d+\s(s|min)"))
    asked: list[str] = []
    page.on("request", lambda r: asked.append(r.url) if "/cards?" in r.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.clock.fast_forward(65_000)
    assert asked == []
    page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    page.context.set_offline(True)
    page.clock.fast_forward(65_000)
    expect(page.locator("#finding-notice")).to_contain_text("ne répond pas")
    expect(live).not_to_have_text(said)
    expect(page.locator(ITEMS)).not_to_have_count(0)
    page.clock.fast_forward(3_700_000)
    expect(page.locator(f"{ITEMS} .live").last).to_have_text("places libres non connues")
    expect(page.locator(f"{ITEMS} .live time")).to_have_count(0)
    page.context.set_offline(False)
    page.clock.fast_forward(65_000)
    expect(page.locator("#finding-notice")).to_be_hidden()
    expect(page.locator(f"{ITEMS} .live time").first).to_be_visible()
    assert len(asked) >= 2


class _Foreign(BaseHTTPRequestHandler):
    """Somebody else's page, with the lines that the generator gave."""

    frame = ""

    def do_GET(self) -> None:
        body = f"<!doctype html><html lang='fr'><title>Autre</title>{self.frame}</html>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


def test_the_map_works_in_a_page_of_another_site(page: Page, url: str) -> None:
    page.goto(f"{url}/embed?around=Lyon&radius_km=10&open=now")
    _Foreign.frame = page.input_value("#code")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Foreign)
    Thread(target=server.serve_forever, daemon=True).start()
    page.goto(f"http://localhost:{server.server_port}/")  # another site, not only another port
    frame = page.frame_locator("iframe")
    expect(frame.locator(MARKS).first).to_be_visible()
    expect(frame.locator("#count")).to_contain_text("les plus proches de Lyon d’abord")
    expect(frame.locator("#map svg path").first).to_be_attached()
    pin = frame.locator("#map .map-pin").first
    pin.click()
    link = frame.locator(".leaflet-popup .space-card h3 a")
    expect(link).to_be_visible()
    with page.context.expect_page() as other:
        link.click()
    expect(other.value).to_have_url(re.compile(rf"^{url}/spaces/"))
    assert page.context.cookies() == []
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("language", "width"), [("fr", 360), ("en", 1280)])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    browser: Any, url: str, language: str, width: int
) -> None:
    found: dict[str, Any] = {}
    context = browser.new_context(
        locale=language, viewport={"width": width, "height": 740}, reduced_motion="reduce"
    )
    page = context.new_page()
    for path in (
        "/",
        "/?q=lyon&open=now&service=caf%C3%A9&around=Lyon",
        "/?q=xqzwk",
        "/?around=Atlantis&seats=x",
        "/embed/map?q=lyon",
        "/embed?q=lyon",
    ):
        page.goto(url + path)
        page.wait_for_load_state("networkidle")
        if page.locator(f"{MARKS}.map-pin").count():
            page.locator(f"{MARKS}.map-pin").first.click(force=True)
        found[path] = wrong_with(page)
    context.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}
