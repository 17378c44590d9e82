"""The admin's console in a browser: by keyboard alone, on a small screen, and as axe sees it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browsing import wrong_with
from tests.e2e.test_pass_and_desk import PASSWORD, Json, log_in, tab_to

pytestmark = [pytest.mark.browser, pytest.mark.processes]

SPACE = "/console/spaces/sceaux-smart"
SECTIONS = ("identity", "place", "people", "hours", "rooms", "prices", "offer", "users", "welcome")
PAGES = (
    "/console",
    "/console/new-space",
    "/console/members",
    "/console/members/new",
    "/console/members/import",
    "/console/plans",
    "/console/bookings",
    "/console/statements",
    "/console/charter",
    SPACE,
    *(f"{SPACE}/sheet/{section}" for section in SECTIONS),
    f"{SPACE}/conditions",
    f"{SPACE}/values",
    f"{SPACE}/events",
)


def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(browser: Any, demo: Json) -> None:
    node = demo["nodes"]["sceaux-smart"]
    context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    page = context.new_page()
    log_in(page, node["url"], node["admin"]["email"], "/console")
    found = {}
    for path in PAGES:
        answer = page.goto(node["url"] + path)
        assert answer is not None
        assert answer.status == 200, path
        for detail in page.locator("main details > summary").all():
            detail.click()
        found[path] = wrong_with(page)
    context.close()
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def _enter(page: Page, url: str, email: str) -> None:
    page.goto(f"{url}/login?next=/console")
    tab_to(page, "#email")
    page.keyboard.type(email)
    tab_to(page, "#password")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{url}/console")


def _follow(page: Page, selector: str) -> None:
    tab_to(page, selector)
    page.keyboard.press("Enter")


def test_the_sheet_is_filled_by_keyboard_alone_on_a_small_screen(browser: Any, demo: Json) -> None:
    node = demo["nodes"]["la-cordee"]
    context = browser.new_context(locale="fr-FR", viewport={"width": 360, "height": 740})
    page = context.new_page()
    _enter(page, node["url"], node["admin"]["email"])
    _follow(page, "main a[href='/console/spaces/la-cordee']")
    expect(page).to_have_url(f"{node['url']}/console/spaces/la-cordee")
    _follow(page, "main a.button[href$='/sheet/identity']")
    expect(page).to_have_url(f"{node['url']}/console/spaces/la-cordee/sheet/identity")
    tab_to(page, "#opened_year")
    page.keyboard.type("2011")
    _follow(page, "button[name=go_on]")
    expect(page).to_have_url(f"{node['url']}/console/spaces/la-cordee/sheet/place")
    expect(page.locator(".sheet-pin")).to_be_visible()
    before = page.input_value("#latitude"), page.input_value("#longitude")
    tab_to(page, ".sheet-pin")
    for key in ("ArrowUp", "ArrowRight"):
        page.keyboard.press(key)
    after = page.input_value("#latitude"), page.input_value("#longitude")
    assert float(after[0]) > float(before[0])
    assert float(after[1]) > float(before[1])
    tab_to(page, "#features-0")
    page.keyboard.press("Space")
    _follow(page, "button[name=go_on]")
    expect(page).to_have_url(f"{node['url']}/console/spaces/la-cordee/sheet/people")
    page.goto(f"{node['url']}/console/spaces/la-cordee/sheet/hours")
    _follow(page, "main details > summary")
    tab_to(page, "#osm")
    page.keyboard.type("Mo-Fr 09:00-19:00; PH off")
    _follow(page, "button[name=read]")
    expect(page.locator("#mo")).to_have_value("09:00–19:00")
    _follow(page, "button[name=go_on]")
    expect(page).to_have_url(f"{node['url']}/console/spaces/la-cordee/sheet/rooms")
    shown = context.request.get(f"{demo['hub']['url']}/api/v1/spaces/la-cordee").json()
    assert shown["about"]["opened_year"] == 2011
    assert shown["access"]["features"] == ["step_free"]
    assert [shown["latitude"], shown["longitude"]] == [float(value) for value in after]
    assert shown["week"]["fr"] == [["09:00", "19:00"]]
    context.close()
