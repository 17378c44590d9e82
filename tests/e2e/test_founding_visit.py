"""The founding visit in a browser: admin, public, member, host, coordinator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Page, expect

from shared.crypto.px1 import unpack

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PASSWORD = "passerelle-demo"


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """A French reader's page; whatever it says to the console as an error fails the test."""
    context = browser.new_context(locale="fr-FR", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    said: list[str] = []
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert [line for line in said if "422" not in line] == []


def log_in(page: Page, url: str, email: str, path: str) -> None:
    page.goto(f"{url}/login?next={path}")
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.get_by_role("button", name="Se connecter", exact=True).click()
    expect(page).to_have_url(f"{url}{path}")


def test_the_admin_saves_a_change_and_sees_it_published(page: Page, demo: dict[str, Any]) -> None:
    node, hub = demo["nodes"]["troquet-numerique"], demo["hub"]["url"]
    path = "/console/spaces/troquet-numerique/sheet/rooms"
    log_in(page, node["url"], node["admin"]["email"], path)
    page.fill("#capacity", "20000")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    expect(page.locator("#capacity-error")).to_be_visible()
    expect(page.locator("#capacity")).to_have_attribute("aria-invalid", "true")
    page.fill("#capacity", "26")
    page.get_by_role("button", name="Enregistrer", exact=True).click()
    expect(page.locator("#flash")).to_contain_text(re.compile(r"Sur la carte depuis \d\d:\d\d"))
    answer = requests.get(f"{hub}/api/v1/spaces/troquet-numerique", timeout=10)
    assert answer.json()["capacity"] == 26


def test_the_public_map_draws_every_space_and_the_list_says_the_same(
    page: Page, demo: dict[str, Any]
) -> None:
    hub = demo["hub"]["url"]
    page.goto(hub)
    spaces = [space for node in demo["nodes"].values() for space in node["spaces"]]
    expect(page.locator("#space-list > li")).to_have_count(len(spaces))
    expect(page.locator("#map svg path").first).to_be_attached()  # the outline, with no tile
    expect(page.locator("#map .leaflet-marker-icon").first).to_be_visible()
    page.get_by_role("link", name="Troquet numérique").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Troquet numérique")
    expect(page.locator("main")).to_contain_text("320 m²")
    expect(page.locator("main")).to_contain_text("179,00 €")


def test_the_list_stands_alone_without_script(browser: Any, demo: dict[str, Any]) -> None:
    context = browser.new_context(java_script_enabled=False, locale="fr-FR")
    page = context.new_page()
    page.goto(demo["hub"]["url"])
    expect(page.locator("#space-list > li")).to_have_count(10)
    context.close()


def test_a_member_is_admitted_from_phone_to_account(
    page: Page, browser: Any, demo: dict[str, Any]
) -> None:
    home, host = demo["nodes"]["la-cordee"], demo["nodes"]["troquet-numerique"]
    log_in(page, home["url"], home["members"][4]["email"], "/pass")
    page.get_by_role("button", name="Faire de ce téléphone mon pass").click()
    expect(page.locator("#pass-qr")).to_be_visible()
    shown = page.input_value("#pass-text")
    assert shown.startswith("PX1:")
    assert len(shown.encode()) <= 950
    key_is_safe = """async () => {
      const { get, keys } = await import("/static/vendor/idb-keyval/index.js");
      const kept = await get((await keys())[0]);
      try { await crypto.subtle.exportKey("jwk", kept.privateKey); return false; }
      catch { return kept.privateKey.extractable === false; }
    }"""
    assert page.evaluate(key_is_safe)
    troquet = page.locator('.right[data-space="troquet-numerique"]')
    expect(troquet).to_contain_text("Oui")

    desk_context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    desk = desk_context.new_page()
    log_in(desk, host["url"], host["desk"]["email"], "/desk")
    desk.locator("#scan").fill(page.input_value("#pass-text"))
    desk.keyboard.press("Enter")  # as a reader that types does
    expect(desk.locator(".answer-word")).to_have_text("Oui")
    expect(desk.locator(".answer")).to_contain_text("Inès")
    row = desk.locator("tr[data-visit]", has_text="Inès")
    visit = row.get_attribute("data-visit")
    expect(row).to_be_visible()

    coordinator = demo["hub"]["coordinator"]
    headers = {"Authorization": f"Bearer {coordinator['token']}"}
    url = f"{demo['hub']['url']}/api/v1/statements/2026-11"
    statement = requests.get(url, headers=headers, timeout=10).json()
    assert visit in [line["id"] for line in statement["visits"]]
    assert sum(statement["balances"].values()) == 0
    table = requests.get(url, headers={**headers, "Accept": "text/csv"}, timeout=10).text
    assert str(visit) in table

    log_in(page, demo["hub"]["url"], coordinator["email"], "/coordination")
    expect(page.locator("main")).to_contain_text(str(visit)[:10])

    row.get_by_role("button", name="Départ").click()
    expect(desk.locator("tr[data-visit]", has_text="Inès")).to_have_count(0)
    desk_context.close()


def test_the_code_renews_itself_and_the_phone_keeps_its_pass(
    page: Page, demo: dict[str, Any]
) -> None:
    home = demo["nodes"]["la-cordee"]
    page.clock.install()
    log_in(page, home["url"], home["members"][1]["email"], "/pass")
    page.get_by_role("button", name="Faire de ce téléphone mon pass").click()
    expect(page.locator("#pass-qr")).to_be_visible()
    before = page.input_value("#pass-text")
    page.clock.run_for(26_000)
    expect(page.locator("#pass-text")).not_to_have_value(before)
    credential = unpack(before).split("~")[0]
    page.reload()
    expect(page.locator("#pass-qr")).to_be_visible()
    assert unpack(page.input_value("#pass-text")).split("~")[0] == credential


def test_a_refusal_says_why_and_cites_the_article(page: Page, demo: dict[str, Any]) -> None:
    home, host = demo["nodes"]["la-cordee"], demo["nodes"]["troquet-numerique"]
    ticket = next(m for m in home["members"] if m["plan_class"] == "ticket")
    log_in(page, home["url"], ticket["email"], "/pass")
    refused = page.locator('.right[data-space="troquet-numerique"]')
    expect(refused).to_contain_text("Non")
    expect(refused).to_contain_text("article 4")
    page.get_by_role("button", name="Faire de ce téléphone mon pass").click()
    expect(page.locator("#pass-qr")).to_be_visible()
    shown = page.input_value("#pass-text")
    log_in(page, host["url"], host["desk"]["email"], "/desk")
    page.locator("#scan").fill(shown)
    page.keyboard.press("Enter")
    expect(page.locator(".answer-word")).to_have_text("Non")
    expect(page.locator('.reasons [data-code="plan_not_eligible"]')).to_contain_text("article 4")
    page.locator("#scan").fill("https://example.org/autre-chose")
    page.keyboard.press("Enter")
    expect(page.locator('.reasons [data-code="pass_malformed"]')).to_be_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_no_page_overflows_or_breaks_its_content_policy(
    page: Page, demo: dict[str, Any], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    hub, node = demo["hub"]["url"], demo["nodes"]["troquet-numerique"]
    log_in(page, hub, demo["hub"]["coordinator"]["email"], "/coordination")
    log_in(page, node["url"], node["admin"]["email"], "/console")
    for url in (
        hub,
        f"{hub}/spaces/sceaux-smart",
        f"{hub}/charter",
        f"{hub}/coordination",
        f"{hub}/coordination/statements/2026-11",
        f"{hub}/account",
        f"{hub}/api/v1/docs",
        node["url"],
        f"{node['url']}/console",
        f"{node['url']}/console/spaces/troquet-numerique",
        f"{node['url']}/desk",
        f"{node['url']}/spaces/troquet-numerique",
    ):
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == 200, url
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), url
