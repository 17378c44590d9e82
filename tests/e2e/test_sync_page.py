"""The page of the synchronisation on a narrow screen, by keyboard, with all services at work."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from tests.browsing import wrong_with
from tests.e2e.test_pass_and_desk import log_in

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def _shown(demo: dict[str, Any]) -> dict[str, Any]:
    url = f"{demo['hub']['url']}/api/v1/spaces/sceaux-smart"
    found: dict[str, Any] = requests.get(url, timeout=20).json()
    return found


def _wait_for(what: Any, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_admin_checks_the_node_at_360_pixels_and_by_keyboard(
    browser: Any, demo: dict[str, Any]
) -> None:
    node = demo["nodes"]["sceaux-smart"]
    _wait_for(lambda: _shown(demo)["availability"]["state"] == "known")
    context = browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    log_in(page, node["url"], node["admin"]["email"], "/console/sync")
    button = page.locator("#check button")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#check [data-check]")).to_have_count(8)
    states = page.locator("#check [data-check]").evaluate_all(
        "all => Object.fromEntries(all.map(each => [each.dataset.check, each.dataset.state]))"
    )
    assert states == dict.fromkeys(states, "passed") | {"certificate": "warning"}
    assert wrong_with(page) == []
    assert errors == []
    context.close()


def test_what_is_saved_is_on_the_map_and_so_is_a_pause_without_anybodys_doing(
    browser: Any, demo: dict[str, Any]
) -> None:
    node = demo["nodes"]["sceaux-smart"]
    context = browser.new_context(locale="en-GB", viewport={"width": 360, "height": 740})
    page = context.new_page()
    space = "/console/spaces/sceaux-smart"
    log_in(page, node["url"], node["admin"]["email"], f"{space}/sheet/place")
    before = page.input_value("#transport")
    for paused, transport in ((True, "RER B"), (False, before)):
        page.goto(f"{node['url']}{space}/sheet/place")
        page.fill("#transport", transport)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".flash")).to_be_visible()
        page.goto(node["url"] + space)
        page.get_by_role("button", name="Pause" if paused else "Welcome them again").click()
        expect(page.locator(".flash")).to_be_visible()
        _wait_for(lambda: (_shown(demo)["transport"] or "") == transport)  # noqa: B023
        _wait_for(lambda: _shown(demo)["availability"]["paused"] is paused)  # noqa: B023
    _wait_for(lambda: _shown(demo)["availability"]["guest_places_free"])
    context.close()
